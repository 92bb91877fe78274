"""The page of a new payment for one invoice or bill, or for the choice of one."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from connections import organisation_time
from taskjuice import currencies
from taskjuice.workspaces import gate
from xero.actions import CreatePayment
from xero.actions.lock_dates import find_last_locked_day
from xero.calls.views import redirect_to_call, show_warnings
from xero.documents import choices, submit
from xero.documents.access import WriteAccess, check_access, enter_write_page
from xero.documents.forms import PaymentPageForm
from xero.ledger import scope
from xero.ledger.queries import SALE
from xero.models import Invoice

CREATE = CreatePayment()


@require_http_methods(["GET", "HEAD", "POST"])
def payment_new(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    access = enter_write_page(request, agency, workspace, CREATE)
    invoice_id = request.POST.get("invoice") or request.GET.get("invoice")
    if not invoice_id:
        return _show_choice(request, access)
    invoice = _get_invoice(access, invoice_id)
    access = check_access(access.workspace, access.connections, invoice.connection, CREATE)
    if access.is_blocked:
        return _page(request, access, invoice, status=409 if request.method == "POST" else 200)
    if request.method == "POST":
        return _save(request, access, invoice)
    places = currencies.count_shown_decimals(invoice.amount_due, invoice.currency)
    initial = {
        "form_key": PaymentPageForm.new_key(),
        "amount": f"{invoice.amount_due:.{places}f}",
        "date": organisation_time.today_in(invoice.connection).isoformat(),
    }
    return _page(request, access, invoice, PaymentPageForm(invoice, initial=initial))


def _get_invoice(access: WriteAccess, invoice_id: str) -> Invoice:
    try:
        invoice = choices.find_document([row.pk for row in access.connections], UUID(invoice_id))
    except ValueError:
        invoice = None
    if invoice is None:
        raise Http404("No such document here.")
    return invoice


def _show_choice(request: HttpRequest, access: WriteAccess) -> HttpResponse:
    """Show the documents with an amount due, to choose the one that is paid."""
    term = request.GET.get("q", "")
    documents = choices.list_payable_documents(access.connection, term) if access.connection else []
    context = {
        "desk": access,
        "connection": access.connection,
        "documents": documents,
        "term": term,
        "title": CREATE.title,
    }
    return render(request, "xero_desk/payment_of.html", context)


def _save(request: HttpRequest, access: WriteAccess, invoice: Invoice) -> HttpResponse:
    earlier = submit.find_earlier_result(
        invoice.connection, CREATE, request.POST.get("form_key", "")
    )
    if earlier is not None:  # this form has paid what was due
        return _redirect_to_result(request, access, invoice, earlier)
    form = PaymentPageForm(invoice, request.POST)
    if not form.is_valid():
        return _page(request, access, invoice, form, status=422)
    key, by = form.cleaned_data["form_key"], gate.person(request)
    result = submit.submit_form(CREATE, invoice.connection, form.cleaned_data, form_key=key, by=by)
    if isinstance(result, submit.Pending):
        return redirect_to_call(request, result.call)
    if isinstance(result, submit.Written):
        return _redirect_to_result(request, access, invoice, result)
    form.add_refusal(result.messages)
    submit.refresh_invoice(invoice.connection, invoice.xero_id)
    return _page(
        request,
        access,
        _get_invoice(access, str(invoice.xero_id)),
        form,
        refused=result.messages,
        status=422,
    )


def _redirect_to_result(
    request: HttpRequest, access: WriteAccess, invoice: Invoice, result: submit.Written
) -> HttpResponse:
    if result.is_repeat:
        messages.info(
            request,
            "This form’s payment was recorded when it was sent first. Nothing was sent again.",
        )
    else:
        submit.store_record(invoice.connection, "payments", result.record)
        submit.refresh_invoice(invoice.connection, invoice.xero_id)
        messages.success(request, "The payment is in Xero.")
    show_warnings(request, result.warnings)
    return redirect(scope.build_document_url(access.workspace, invoice.type, invoice.xero_id))


def _page(
    request: HttpRequest,
    access: WriteAccess,
    invoice: Invoice,
    form: PaymentPageForm | None = None,
    *,
    refused: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "desk": access,
        "connection": invoice.connection,
        "invoice": invoice,
        "is_bill": invoice.type != SALE,
        "form": form,
        "refused": refused or [],
        "locked_until": find_last_locked_day(invoice.connection),
        "title": CREATE.title,
    }
    return render(request, "xero_desk/payment.html", context, status=status)
