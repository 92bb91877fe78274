"""The page of a new contact."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from connections.models import Connection
from taskjuice.workspaces import gate
from xero.actions import CreateContact
from xero.calls.views import show_warnings, to_call
from xero.documents import submit
from xero.documents.access import Desk, enter
from xero.documents.forms import ContactPageForm
from xero.records.master_data import parse_contact

CREATE = CreateContact()


@require_http_methods(["GET", "HEAD", "POST"])
def contact_new(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    desk = enter(request, agency, workspace, CREATE)
    if desk.connection is None or desk.is_blocked:
        return _page(request, desk, None, status=409 if request.method == "POST" else 200)
    if request.method == "POST":
        return _save(request, desk, desk.connection)
    return _page(
        request,
        desk,
        ContactPageForm(desk.connection, initial={"form_key": ContactPageForm.new_key()}),
    )


def _save(request: HttpRequest, desk: Desk, connection: Connection) -> HttpResponse:
    form = ContactPageForm(connection, request.POST)
    before = submit.before(connection, CREATE, request.POST.get("form_key", ""))
    if before is not None:  # its own contact must not be in its way
        return _made(request, desk, connection, before)
    if not form.is_valid():
        return _page(request, desk, form, status=422)
    key, by = form.cleaned_data["form_key"], gate.person(request)
    result = submit.send(CREATE, connection, form.cleaned_data, form_key=key, by=by)
    if isinstance(result, submit.Open):
        return to_call(request, result.call)
    if isinstance(result, submit.Made):
        return _made(request, desk, connection, result)
    form.take_refusal(result.messages)
    return _page(request, desk, form, refused=result.messages, status=422)


def _made(
    request: HttpRequest, desk: Desk, connection: Connection, result: submit.Made
) -> HttpResponse:
    submit.keep(connection, "contacts", result.record)
    name = parse_contact(result.record).name
    if result.again:
        messages.info(
            request, f"This form made {name} when it was sent first. Nothing was sent again."
        )
    else:
        messages.success(request, f"{name} is in Xero.")
    show_warnings(request, result.warnings)
    place = desk.workspace
    return redirect(
        "xero:contact-detail", place.agency.slug, place.slug, result.record["ContactID"]
    )


def _page(
    request: HttpRequest,
    desk: Desk,
    form: ContactPageForm | None,
    *,
    refused: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "desk": desk,
        "connection": desk.connection,
        "form": form,
        "refused": refused or [],
        "title": CREATE.title,
    }
    return render(request, "xero_desk/contact.html", context, status=status)
