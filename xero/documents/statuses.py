"""Approval and voiding of a document, from its own page."""

from uuid import UUID, uuid5

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from connections.integrations import Action
from taskjuice.workspaces import gate
from xero.actions.statuses import ApproveInvoice, VoidInvoice
from xero.calls.views import redirect_to_call, show_warnings
from xero.documents import choices, submit
from xero.documents.access import WriteAccess, check_access
from xero.documents.forms import VoidForm
from xero.ledger import scope
from xero.ledger.queries import SALE
from xero.models import Invoice

APPROVE, VOID = ApproveInvoice(), VoidInvoice()


@require_POST
def document_approve(
    request: HttpRequest, agency: str, workspace: str, document: UUID
) -> HttpResponse:
    access, invoice = _enter(request, agency, workspace, document, APPROVE)
    return _change(request, access, invoice, APPROVE, "It is approved.")


@require_http_methods(["GET", "HEAD", "POST"])
def document_void(
    request: HttpRequest, agency: str, workspace: str, document: UUID
) -> HttpResponse:
    access, invoice = _enter(request, agency, workspace, document, VOID)
    words = invoice.number or invoice.contact_name or "void"
    form = VoidForm(words, request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        return _change(request, access, invoice, VOID, "It is voided.")
    context = {
        "desk": access,
        "connection": invoice.connection,
        "invoice": invoice,
        "is_bill": invoice.type != SALE,
        "is_draft": invoice.status in ("DRAFT", "SUBMITTED"),
        "form": form,
        "title": VOID.title,
    }
    return render(request, "xero_desk/void.html", context, status=422 if form.is_bound else 200)


def _enter(
    request: HttpRequest, agency: str, workspace: str, document: UUID, action: Action
) -> tuple[WriteAccess, Invoice]:
    client = gate.enter_workspace(request, agency, workspace, level=gate.WORK)
    connections = scope.list_connections(client)
    invoice = choices.find_document([row.pk for row in connections], document)
    if invoice is None:
        raise Http404("No such document here.")
    return check_access(client, connections, invoice.connection, action), invoice


def _change(
    request: HttpRequest, access: WriteAccess, invoice: Invoice, action: Action, done: str
) -> HttpResponse:
    """Run a change of status, once for each state of the document."""
    # The key holds the time of the last change, so a second click on the same state is the same
    # write, while a later state of the document can be changed again.
    key = uuid5(
        invoice.xero_id, f"{action.key} {invoice.connection_id} {invoice.updated_utc.isoformat()}"
    )
    data = {"invoice_id": invoice.xero_id}
    result = submit.submit_form(
        action, invoice.connection, data, form_key=key, by=gate.person(request)
    )
    if isinstance(result, submit.Pending):
        return redirect_to_call(request, result.call)
    if isinstance(result, submit.Written):
        submit.store_record(invoice.connection, "invoices", result.record)
        messages.success(request, done)
        show_warnings(request, result.warnings)
    else:
        submit.refresh_invoice(invoice.connection, invoice.xero_id)
        for text in result.messages:
            messages.error(request, text)
    return redirect(scope.build_document_url(access.workspace, invoice.type, invoice.xero_id))
