"""Home pages, and pages that belong to no single package."""

import sys

from django.core.paginator import Paginator
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template import loader
from django.views.decorators.http import require_POST, require_safe

from taskjuice.return_address import read_return_address
from taskjuice.site import clients, home_cards, samples
from taskjuice.site.context_processors import THEME_COOKIE, THEMES
from taskjuice.workspaces import gate, queries
from taskjuice.workspaces.forms import SearchForm

PAGE = 50
YEAR = 365 * 24 * 3600


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Redirect to the person's only agency or client, the choice of several, or the wizard."""
    person = gate.person(request)
    agencies = list(queries.agencies_of(person)[:2])
    seat = queries.seat_of(person)
    if len(agencies) + bool(seat) > 1:
        return redirect("site:places")
    if agencies:
        return redirect("site:agency-home", agencies[0].slug)
    if seat:
        return redirect("site:workspace-home", seat.workspace.agency.slug, seat.workspace.slug)
    return redirect("workspaces:welcome")


@require_safe
def places(request: HttpRequest) -> HttpResponse:
    """List the agencies and the client of a person who has several."""
    person = gate.person(request)
    context = {"agencies": queries.agencies_of(person), "seat": queries.seat_of(person)}
    return render(request, "site/places.html", context)


@require_safe
def agency_home(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency)
    return render(request, "site/agency_home.html", {"cards": home_cards.Cards(scope)})


@require_safe
def workspace_home(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    scope = gate.enter(request, agency, workspace)
    return render(request, "site/workspace_home.html", {"cards": home_cards.Cards(scope)})


@require_safe
def client_list(request: HttpRequest, agency: str) -> HttpResponse:
    """List the agency's clients with their connections and workflows."""
    scope = gate.enter(request, agency, level=gate.WORK)
    form = SearchForm(request.GET)
    search = form.cleaned_data["q"] if form.is_valid() else ""
    archived = request.GET.get("state") == "archived"
    rows = queries.clients(scope.agency, search=search, archived=archived)
    page = Paginator(clients.with_figures(rows), PAGE).get_page(request.GET.get("page"))
    counts = queries.client_counts(scope.agency)
    context = {"page": page, "search": search, "archived": archived, "counts": counts}
    return render(request, "site/client_list.html", context)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Set light, dark, or the system's theme (empty)."""
    chosen = request.POST.get("theme", "")
    response = redirect(read_return_address(request) or "/")
    if chosen in THEMES:
        response.set_cookie(
            THEME_COOKIE,
            chosen,
            max_age=YEAR,
            secure=request.is_secure(),
            httponly=True,
            samesite="Lax",
        )
    else:
        response.delete_cookie(THEME_COOKIE)
    return response


@require_safe
def design(request: HttpRequest) -> HttpResponse:
    """Show every component of the design system; only routed when DEBUG is on."""
    return render(request, "site/design.html", samples.context())


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "403_csrf.html", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """Say that an error happened, or that the database is away, without the frame, which needs one."""
    if isinstance(sys.exception(), OperationalError | InterfaceError):
        page = loader.render_to_string("503.html")
        return HttpResponse(page, status=503, headers={"Retry-After": "2"})
    return HttpResponse(loader.render_to_string("500.html"), status=500)
