"""Pages of connect links for the agency: list, create, remind, copy, revoke, and many at once."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connections import queries as connection_queries
from connections.links import letters, lifecycle, queries
from connections.links.forms import LinkFilterForm, LinkForm, ReconnectForm
from connections.models import Connection, ConnectLink
from connections.oauth import consents, grant_holders
from taskjuice.workspaces import gate
from taskjuice.workspaces.models import User

ON_A_PAGE = 50
PROVIDER = "xero"  # the one that clients are asked to connect


@require_safe
def link_list(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    form = LinkFilterForm(request.GET)
    form.is_valid()
    state, search = form.cleaned_data.get("state", ""), form.cleaned_data.get("q", "")
    rows = queries.list_links(scope, state=state, search=search)
    page = Paginator(rows, ON_A_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "state": state, "q": search, "may_send": scope.may(consents.LEVEL)}
    context["moving"] = any(link.state in queries.MOVING for link in page.object_list)
    part = request.headers.get("HX-Request")
    template = "connections/links/_table.html" if part else "connections/links/list.html"
    return render(request, template, context)


@require_http_methods(["GET", "POST"])
def link_new(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    form = LinkForm(
        request.POST if request.method == "POST" else None,
        initial={"reconnects": request.GET.get("connection")},
        workspaces=connection_queries.list_workspaces_to_connect(scope.agency),
        workspace=scope.workspace,
    )
    if request.method == "POST" and form.is_valid():
        try:
            link, token = lifecycle.create_link(
                workspace=scope.workspace or form.cleaned_data["workspace"],
                provider=PROVIDER,
                email=form.cleaned_data["email"],
                reconnects=form.cleaned_data.get("reconnects"),
                by=scope.user,
            )
        except ValidationError as error:
            form.add_error("email", error)
        else:
            return _answer_created(request, scope, link, token)
    context = {"form": form, "app_is_set": connection_queries.has_app(PROVIDER)}
    return render(
        request, "connections/links/new.html", context, status=422 if form.errors else 200
    )


@require_safe
def link_detail(request: HttpRequest, agency: str, workspace: str, link: int) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    return _render_detail(request, scope, _get_link(scope, link))


@require_POST
def link_remind(request: HttpRequest, agency: str, workspace: str, link: int) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    found = _get_link(scope, link)
    try:
        sent = lifecycle.send_reminder(link=found, by=scope.user)
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        _report_sent(request, sent)
    return redirect("connections:link-detail", agency, workspace, link)


@require_POST
def link_copy(request: HttpRequest, agency: str, workspace: str, link: int) -> HttpResponse:
    """Show the new link this once: it must not be part of an address, nor of the session."""
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    found = _get_link(scope, link)
    try:
        token = lifecycle.renew_copied_link(link=found, by=scope.user)
    except ValidationError as error:
        messages.error(request, error.messages[0])
        return redirect("connections:link-detail", agency, workspace, link)
    found.refresh_from_db()
    return _render_detail(request, scope, found, token)


@require_POST
def link_revoke(request: HttpRequest, agency: str, workspace: str, link: int) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    found = _get_link(scope, link)
    try:
        lifecycle.revoke_link(link=found, by=scope.user)
        messages.success(request, "The link is revoked. Whoever opens it is told so.")
    except ValidationError as error:
        messages.error(request, error.messages[0])
    return redirect("connections:link-detail", agency, workspace, link)


@require_http_methods(["GET", "POST"])
def link_bulk(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    """Ask for several connections to be authorised again: by a colleague, or by e-mails to clients."""
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    form = _build_bulk_form(
        request, connection_queries.list_selected(scope, request.GET.getlist("connection"))
    )
    if request.method == "POST" and form.connections and form.is_valid():
        settled = [
            _send_link(form, connection, email, by=scope.user) for connection, email in form.wanted
        ]
        _report_sent_links(request, sent=settled.count("sent"), open_already=settled.count("open"))
        if not form.errors:
            return redirect(reverse("connections:link-list", args=_slugs(scope)))
    context = {
        "form": form,
        "chosen": form.connections,
        "groups": grant_holders.group_by_grant(form.connections, set()),
    }
    return render(
        request, "connections/links/bulk.html", context, status=422 if form.errors else 200
    )


def _build_bulk_form(request: HttpRequest, chosen: list[Connection]) -> ReconnectForm:
    return ReconnectForm(
        request.POST if request.method == "POST" else None,
        connections=chosen,
        known=queries.suggest_addresses(chosen),
        asked=queries.find_open_recipients(chosen),
    )


def _send_link(form: ReconnectForm, connection: Connection, email: str, *, by: User) -> str:
    """Send one link: `sent`, `open` where one is open already, or "" with the reason in the form.

    `open` is no error: a form that is sent twice writes to nobody twice.
    """
    try:
        link, _ = lifecycle.create_link(
            workspace=connection.workspace,
            provider=connection.provider,
            email=email,
            reconnects=connection,
            by=by,
        )
    except ValidationError as error:
        if error.code != "open":
            form.add_error(form.name_of(connection), error)
            return ""
        form.settle(connection)
        return "open"
    if not link.sent_at:
        text = "The mail server did not take this letter. Try again in a minute."
        form.add_error(form.name_of(connection), text)
        return ""
    form.settle(connection)
    return "sent"


def _report_sent_links(request: HttpRequest, *, sent: int, open_already: int) -> None:
    if sent:
        messages.success(request, f"Sent: {sent}.")
    if open_already:
        messages.info(request, f"Not written to again, since their link is open: {open_already}.")


def _answer_created(
    request: HttpRequest, scope: gate.Scope, link: ConnectLink, token: str
) -> HttpResponse:
    if link.sent_at:
        _report_sent(request, link)
        return redirect("connections:link-detail", link.agency.slug, link.workspace.slug, link.pk)
    if link.email:
        messages.warning(request, "The mail server did not take the letter. Copy the link instead.")
    return _render_detail(request, scope, link, token)


def _report_sent(request: HttpRequest, link: ConnectLink) -> None:
    if link.sent_at:
        messages.success(request, f"Sent to {link.email}.")
    else:
        messages.warning(request, "The mail server did not take the letter. Copy the link instead.")


def _render_detail(
    request: HttpRequest, scope: gate.Scope, link: ConnectLink, token: str = ""
) -> HttpResponse:
    """Render the page of a link. With a token it shows the link itself, to be copied now."""
    context = {
        "link": link,
        "stages": queries.list_stages(link),
        "moving": link.state in queries.MOVING,
        "may_send": scope.may(consents.LEVEL),
        "address": letters.build_link_url(token) if token else "",
        "connections": list(link.connections.select_related("workspace").order_by("name", "pk")),
        "here": reverse(
            "connections:link-detail", args=[link.agency.slug, link.workspace.slug, link.pk]
        ),
    }
    part = request.headers.get("HX-Request")
    template = "connections/links/_progress.html" if part else "connections/links/detail.html"
    return render(request, template, context)


def _get_link(scope: gate.Scope, pk: int) -> ConnectLink:
    found = queries.find_link(scope, pk)
    if found is None:
        raise Http404("No such link here.")
    return found


def _slugs(scope: gate.Scope) -> list[str]:
    return [scope.agency.slug, scope.workspace.slug] if scope.workspace else [scope.agency.slug]
