"""The page of a new invoice or bill."""

import re
from datetime import date
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from connections import organisation_time
from connections.models import Connection
from taskjuice.workspaces import gate
from xero.actions import CreateInvoice
from xero.calls.views import show_warnings, to_call
from xero.documents import choices, line_items, row_errors, submit, tax_rates
from xero.documents.access import Desk, enter
from xero.documents.forms import (
    FIRST_ROWS,
    DocumentForm,
    Offer,
    RowForm,
    posted_rows,
    preview,
    row_forms,
)
from xero.fields import DayField
from xero.ledger import scope
from xero.ledger.queries import SALE
from xero.models import Contact
from xero.records.documents import parse_invoice
from xero.totals import Totals

STATUSES = {"draft": "DRAFT", "submit": "SUBMITTED", "approve": "AUTHORISED"}
CREATE = CreateInvoice()


@require_http_methods(["GET", "HEAD", "POST"])
def document_new(request: HttpRequest, agency: str, workspace: str, type: str) -> HttpResponse:
    """A POST whose button is no way of saving only edits the rows, previews the totals and asks
    anew.
    """
    desk = enter(request, agency, workspace, CREATE)
    if desk.connection is None or desk.is_blocked:
        return _page(request, desk, type, status=409 if request.method == "POST" else 200)
    if request.method != "POST":
        return _first(request, desk, desk.connection, type)
    if request.POST.get("do") in STATUSES:
        return _save(request, desk, desk.connection, type)
    return _edit(request, desk, desk.connection, type)


