"""The action that creates invoices and bills.

Each document carries the address of its call in `Url`, by which it is found if Xero's answer is
lost.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from connections import organisation_time
from connections.integrations import ActionContext, Cost, Data, Failed, Outcome
from connections.models import Call, Connection
from connections.writes.writers import Found, RecordMade, Twin, WriteDraft
from xero import forms, line_forms, totals
from xero.actions import reference_checks, samples
from xero.actions.base import connection_of, without_empty
from xero.actions.lock_dates import refuse_locked
from xero.actions.writing import ELEMENTS_A_CALL, WriteAction, XeroWriter, field_agrees, parse_uuid
from xero.api import scopes
from xero.api.client import Params
from xero.models import Invoice
from xero.names import name_key
from xero.records.documents import CALL_IN_URL, parse_invoice
from xero.records.fields import read_count, read_day, read_object, read_objects, read_text
from xero.sync.contact_names import find_active_contacts
from xero.sync.mapping import INVOICES

# Before the call: earlier idempotency keys of the same call carried the same mark.
LOOKS_BACK = timedelta(hours=1)
PAGE_SIZE = 1000
COPIED_AMOUNTS = (
    "The lines come from another document, whose amounts may include tax; these are taken as tax"
    " exclusive. Give what that document says: {{ steps.invoice.LineAmountTypes }}, for example."
)
LONGEST_URL = 2000
ECHOED = ("Type", "InvoiceNumber", "Reference", "CurrencyCode")


class InvoiceWriter(XeroWriter):
    action = "xero/create-invoice"
    verb = "invoice created"
    path = "/Invoices"
    envelope = "Invoices"
    kind = INVOICES
    params = {"summarizeErrors": "false", "unitdp": 4}
    says_it_exists = ("invoice # must be unique",)

    def drafts(
        self, calls: Sequence[ActionContext], rows: Sequence[Data], ids: Sequence[UUID]
    ) -> list[WriteDraft | Outcome]:
        connection = connection_of(calls[0])
        today = organisation_time.today_in(connection)
        rows = _with_contacts(connection, rows)
        drafts = [
            self._build_draft(connection, data, id, today)
            for data, id in zip(rows, ids, strict=True)
        ]
        issued = [
            read_day(draft.body, "Date") if isinstance(draft, WriteDraft) else None
            for draft in drafts
        ]
        drafts = refuse_locked(self.client(connection, calls[0].user is not None), drafts, issued)
        return (
            _with_twins(connection, rows, drafts) if any(call.guard for call in calls) else drafts
        )

    def _build_draft(
        self, connection: Connection, data: Data, id: UUID, today: date
    ) -> WriteDraft | Outcome:
        try:
            body = build_invoice_body(data, today=today, url=build_call_url(connection, id))
        except ValueError:
            return Failed("input", "A date lies beyond the calendar.")
        kind = "Bill from" if data["type"] == forms.ACCPAY else "Invoice to"
        whom = data["contact_name"] or data["contact_id"]
        subject = data["number"] or f"{kind} {whom}"
        currency = data["currency"] or connection.details.get("currency", "")
        return WriteDraft(id, subject, body, amount=_sum_lines(data["lines"]), currency=currency)

    def is_about(self, sent: Data, record: Data) -> bool:
        """Compare the call's address in `Url`; without one, the fields that a person would
        compare.
        """
        mark, theirs = (
            CALL_IN_URL.search(read_text(body, "Url", LONGEST_URL)) for body in (sent, record)
        )
        if mark and theirs:  # no other document carries this address
            return mark[1] == theirs[1]
        wanted, contact = sent["Contact"], read_object(record, "Contact")
        lines, day = read_objects(record, "LineItems"), read_day(record, "Date")
        return (
            all(field_agrees(record, name, sent[name]) for name in ECHOED if name in sent)
            and (
                "ContactID" not in wanted or field_agrees(contact, "ContactID", wanted["ContactID"])
            )
            and len(lines) in (0, len(sent["LineItems"]))
            and day in (None, read_day(sent, "Date"))
        )

    def made(self, record: Data) -> RecordMade:
        return RecordMade(UUID(record["InvoiceID"]), parse_invoice(record).name, record)

    def look_up(
        self, connection: Connection, calls: Sequence[Call], *, by_person: bool
    ) -> dict[UUID, Found]:
        """Find the documents that lost calls created, by the addresses they carry.

        This costs one call to Xero as a rule: all that this app has created since the first of the
        calls.
        """
        since = min(call.created_at for call in calls) - LOOKS_BACK
        marked: dict[str, Data] = {}
        page, pages = 1, 1
        while page <= pages:
            params: Params = {
                "createdByMyApp": "true",
                "page": page,
                "pageSize": PAGE_SIZE,
                "unitdp": 4,
            }
            answer = self.client(connection, by_person).get(
                "/Invoices", params=params, modified_since=since
            )
            for invoice in read_objects(answer, "Invoices"):
                if mark := CALL_IN_URL.search(read_text(invoice, "Url", LONGEST_URL)):
                    marked.setdefault(mark[1], dict(invoice))
            pages = read_count(read_object(answer, "pagination"), "pageCount") or 1
            page += 1
        return {call.pk: self._find_invoice(call, marked) for call in calls}

    def _find_invoice(self, call: Call, marked: dict[str, Data]) -> RecordMade | None:
        mark = CALL_IN_URL.search(read_text(call.body, "Url", LONGEST_URL))
        invoice = marked.get(mark[1]) if mark else None
        return self.made(invoice) if invoice else None

    def find(self, call: Call, named: str, *, by_person: bool) -> RecordMade | None:
        by = {"IDs": named} if parse_uuid(named) else {"InvoiceNumbers": named}
        if "," in named or not named:
            return None
        answer = self.client(call.connection, by_person).get(
            "/Invoices", params={**by, "page": 1, "unitdp": 4}
        )
        candidates = [
            invoice
            for invoice in read_objects(answer, "Invoices")
            if invoice.get("Type") == call.body["Type"]
        ]
        return self.made(dict(candidates[0])) if len(candidates) == 1 else None


class CreateInvoice(WriteAction):
    key = "xero/create-invoice"
    title = "Create an invoice or bill"
    description = "Creates an invoice (sale) or a bill (purchase) in Xero, exactly once."
    form = forms.CreateInvoiceForm
    scopes = scopes.WRITE_INVOICES
    amounts = True
    cost = Cost(Decimal(1), Decimal(1) / ELEMENTS_A_CALL)
    sample = samples.INVOICE
    always = samples.ALWAYS_IN_INVOICE
    names = {"contact_id": reference_checks.CONTACT_ID}
    names_in_lines: ClassVar[Mapping[str, reference_checks.Naming]] = {
        "account_code": reference_checks.ACCOUNT,
        "item_code": reference_checks.ITEM,
    }
    writer = InvoiceWriter()

    def cautions(self, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield a caution where copied lines may not match the choice of tax inclusive or
        exclusive.
        """
        lines = given.get("lines")
        # The other document's LineAmountTypes decide whether the copied prices include tax.
        if (
            isinstance(lines, str)
            and "{{" in lines
            and "{{" not in str(given.get("line_amount_types"))
        ):
            yield "line_amount_types", COPIED_AMOUNTS

    def named(self, given: Mapping[str, Any]) -> Iterator[reference_checks.NamedRecord]:
        yield from super().named(given)
        for row in line_forms.list_line_rows(given.get("lines")):
            yield from reference_checks.list_named_records(row, self.names_in_lines, "lines")


