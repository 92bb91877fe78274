"""Pages of connections: the list, one connection and its actions, and the webhooks panel."""

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connections import disconnection, lifecycle, panels, queries
from connections.forms import ConnectionFilterForm, DisconnectForm
from connections.links import queries as link_queries
from connections.models import Connection, ConnectionState
from connections.webhook_panel import get_webhook_panel
from taskjuice.workspaces import gate
from taskjuice.workspaces.models import Workspace

ON_A_PAGE = 50


@require_safe
def connection_list(
    request: HttpRequest, agency: str, workspace: str | None = None
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    form = ConnectionFilterForm(request.GET)
    form.is_valid()
    state, search = form.cleaned_data.get("state", ""), form.cleaned_data.get("q", "")
    page = Paginator(
        queries.list_connections(scope, state=state, search=search), ON_A_PAGE
    ).get_page(form.cleaned_data.get("page"))
    context = {
        "counts": queries.count_connections(scope),
        "page": page,
        "rows": queries.build_rows(list(page.object_list)),
        "open_links": 0 if scope.is_client else link_queries.count_open_links(scope),
        "unfinished": []
        if scope.is_client
        else queries.list_unfinished_consents(scope, scope.user),
        "state": state,
        "q": search,
        "may_connect": scope.may(gate.ADMIN),
        "may_test": scope.may(gate.WORK),
    }
    return render(request, "connections/list.html", context)


@require_safe
def connection_detail(
    request: HttpRequest, agency: str, workspace: str, connection: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    found = _get_connection(scope.workspace, connection)
    context = {
        "detail": queries.get_detail(found),
        "connection": found,
        "panels": panels.of(found, scope),
        "may_change": scope.may(gate.ADMIN),
        "may_test": scope.may(gate.WORK),
        "is_client": scope.is_client,
    }
    return render(request, "connections/detail.html", context)


@require_POST
def connection_test(
    request: HttpRequest, agency: str, workspace: str, connection: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = _get_connection(scope.workspace, connection)
    if found.state == ConnectionState.REVOKED:
        raise Http404("Nothing to test.")
    tested = lifecycle.check_connection(found, by=scope.user)
    if request.headers.get("HX-Request"):
        context = {"tested": tested, "row": queries.build_rows([tested.connection])[0]}
        return render(request, "connections/_tested.html", context)
    if tested.problem:
        messages.error(request, tested.problem)
    else:
        messages.success(request, f"{tested.connection.name} answered: the connection works.")
    return redirect(_connection_url(tested.connection))


@require_POST
def connection_pause(
    request: HttpRequest, agency: str, workspace: str, connection: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.ADMIN)
    found = _get_connection(scope.workspace, connection)
    lifecycle.pause_connection(found, by=scope.user)
    return redirect(_connection_url(found))


@require_POST
def connection_resume(
    request: HttpRequest, agency: str, workspace: str, connection: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.ADMIN)
    found = _get_connection(scope.workspace, connection)
    lifecycle.resume_connection(found, by=scope.user)
    return redirect(_connection_url(found))


@require_http_methods(["GET", "HEAD", "POST"])
def connection_disconnect(
    request: HttpRequest, agency: str, workspace: str, connection: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.ADMIN, archived_too=True)
    found = _get_connection(scope.workspace, connection)
    if found.state == ConnectionState.REVOKED:
        return redirect(_connection_url(found))
    form = DisconnectForm(request.POST if request.method == "POST" else None, connection=found)
    if request.method == "POST" and form.is_valid():
        told = disconnection.disconnect_connection(found, by=scope.user)
        messages.success(request, _describe_disconnection(found, told=told))
        return redirect(reverse("connections:connection-list", args=[agency, workspace]))
    context = {"connection": found, "form": form, "row": queries.build_rows([found])[0]}
    return render(
        request, "connections/disconnect.html", context, status=422 if form.errors else 200
    )


@require_safe
def webhook_panel(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    panel = get_webhook_panel(
        scope,
        url=f"{settings.BASE_URL}{reverse('xero:webhook-receive')}",
        has_key=bool(settings.XERO_WEBHOOK_KEYS),
    )
    template = (
        "connections/_probes.html"
        if request.headers.get("HX-Request")
        else "connections/webhooks.html"
    )
    return render(request, template, {"panel": panel})


def _get_connection(workspace: Workspace | None, pk: int) -> Connection:
    found = queries.find_connection(workspace, pk) if workspace else None
    if found is None:
        raise Http404("No such connection here.")
    return found


def _connection_url(connection: Connection) -> str:
    place = [connection.agency.slug, connection.workspace.slug]
    return reverse("connections:connection-detail", args=[*place, connection.pk])


def _describe_disconnection(connection: Connection, *, told: bool) -> str:
    if told:
        return f"{connection.name} is disconnected."
    return f"{connection.name} is disconnected here. The provider did not answer; it will be told shortly."
