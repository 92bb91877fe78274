"""The team of an agency, and the client users of one of its clients."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from taskjuice.workspaces import gate, invitations, panels, queries, ranks, staff
from taskjuice.workspaces.models import ClientUser, Invitation, Membership, Role, Workspace
from taskjuice.workspaces.team_forms import (
    InviteForm,
    RoleForm,
    StaffInviteForm,
    TransferForm,
    TwoStepForm,
)

PAGE = 50
ROLE_OF_LEVEL = {level: role for role, level in gate.LEVEL_OF_ROLE.items()}


@require_safe
def team(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    return _page(request, scope, _form(request, scope))


@require_POST
def invite(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.ADMIN)
    form = _form(request, scope)
    if not form.is_valid():
        return _page(request, scope, form)
    try:
        invitation = invitations.invite(
            agency=scope.agency,
            workspace=scope.workspace,
            email=form.cleaned_data["email"],
            role=form.role(),
            by=scope.user,
        )
    except ValidationError as error:
        form.add_error("email", error)
        return _page(request, scope, form)
    _tell(request, invitation)
    return _back(scope)


@require_POST
def invitation_resend(request: HttpRequest, agency: str, invitation: int) -> HttpResponse:
    """Of the team's invitations and the clients' alike."""
    scope = gate.enter(request, agency, level=gate.ADMIN)
    found = _invitation(scope, invitation)
    try:
        _tell(request, invitations.resend(invitation=found, by=scope.user))
    except ValidationError as error:
        messages.error(request, error.messages[0])
    return _back(scope, found.workspace)


@require_POST
def invitation_revoke(request: HttpRequest, agency: str, invitation: int) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.ADMIN)
    found = _invitation(scope, invitation)
    try:
        invitations.revoke(invitation=found, by=scope.user)
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, f"The invitation of {found.email} is revoked.")
    return _back(scope, found.workspace)


@require_POST
def member_role(request: HttpRequest, agency: str, membership: int) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.OWN)
    member = _member(scope, membership)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return _page(request, scope, _form(request, scope, bound=False), status=422)
    role = form.cleaned_data["role"]
    return _done(
        request,
        scope,
        lambda: staff.change_role(membership=member, role=role, by=scope.user),
        f"{member.user} is {'an admin' if role == Role.ADMIN else 'a member'} now.",
    )


@require_http_methods(["GET", "POST"])
def member_remove(request: HttpRequest, agency: str, membership: int) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.ADMIN)
    member = _member(scope, membership)
    if not ranks.outranks(ROLE_OF_LEVEL[scope.level], member.role):
        raise PermissionDenied("Your role does not allow this. Ask the owner of the agency.")
    if request.method == "GET":
        context = {"person": member.user, "panels": panels.of_departures.of(scope, member)}
        return render(request, "workspaces/remove.html", context)
    return _done(
        request,
        scope,
        lambda: staff.remove_member(membership=member, by=scope.user),
        f"{member.user} is removed from the team.",
    )


@require_http_methods(["GET", "POST"])
def client_user_remove(
    request: HttpRequest, agency: str, workspace: str, seat: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.ADMIN, archived_too=True)
    found = get_object_or_404(
        ClientUser.objects.select_related("user", "workspace__agency"),
        pk=seat,
        workspace=scope.workspace,
    )
    if request.method == "GET":
        return render(request, "workspaces/remove.html", {"person": found.user})
    return _done(
        request,
        scope,
        lambda: staff.remove_client_user(seat=found, by=scope.user),
        f"{found.user} cannot see {found.workspace} any more.",
    )


@require_POST
def leave(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.WORK)
    try:
        staff.leave(agency=scope.agency, by=scope.user)
    except ValidationError as error:
        messages.error(request, error.messages[0])
        return _back(scope)
    messages.success(request, f"You have left {scope.agency.name}.")
    return redirect("/")


@require_http_methods(["GET", "POST"])
def transfer(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.OWN)
    heirs = queries.staff(scope.agency).exclude(user=scope.user)
    form = TransferForm(
        request.POST if request.method == "POST" else None, agency=scope.agency, heirs=heirs
    )
    if form.is_valid():
        heir = form.cleaned_data["to"]
        return _done(
            request,
            scope,
            lambda: staff.transfer_ownership(agency=scope.agency, to=heir, by=scope.user),
            f"{heir.user} owns {scope.agency.name} now. You are an admin.",
        )
    context = {"form": form, "heirs": heirs}
    return render(request, "workspaces/transfer.html", context, status=422 if form.errors else 200)


@require_POST
def two_step_setting(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.OWN)
    form = TwoStepForm(request.POST)
    if not form.is_valid():
        return _page(request, scope, _form(request, scope, bound=False), status=422)
    required = form.cleaned_data["required"] == "yes"
    return _done(
        request,
        scope,
        lambda: staff.require_two_step(agency=scope.agency, required=required, by=scope.user),
        "Everybody on the team needs two-step login now."
        if required
        else "Two-step login is everybody’s own choice now.",
    )


def _form(request: HttpRequest, scope: gate.Scope, *, bound: bool = True) -> InviteForm:
    data = request.POST if bound and request.method == "POST" else None
    if scope.workspace is not None:
        return InviteForm(data)
    return StaffInviteForm(data, roles=ranks.BELOW[ROLE_OF_LEVEL[scope.level]])


def _page(
    request: HttpRequest, scope: gate.Scope, form: InviteForm, status: int | None = None
) -> HttpResponse:
    rows = (
        queries.staff(scope.agency)
        if scope.workspace is None
        else queries.client_users(scope.workspace)
    )
    context = {
        "form": form,
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "invitations": queries.invitations(scope.agency, scope.workspace),
        "below": ranks.BELOW[ROLE_OF_LEVEL[scope.level]],
    }
    template = "workspaces/team.html" if scope.workspace is None else "workspaces/client_team.html"
    return render(request, template, context, status=status or (422 if form.errors else 200))


def _done(
    request: HttpRequest, scope: gate.Scope, act: Callable[[], None], said: str
) -> HttpResponse:
    """Do it and go back to the list, with what happened or why it did not."""
    try:
        act()
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, said)
    return _back(scope)


def _back(scope: gate.Scope, workspace: Workspace | None = None) -> HttpResponse:
    """The team's page, or that of a client's people."""
    place = workspace or scope.workspace
    slugs = [scope.agency.slug, *([place.slug] if place else [])]
    return redirect("workspaces:team", *slugs)


def _tell(request: HttpRequest, invitation: Invitation) -> None:
    if invitation.sent_at:
        messages.success(request, f"An invitation is on its way to {invitation.email}.")
    else:
        messages.error(
            request,
            f"The invitation of {invitation.email} is stored, but the e-mail could not be sent."
            " Send it again later.",
        )


def _invitation(scope: gate.Scope, pk: int) -> Invitation:
    return get_object_or_404(scope.agency.invitations.select_related("agency", "workspace"), pk=pk)


def _member(scope: gate.Scope, pk: int) -> Membership:
    return get_object_or_404(scope.agency.memberships.select_related("agency", "user"), pk=pk)