def _with_twins(
    connection: Connection, rows: Sequence[Data], drafts: Sequence[WriteDraft | Outcome]
) -> list[WriteDraft | Outcome]:
    """Add to each draft the document of the local copy with the same number, if there is one.

    For a bill it has to be the same supplier's; a sales invoice's number is unique in its
    organisation.
    """
    numbers = {row["number"] for row in rows if row["number"]}
    types = {row["type"] for row in rows}
    same_number = Invoice.objects.filter(connection=connection, type__in=types, number__in=numbers)
    invoices = list(same_number.exclude(status__in=["VOIDED", "DELETED"])) if numbers else []
    return [
        replace(draft, twin=_find_twin(row, invoices)) if isinstance(draft, WriteDraft) else draft
        for row, draft in zip(rows, drafts, strict=True)
    ]


def _with_contacts(connection: Connection, rows: Sequence[Data]) -> Sequence[Data]:
    """Replace the names of existing contacts by their IDs."""
    names = [row["contact_name"] for row in rows if row["contact_name"] and not row["contact_id"]]
    # Xero compares names letter by letter and would create a second contact for other blanks.
    contacts = find_active_contacts(connection, names) if names else {}
    return [
        {**row, "contact_id": contacts[name_key(row["contact_name"])].xero_id}
        if not row["contact_id"] and name_key(row["contact_name"]) in contacts
        else row
        for row in rows
    ]


