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
from xero.calls.views import redirect_to_call, show_warnings
from xero.documents import choices, line_items, row_errors, submit, tax_rates
from xero.documents.access import WriteAccess, enter_write_page
from xero.documents.forms import DocumentPageForm
from xero.documents.rows import (
    FIRST_ROWS,
    LineChoices,
    RowForm,
    build_row_forms,
    preview_totals,
    read_posted_rows,
)
from xero.fields import RelativeDayField
from xero.ledger import scope
from xero.ledger.queries import SALE
from xero.models import Contact
from xero.records.documents import parse_invoice
from xero.totals import InvoiceTotals

STATUSES = {"draft": "DRAFT", "submit": "SUBMITTED", "approve": "AUTHORISED"}
CREATE = CreateInvoice()


@require_http_methods(["GET", "HEAD", "POST"])
def document_new(request: HttpRequest, agency: str, workspace: str, type: str) -> HttpResponse:
    """Show or save a new document.

    A POST by any other button edits the rows, previews the totals and shows the form again.
    """
    access = enter_write_page(request, agency, workspace, CREATE)
    if access.connection is None or access.is_blocked:
        return _page(request, access, type, status=409 if request.method == "POST" else 200)
    if request.method != "POST":
        return _show_blank_form(request, access, access.connection, type)
    if request.POST.get("do") in STATUSES:
        return _save(request, access, access.connection, type)
    return _edit(request, access, access.connection, type)


