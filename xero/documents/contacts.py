"""The page of a new contact."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from connections.models import Connection
from taskjuice.workspaces import gate
from xero.actions import CreateContact
from xero.calls.views import redirect_to_call, show_warnings
from xero.documents import submit
from xero.documents.access import WriteAccess, enter_write_page
from xero.documents.forms import ContactPageForm
from xero.records.master_data import parse_contact

CREATE = CreateContact()


@require_http_methods(["GET", "HEAD", "POST"])
def contact_new(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    access = enter_write_page(request, agency, workspace, CREATE)
    if access.connection is None or access.is_blocked:
        return _page(request, access, None, status=409 if request.method == "POST" else 200)
    if request.method == "POST":
        return _save(request, access, access.connection)
    return _page(
        request,
        access,
        ContactPageForm(access.connection, initial={"form_key": ContactPageForm.new_key()}),
    )


def _save(request: HttpRequest, access: WriteAccess, connection: Connection) -> HttpResponse:
    form = ContactPageForm(connection, request.POST)
    earlier = submit.find_earlier_result(connection, CREATE, request.POST.get("form_key", ""))
    if earlier is not None:  # the contact of this form must not count as a duplicate
        return _redirect_to_result(request, access, connection, earlier)
    if not form.is_valid():
        return _page(request, access, form, status=422)
    key, by = form.cleaned_data["form_key"], gate.person(request)
    result = submit.submit_form(CREATE, connection, form.cleaned_data, form_key=key, by=by)
    if isinstance(result, submit.Pending):
        return redirect_to_call(request, result.call)
    if isinstance(result, submit.Written):
        return _redirect_to_result(request, access, connection, result)
    form.add_refusal(result.messages)
    return _page(request, access, form, refused=result.messages, status=422)


def _redirect_to_result(
    request: HttpRequest, access: WriteAccess, connection: Connection, result: submit.Written
) -> HttpResponse:
    submit.store_record(connection, "contacts", result.record)
    name = parse_contact(result.record).name
    if result.is_repeat:
        messages.info(
            request, f"This form made {name} when it was sent first. Nothing was sent again."
        )
    else:
        messages.success(request, f"{name} is in Xero.")
    show_warnings(request, result.warnings)
    workspace = access.workspace
    return redirect(
        "xero:contact-detail", workspace.agency.slug, workspace.slug, result.record["ContactID"]
    )


def _page(
    request: HttpRequest,
    access: WriteAccess,
    form: ContactPageForm | None,
    *,
    refused: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "desk": access,
        "connection": access.connection,
        "form": form,
        "refused": refused or [],
        "title": CREATE.title,
    }
    return render(request, "xero_desk/contact.html", context, status=status)
