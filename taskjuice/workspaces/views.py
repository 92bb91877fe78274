"""The pages of clients, the audit trail, settings and a person's profile."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from taskjuice.workspaces import forms, gate, lifecycle, queries, slugs
from taskjuice.workspaces.exports import csv_response
from taskjuice.workspaces.models import Workspace
from taskjuice.workspaces.trail import filtered_trail, one_entry, trail_rows

PAGE = 50
SWITCH_LIMIT = 12


@require_http_methods(["GET", "POST"])
def welcome(request: HttpRequest) -> HttpResponse:
    """Show the wizard after sign-up."""
    person = gate.person(request)
    if queries.agencies_of(person).exists() or queries.seat_of(person):
        return redirect("/")
    form = forms.WelcomeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            workspace = lifecycle.found_agency(
                agency_name=form.cleaned_data["agency_name"],
                agency_slug=form.cleaned_data["agency_slug"],
                client_name=form.cleaned_data["client_name"],
                by=person,
            )
        except lifecycle.AlreadyFounded:  # a second click, or another tab
            return redirect("/")
        except ValidationError as error:
            form.add_error("agency_slug", error)
        else:
            return redirect(connect_url(workspace))
    context = {"form": form, "invited": queries.invitations_to(person)}
    return render(request, "workspaces/welcome.html", context, status=422 if form.errors else 200)


def connect_url(workspace: Workspace) -> str:
    """Return the page on which a new client starts: its connections."""
    kwargs = {"agency": workspace.agency.slug, "workspace": workspace.slug}
    try:
        return reverse("connections:connection-list", kwargs=kwargs)
    except NoReverseMatch:  # an installation without the connections app's pages
        return f"/{workspace.agency.slug}/{workspace.slug}/"


@require_safe
def welcome_slug(request: HttpRequest) -> HttpResponse:
    """Show whether an agency may have this address, while the person types."""
    gate.person(request)
    slug = request.GET.get("agency_slug", "").strip().lower()
    return _render_slug(request, slug, _find_problem(lambda: slugs.check_agency_slug(slug)))


@require_safe
def client_switch(request: HttpRequest, agency: str) -> HttpResponse:
    """Show the switcher's list, while the person types."""
    scope = gate.enter(request, agency, level=gate.WORK)
    form = forms.SearchForm(request.GET)
    search = form.cleaned_data.get("q", "") if form.is_valid() else ""
    places = queries.clients(scope.agency, search=search)[:SWITCH_LIMIT]
    return render(request, "workspaces/_places.html", {"places": places, "search": search})


@require_http_methods(["GET", "POST"])
def client_create(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.ADMIN)
    form = forms.ClientForm(request.POST or None, agency=scope.agency)
    if request.method == "POST" and form.is_valid():
        try:
            workspace = lifecycle.create_workspace(
                agency=scope.agency,
                name=form.cleaned_data["name"],
                slug=form.cleaned_data["slug"],
                by=scope.user,
            )
        except ValidationError as error:
            form.add_error("slug", error)
        else:
            return redirect(connect_url(workspace))
    return render(
        request, "workspaces/client_new.html", {"form": form}, status=422 if form.errors else 200
    )


@require_safe
def client_slug(request: HttpRequest, agency: str) -> HttpResponse:
    """Show whether a client of this agency may have this address, while the person types."""
    scope = gate.enter(request, agency, level=gate.ADMIN)
    slug = request.GET.get("slug", "").strip().lower()
    return _render_slug(
        request, slug, _find_problem(lambda: slugs.check_workspace_slug(scope.agency, slug))
    )


@require_safe
def workspace_settings(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.ADMIN, archived_too=True)
    assert scope.workspace is not None  # a slug was given
    return _render_workspace_settings(request, scope.workspace)


@require_POST
def workspace_rename(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.ADMIN)
    assert scope.workspace is not None  # a slug was given
    form = forms.NameForm(request.POST)
    if not form.is_valid():
        return _render_workspace_settings(request, scope.workspace, form=form)
    lifecycle.rename_workspace(
        workspace=scope.workspace, name=form.cleaned_data["name"], by=scope.user
    )
    messages.success(request, f"Renamed to {form.cleaned_data['name']}.")
    return redirect("workspaces:workspace-settings", agency, workspace)