@require_http_methods(["GET", "HEAD"])
def contact_find(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    """List the contacts that the browser suggests while a name is typed."""
    access = enter_write_page(request, agency, workspace, CREATE)
    term = request.GET.get("contact_name", "")[:100].replace("\0", "")
    contacts = choices.list_contacts(access.connection, term) if access.connection else []
    return render(request, "xero_desk/_contacts.html", {"contacts": contacts})


def _show_blank_form(
    request: HttpRequest, access: WriteAccess, connection: Connection, type: str
) -> HttpResponse:
    line_choices = LineChoices(connection, type, tax_rates.read_cached_rates(connection))
    initial = {
        "form_key": DocumentPageForm.new_key(),
        "date": organisation_time.today_in(connection).isoformat(),
        "due_date": choices.read_default_due_date(getattr(connection, "ledger", None), type),
        "contact_name": _find_contact_name(connection, request.GET.get("contact", "")),
    }
    form = DocumentPageForm(line_choices, initial=initial)
    return _page(
        request, access, type, form=form, rows=build_row_forms(line_choices, [{}] * FIRST_ROWS)
    )


def _edit(
    request: HttpRequest, access: WriteAccess, connection: Connection, type: str
) -> HttpResponse:
    """Show the form with edited rows; nothing typed is lost, and no error is shown yet."""
    line_choices = LineChoices(connection, type, tax_rates.fetch_rates(connection))
    do = request.POST.get("do", "")
    before = read_posted_rows(request.POST)
    after = line_items.edit_rows(before, do, line_choices)
    values = {
        name: request.POST[name] for name in DocumentPageForm.base_fields if name in request.POST
    }
    # In another organisation this form was never sent, so it gets a key of its own there.
    if do == "organisation" or "form_key" not in values:
        values["form_key"] = str(DocumentPageForm.new_key())
    form = DocumentPageForm(line_choices, initial=values)
    rows = build_row_forms(line_choices, after, quiet=True)
    new = line_items.find_first_new_row(before, after)
    if new is not None and do in line_items.ADDED:
        rows[new].fields["description"].widget.attrs["autofocus"] = True
    totals = preview_totals(
        line_choices, build_row_forms(line_choices, after), values.get("line_amount_types", "")
    )
    return _page(request, access, type, form=form, rows=rows, totals=totals)


def _save(
    request: HttpRequest, access: WriteAccess, connection: Connection, type: str
) -> HttpResponse:
    line_choices = LineChoices(connection, type, tax_rates.fetch_rates(connection))
    form = DocumentPageForm(line_choices, _with_status(request.POST))
    refused: list[str] = []
    if form.is_valid():
        key, by = form.cleaned_data["form_key"], gate.person(request)
        result = submit.submit_form(CREATE, connection, form.cleaned_data, form_key=key, by=by)
        if isinstance(result, submit.Pending):
            return redirect_to_call(request, result.call)
        if isinstance(result, submit.Written):
            return _redirect_to_result(request, access, connection, result)
        refused = row_errors.renumber_messages(read_posted_rows(request.POST), result.messages)
        form.add_refusal(refused)
    rows = build_row_forms(line_choices, read_posted_rows(request.POST) or [{}] * FIRST_ROWS)
    row_errors.add_row_errors(rows, refused)
    totals = preview_totals(line_choices, rows, request.POST.get("line_amount_types", ""))
    return _page(
        request, access, type, form=form, rows=rows, totals=totals, refused=refused, status=422
    )


def _redirect_to_result(
    request: HttpRequest, access: WriteAccess, connection: Connection, result: submit.Written
) -> HttpResponse:
    record = parse_invoice(result.record)
    submit.store_record(connection, "invoices", result.record)
    noun = "Invoice" if record.type == SALE else "Bill"
    name = f"{noun} {record.number}".strip()
    if result.is_repeat:
        messages.info(
            request, f"This form made {name} when it was sent first. Nothing was sent again."
        )
    else:
        messages.success(request, f"{name} is in Xero.")
    show_warnings(request, result.warnings)
    return redirect(
        scope.build_document_url(access.workspace, record.type, result.record["InvoiceID"])
    )


def _page(
    request: HttpRequest,
    access: WriteAccess,
    type: str,
    *,
    form: DocumentPageForm | None = None,
    rows: list[RowForm] | None = None,
    totals: InvoiceTotals | None = None,
    refused: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render the whole page, or for htmx the part that it requests."""
    context: dict[str, Any] = {
        "desk": access,
        "connection": access.connection,
        "type": type,
        "is_bill": type != SALE,
        "title": CREATE.title,
    }
    if form is not None and access.connection is not None:
        context |= _build_form_context(access, access.connection, form, rows or [], totals)
        context["refused"] = refused or []
        # The page that is only viewed makes no call to Xero itself; it has the rates fetched once.
        context["needs_rates"] = request.method == "GET" and all(
            rate.rate is None for rate in form.line_choices.rates.values()
        )
    part = request.GET.get("part") if request.headers.get("HX-Request") and form is not None else ""
    template = {"sums": "_sums_part", "lines": "_lines_part"}.get(part or "", "document")
    return render(request, f"xero_desk/{template}.html", context, status=status)


def _build_form_context(
    access: WriteAccess,
    connection: Connection,
    form: DocumentPageForm,
    rows: list[RowForm],
    totals: InvoiceTotals | None,
) -> dict[str, Any]:
    line_choices = form.line_choices
    totals = totals or preview_totals(
        line_choices, rows, str(form["line_amount_types"].value() or "")
    )
    names = {type: rate.name for type, rate in line_choices.rates.items()}
    amounts = list(totals.lines)
    return {
        "form": form,
        "rows": list(zip(rows, amounts, strict=True)),
        "totals": totals,
        "taxes": [(names.get(type, type), tax) for type, tax in totals.taxes.items()],
        "issued_and_due": _read_dates(connection, form),
        "contacts": choices.list_contacts(connection, str(form["contact_name"].value() or "")),
        "items": choices.list_items(connection, line_choices.type),
        "currencies": choices.list_currencies(connection, access.base),
        "currency": _read_currency(form) or access.base,
    }


def _read_currency(form: DocumentPageForm) -> str:
    """Return what was typed if it can be the code of a currency."""
    typed = str(form["currency"].value() or "").upper()
    return typed if re.fullmatch("[A-Z]{3}", typed) else ""


def _read_dates(connection: Connection, form: DocumentPageForm) -> tuple[date, date | None] | None:
    """Return issue date and due date as they will be, or None if they do not validate."""
    try:
        issued = RelativeDayField(required=False).clean(form["date"].value())
        due = RelativeDayField(required=False).clean(form["due_date"].value())
        today = organisation_time.today_in(connection)
        start = issued.on(today) if issued else today
        return start, due.on(start) if due else None
    except (ValueError, ValidationError):
        return None


def _with_status(data: QueryDict) -> QueryDict:
    values = data.copy()
    values.pop("lines", None)
    values["status"] = STATUSES[str(data["do"])]
    return values


def _find_contact_name(connection: Connection, xero_id: str) -> str:
    """Return the name of the contact whose page linked here, or ""."""
    if not xero_id:
        return ""
    try:
        contact = Contact.objects.filter(connection=connection, xero_id=xero_id).first()
    except ValidationError:  # not a UUID
        return ""
    return contact.name if contact else ""