@require_http_methods(["GET", "HEAD"])
def contact_find(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    """The contacts that a browser offers for what is being typed."""
    desk = enter(request, agency, workspace, CREATE)
    term = request.GET.get("contact_name", "")[:100].replace("\0", "")
    found = choices.contacts(desk.connection, term) if desk.connection else []
    return render(request, "xero_desk/_contacts.html", {"contacts": found})


def _first(request: HttpRequest, desk: Desk, connection: Connection, type: str) -> HttpResponse:
    offer = Offer(connection, type, tax_rates.known(connection))
    initial = {
        "form_key": DocumentForm.new_key(),
        "date": organisation_time.today_in(connection).isoformat(),
        "due_date": choices.usual_due(getattr(connection, "ledger", None), type),
        "contact_name": _named(connection, request.GET.get("contact", "")),
    }
    form = DocumentForm(offer, initial=initial)
    return _page(request, desk, type, form=form, rows=row_forms(offer, [{}] * FIRST_ROWS))


def _edit(request: HttpRequest, desk: Desk, connection: Connection, type: str) -> HttpResponse:
    """Nothing typed is lost and nothing is complained about yet."""
    offer = Offer(connection, type, tax_rates.fresh(connection))
    do = request.POST.get("do", "")
    before = posted_rows(request.POST)
    after = line_items.edited(before, do, offer)
    values = {name: request.POST[name] for name in DocumentForm.base_fields if name in request.POST}
    if (
        do == "organisation" or "form_key" not in values
    ):  # another ledger: nothing of it was sent yet
        values["form_key"] = str(DocumentForm.new_key())
    form = DocumentForm(offer, initial=values)
    rows = row_forms(offer, after, quiet=True)
    new = line_items.first_new(before, after)
    if new is not None and do in line_items.ADDED:
        rows[new].fields["description"].widget.attrs["autofocus"] = True
    totals = preview(offer, row_forms(offer, after), values.get("line_amount_types", ""))
    return _page(request, desk, type, form=form, rows=rows, totals=totals)


def _save(request: HttpRequest, desk: Desk, connection: Connection, type: str) -> HttpResponse:
    offer = Offer(connection, type, tax_rates.fresh(connection))
    form = DocumentForm(offer, _with_status(request.POST))
    refused: list[str] = []
    if form.is_valid():
        key, by = form.cleaned_data["form_key"], gate.person(request)
        result = submit.send(CREATE, connection, form.cleaned_data, form_key=key, by=by)
        if isinstance(result, submit.Open):
            return to_call(request, result.call)
        if isinstance(result, submit.Made):
            return _made(request, desk, connection, result)
        refused = row_errors.as_shown(posted_rows(request.POST), result.messages)
        form.take_refusal(refused)
    rows = row_forms(offer, posted_rows(request.POST) or [{}] * FIRST_ROWS)
    row_errors.show(rows, refused)
    totals = preview(offer, rows, request.POST.get("line_amount_types", ""))
    return _page(
        request, desk, type, form=form, rows=rows, totals=totals, refused=refused, status=422
    )


def _made(
    request: HttpRequest, desk: Desk, connection: Connection, result: submit.Made
) -> HttpResponse:
    record = parse_invoice(result.record)
    submit.keep(connection, "invoices", result.record)
    noun = "Invoice" if record.type == SALE else "Bill"
    named = f"{noun} {record.number}".strip()
    if result.again:
        messages.info(
            request, f"This form made {named} when it was sent first. Nothing was sent again."
        )
    else:
        messages.success(request, f"{named} is in Xero.")
    show_warnings(request, result.warnings)
    return redirect(scope.document_address(desk.workspace, record.type, result.record["InvoiceID"]))


def _page(
    request: HttpRequest,
    desk: Desk,
    type: str,
    *,
    form: DocumentForm | None = None,
    rows: list[RowForm] | None = None,
    totals: Totals | None = None,
    refused: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    """The whole page, or for htmx the part that it asks for."""
    context: dict[str, Any] = {
        "desk": desk,
        "connection": desk.connection,
        "type": type,
        "is_bill": type != SALE,
        "title": CREATE.title,
    }
    if form is not None and desk.connection is not None:
        context |= _of_form(desk, desk.connection, form, rows or [], totals)
        context["refused"] = refused or []
        # Once, by the page that is only looked at: it asks nobody itself.
        context["needs_rates"] = request.method == "GET" and all(
            rate.rate is None for rate in form.offer.rates.values()
        )
    part = request.GET.get("part") if request.headers.get("HX-Request") and form is not None else ""
    template = {"sums": "_sums_part", "lines": "_lines_part"}.get(part or "", "document")
    return render(request, f"xero_desk/{template}.html", context, status=status)


def _of_form(
    desk: Desk,
    connection: Connection,
    form: DocumentForm,
    rows: list[RowForm],
    totals: Totals | None,
) -> dict[str, Any]:
    offer = form.offer
    totals = totals or preview(offer, rows, str(form["line_amount_types"].value() or ""))
    names = {type: rate.name for type, rate in offer.rates.items()}
    amounts = list(totals.lines)
    return {
        "form": form,
        "rows": list(zip(rows, amounts, strict=True)),
        "totals": totals,
        "taxes": [(names.get(type, type), tax) for type, tax in totals.taxes.items()],
        "issued_and_due": _days(connection, form),
        "contacts": choices.contacts(connection, str(form["contact_name"].value() or "")),
        "items": choices.items(connection, offer.type),
        "currencies": choices.currencies(connection, desk.base),
        "currency": _currency(form) or desk.base,
    }


def _currency(form: DocumentForm) -> str:
    """What was typed, where it can be a currency's code."""
    typed = str(form["currency"].value() or "").upper()
    return typed if re.fullmatch("[A-Z]{3}", typed) else ""


def _days(connection: Connection, form: DocumentForm) -> tuple[date, date | None] | None:
    """Issue date and due date as they will be, where they make sense."""
    try:
        issued = DayField(required=False).clean(form["date"].value())
        due = DayField(required=False).clean(form["due_date"].value())
        start = (
            issued.on(organisation_time.today_in(connection))
            if issued
            else organisation_time.today_in(connection)
        )
        return start, due.on(start) if due else None
    except (ValueError, ValidationError):
        return None


def _with_status(data: QueryDict) -> QueryDict:
    given = data.copy()
    given.pop("lines", None)
    given["status"] = STATUSES[str(data["do"])]
    return given


def _named(connection: Connection, xero_id: str) -> str:
    """The name of the contact whose page led here."""
    try:
        found = (
            Contact.objects.filter(connection=connection, xero_id=xero_id).first()
            if xero_id
            else None
        )
    except ValidationError:  # no id at all
        return ""
    return found.name if found else ""
