"""The page of an agency's incidents, a person's e-mail settings, and the link that ends e-mails."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from taskjuice.notifications import mailing, reading
from taskjuice.notifications.forms import WishesForm
from taskjuice.notifications.models import Kind
from taskjuice.workspaces import gate
from taskjuice.workspaces.models import Membership, Role, User

PAGE = 50


@require_safe
def notice_list(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.WORK)
    page = Paginator(reading.of(scope), PAGE).get_page(request.GET.get("page"))
    reader = reading.read_until(scope)
    context = {
        "page": page,
        "read_at": reader.read_at if reader else None,
        "unread": reading.unread(scope),
    }
    return render(request, "notices/list.html", context)


@require_POST
def notice_read(request: HttpRequest, agency: str) -> HttpResponse:
    """Mark everything as read."""
    scope = gate.enter(request, agency, level=gate.WORK)
    reading.mark_read(scope)
    return redirect("notices:notice-list", agency)


@require_http_methods(["GET", "HEAD", "POST"])
def notice_wishes(request: HttpRequest) -> HttpResponse:
    """Show and store which e-mails a person gets, in all their agencies."""
    person = gate.person(request)
    form = WishesForm(request.POST if request.method == "POST" else None, now=_wishes(person))
    if request.method == "POST" and form.is_valid():
        reading.choose(person, form.cleaned_data)
        messages.success(request, "Your notifications are saved.")
        return redirect("notices:notice-wishes")
    return render(
        request, "notices/wishes.html", {"form": form}, status=422 if form.errors else 200
    )


# Mail programs post here by themselves (RFC 8058); the signed token proves who asks.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def notice_stop(request: HttpRequest, stop: str) -> HttpResponse:
    """End all e-mail, from a link in one, without signing in. GET changes nothing."""
    person = mailing.stopper(stop)
    if person is None and mailing.was_ours(stop):
        return render(request, "notices/stop.html", {"is_old": True}, status=410)
    if person is None:
        raise Http404("Nothing here.")
    if request.method == "POST":
        reading.stop_all(person)
    return render(
        request, "notices/stop.html", {"stopped": request.method == "POST", "email": person.email}
    )


def _wishes(person: User) -> dict[str, str]:
    """Return the cadence of each kind.

    Where roles differ between agencies, the higher one decides the default.
    """
    roles = Membership.objects.filter(user=person).values_list("role", flat=True)
    role = Role.MEMBER if set(roles) <= {Role.MEMBER} else Role.ADMIN
    wishes = reading.wishes_of([person.pk])
    return {kind: reading.cadence(wishes, person.pk, role, kind) for kind in Kind}