def _find_twin(row: Data, invoices: Sequence[Invoice]) -> Twin | None:
    name = name_key(row["contact_name"])
    for invoice in invoices:
        same_contact = row["contact_id"] == invoice.contact_xero_id or name == name_key(
            invoice.contact_name
        )
        if (invoice.type, invoice.number) == (row["type"], row["number"]) and (
            same_contact or invoice.type == forms.ACCREC
        ):
            return Twin(
                f"{invoice.number} of {invoice.contact_name} is in Xero already.", invoice.body
            )
    return None


def _sum_lines(lines: Sequence[Data]) -> Decimal | None:
    """Return the sum of the lines, or None where an item's own price is used, which only Xero
    knows.

    Tax is included where the lines' prices include it.
    """
    if any(line["item_code"] and line["unit_amount"] is None for line in lines):
        return None
    return sum((totals.compute_line_amount(line) for line in lines), totals.ZERO)


def build_call_url(connection: Connection, id: UUID) -> str:
    """Return the address of the call's page, which Xero shows as "Go to TaskJuice"."""
    tenant = {"agency": connection.agency.slug, "workspace": connection.workspace.slug}
    return settings.BASE_URL + reverse("xero:call-detail", kwargs={**tenant, "call": id})


def build_invoice_body(data: Data, *, today: date, url: str) -> Data:
    """Build Xero's JSON from the cleaned CreateInvoiceForm, without tax amounts: Xero computes
    them.

    Raises ValueError for a date beyond the calendar.
    """
    issued = data["date"].on(today) if data["date"] else today
    contact = (
        {"ContactID": str(data["contact_id"])}
        if data["contact_id"]
        else {"Name": data["contact_name"]}
    )
    return without_empty(
        Type=data["type"],
        Contact=contact,
        Date=issued.isoformat(),
        DueDate=_format_day(data["due_date"], issued),
        InvoiceNumber=data["number"],
        Reference=data["reference"],
        CurrencyCode=data["currency"],
        CurrencyRate=data["currency_rate"],
        LineAmountTypes=data["line_amount_types"],
        Status=data["status"],
        BrandingThemeID=str(data["branding_theme_id"] or ""),
        ExpectedPaymentDate=_format_day(data["expected_payment_date"], issued),
        PlannedPaymentDate=_format_day(data["planned_payment_date"], issued),
        SentToContact=True if data["sent_to_contact"] else None,
        Url=url,
        LineItems=[_build_line(line) for line in data["lines"]],
    )


def _build_line(line: Data) -> Data:
    return without_empty(
        ItemCode=line["item_code"],
        Description=line["description"],
        Quantity=line["quantity"],
        UnitAmount=line["unit_amount"],
        DiscountRate=line["discount_rate"],
        AccountCode=line["account_code"],
        TaxType=line["tax_type"],
        Tracking=[
            {"Name": category["name"], "Option": category["option"]}
            for category in line["tracking"]
        ],
    )


def _format_day(day: Any, base: date) -> str:
    return day.on(base).isoformat() if day else ""