@require_POST
def workspace_time_zone(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    place = gate.enter_workspace(request, agency, workspace, level=gate.ADMIN)
    form = forms.TimeZoneForm(request.POST, current=place.timezone)
    if not form.is_valid():
        return _render_workspace_settings(request, place, zone_form=form)
    chosen = form.cleaned_data["time_zone"]
    lifecycle.set_time_zone(workspace=place, time_zone=chosen, by=gate.person(request))
    messages.success(request, f"The days of {place.name} are those of {chosen.replace('_', ' ')}.")
    return redirect("workspaces:workspace-settings", agency, workspace)


@require_POST
def workspace_archive(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    place = gate.enter_workspace(request, agency, workspace, level=gate.ADMIN, archived_too=True)
    lifecycle.archive_workspace(workspace=place, by=gate.person(request))
    messages.success(request, f"{place.name} is archived.")
    return redirect(f"/{agency}/clients/")


@require_POST
def workspace_unarchive(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    place = gate.enter_workspace(request, agency, workspace, level=gate.ADMIN, archived_too=True)
    lifecycle.unarchive_workspace(workspace=place, by=gate.person(request))
    messages.success(request, f"{place.name} is back.")
    return redirect("workspaces:workspace-settings", agency, workspace)


@require_safe
def audit_list(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = _enter_audit(request, agency, workspace)
    form, rows = filtered_trail(scope, request.GET)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    return render(request, "workspaces/audit_list.html", {"page": page, "form": form})


@require_safe
def audit_entry(
    request: HttpRequest, agency: str, entry: int, workspace: str | None = None
) -> HttpResponse:
    scope = _enter_audit(request, agency, workspace)
    found = one_entry(scope, entry)
    if found is None:
        raise Http404("No such entry here.")
    return render(request, "workspaces/audit_entry.html", {"found": found})


@require_safe
def audit_export(
    request: HttpRequest, agency: str, workspace: str | None = None
) -> HttpResponseBase:
    scope = _enter_audit(request, agency, workspace)
    _, rows = filtered_trail(scope, request.GET)
    place = scope.workspace.slug if scope.workspace else scope.agency.slug
    header = ["at (UTC)", "who", "what", "subject", "client", "address", "details"]
    return csv_response(f"audit-{place}.csv", header, trail_rows(rows))


def _render_workspace_settings(
    request: HttpRequest,
    workspace: Workspace,
    *,
    form: forms.NameForm | None = None,
    zone_form: forms.TimeZoneForm | None = None,
) -> HttpResponse:
    """Render the page, with one of its forms as it was sent where it was invalid."""
    context = {
        "form": form or forms.NameForm(initial={"name": workspace.name}),
        "zone_form": zone_form or forms.TimeZoneForm(current=workspace.timezone),
    }
    return render(
        request,
        "workspaces/workspace_settings.html",
        context,
        status=422 if form or zone_form else 200,
    )


def _find_problem(check: Callable[[], None]) -> str:
    """Return the problem of a slug; empty where there is none."""
    try:
        check()
    except ValidationError as error:
        return str(error.messages[0])
    return ""


def _render_slug(request: HttpRequest, slug: str, problem: str) -> HttpResponse:
    return render(request, "workspaces/_slug.html", {"slug": slug, "problem": problem})


def _enter_audit(request: HttpRequest, agency: str, workspace: str | None) -> gate.Scope:
    # Staff only: the trail names people and addresses.
    scope = gate.enter(request, agency, workspace)
    if scope.is_client:
        raise PermissionDenied("The audit trail is for the agency’s staff.")
    return scope


@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    person = gate.person(request)
    form = forms.ProfileForm(
        request.POST or None,
        initial={"name": person.name, "time_zone": person.timezone},
        current=person.timezone,
    )
    if request.method == "POST" and form.is_valid():
        lifecycle.set_profile(
            user=person, name=form.cleaned_data["name"], time_zone=form.cleaned_data["time_zone"]
        )
        messages.success(request, "Your profile is saved.")
        return redirect("workspaces:profile")
    return render(
        request, "workspaces/profile.html", {"form": form}, status=422 if form.errors else 200
    )
