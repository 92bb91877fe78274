"""The page of a new payment: of one invoice or bill, or the choice of it."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from connections import organisation_time
from taskjuice import currencies
from taskjuice.workspaces import gate
from xero.actions import CreatePayment
from xero.actions.lock_dates import locked_until
from xero.calls.views import show_warnings, to_call
from xero.documents import choices, submit
from xero.documents.access import Desk, enter, of_connection
from xero.documents.forms import PaymentPageForm
from xero.ledger import scope
from xero.ledger.queries import SALE
from xero.models import Invoice

CREATE = CreatePayment()


@require_http_methods(["GET", "HEAD", "POST"])
def payment_new(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    desk = enter(request, agency, workspace, CREATE)
    given = request.POST.get("invoice") or request.GET.get("invoice")
    if not given:
        return _choice(request, desk)
    invoice = _invoice(desk, given)
    desk = of_connection(desk.workspace, desk.connections, invoice.connection, CREATE)
    if desk.is_blocked:
        return _page(request, desk, invoice, status=409 if request.method == "POST" else 200)
    if request.method == "POST":
        return _save(request, desk, invoice)
    initial = {
        "form_key": PaymentPageForm.new_key(),
        "amount": f"{invoice.amount_due:.{currencies.shown(invoice.amount_due, invoice.currency)}f}",
        "date": organisation_time.today_in(invoice.connection).isoformat(),
    }
    return _page(request, desk, invoice, PaymentPageForm(invoice, initial=initial))


def _invoice(desk: Desk, given: str) -> Invoice:
    try:
        found = choices.document([one.pk for one in desk.connections], UUID(given))
    except ValueError:
        found = None
    if found is None:
        raise Http404("No such document here.")
    return found


def _choice(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Which document is paid: those with something due, found by number or contact."""
    term = request.GET.get("q", "")
    found = choices.payable(desk.connection, term) if desk.connection else []
    context = {
        "desk": desk,
        "connection": desk.connection,
        "documents": found,
        "term": term,
        "title": CREATE.title,
    }
    return render(request, "xero_desk/payment_of.html", context)


def _save(request: HttpRequest, desk: Desk, invoice: Invoice) -> HttpResponse:
    before = submit.before(invoice.connection, CREATE, request.POST.get("form_key", ""))
    if before is not None:  # what was due then is paid by it
        return _made(request, desk, invoice, before)
    form = PaymentPageForm(invoice, request.POST)
    if not form.is_valid():
        return _page(request, desk, invoice, form, status=422)
    key, by = form.cleaned_data["form_key"], gate.person(request)
    result = submit.send(CREATE, invoice.connection, form.cleaned_data, form_key=key, by=by)
    if isinstance(result, submit.Open):
        return to_call(request, result.call)
    if isinstance(result, submit.Made):
        return _made(request, desk, invoice, result)
    form.take_refusal(result.messages)
    submit.read_again(invoice.connection, invoice.xero_id)
    return _page(
        request,
        desk,
        _invoice(desk, str(invoice.xero_id)),
        form,
        refused=result.messages,
        status=422,
    )


def _made(request: HttpRequest, desk: Desk, invoice: Invoice, result: submit.Made) -> HttpResponse:
    if result.again:
        messages.info(
            request,
            "This form’s payment was recorded when it was sent first. Nothing was sent again.",
        )
    else:
        submit.keep(invoice.connection, "payments", result.record)
        submit.read_again(invoice.connection, invoice.xero_id)
        messages.success(request, "The payment is in Xero.")
    show_warnings(request, result.warnings)
    return redirect(scope.document_address(desk.workspace, invoice.type, invoice.xero_id))


def _page(
    request: HttpRequest,
    desk: Desk,
    invoice: Invoice,
    form: PaymentPageForm | None = None,
    *,
    refused: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "desk": desk,
        "connection": invoice.connection,
        "invoice": invoice,
        "is_bill": invoice.type != SALE,
        "form": form,
        "refused": refused or [],
        "locked_until": locked_until(invoice.connection),
        "title": CREATE.title,
    }
    return render(request, "xero_desk/payment.html", context, status=status)
