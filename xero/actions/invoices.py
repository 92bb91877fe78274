"""Creating invoices and bills. Each carries the address of its call in `Url`, by which it is found
again.
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
from connections.integrations import Call as ActionCall
from connections.integrations import Cost, Data, Failed, Outcome
from connections.models import Call, Connection
from connections.writes.writers import Draft, Found, Made, Twin
from xero import forms, totals
from xero.actions import known, samples
from xero.actions.base import connection_of, given
from xero.actions.lock_dates import refuse_locked
from xero.actions.writing import ELEMENTS_A_CALL, WriteAction, XeroWriter, agrees, as_uuid
from xero.api import scopes
from xero.api.client import Params
from xero.models import Invoice
from xero.names import name_key
from xero.records.documents import CALL_IN_URL, parse_invoice
from xero.records.fields import read_count, read_day, read_object, read_objects, read_text
from xero.sync.contact_names import active_contacts
from xero.sync.mapping import INVOICES

LOOKS_BACK = timedelta(
    hours=1
)  # before the call; earlier keys of the same call carried the same mark
PAGE_SIZE = 1000
COPIED_AMOUNTS = (
    "The lines come from another document, whose amounts may include tax; these are taken as tax exclusive. Give what"
    " that document says: {{ steps.invoice.LineAmountTypes }}, for example."
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
        self, calls: Sequence[ActionCall], rows: Sequence[Data], ids: Sequence[UUID]
    ) -> list[Draft | Outcome]:
        connection = connection_of(calls[0])
        today = organisation_time.today_in(connection)
        rows = _with_contacts(connection, rows)
        found = [
            self._draft(connection, data, id, today) for data, id in zip(rows, ids, strict=True)
        ]
        issued = [
            read_day(draft.body, "Date") if isinstance(draft, Draft) else None for draft in found
        ]
        found = refuse_locked(self.client(connection, calls[0].user is not None), found, issued)
        return _with_twins(connection, rows, found) if any(call.guard for call in calls) else found

    def _draft(self, connection: Connection, data: Data, id: UUID, today: date) -> Draft | Outcome:
        try:
            body = invoice_body(data, today=today, url=address_of(connection, id))
        except ValueError:
            return Failed("input", "A date lies beyond the calendar.")
        kind = "Bill from" if data["type"] == forms.ACCPAY else "Invoice to"
        whom = data["contact_name"] or data["contact_id"]
        subject = data["number"] or f"{kind} {whom}"
        currency = data["currency"] or connection.details.get("currency", "")
        return Draft(id, subject, body, amount=_amount(data["lines"]), currency=currency)

    def is_about(self, sent: Data, record: Data) -> bool:
        """The mark decides, since no other document carries it; without it all that a person would
        compare.
        """
        mark, theirs = (
            CALL_IN_URL.search(read_text(one, "Url", LONGEST_URL)) for one in (sent, record)
        )
        if mark and theirs:
            return mark[1] == theirs[1]
        wanted, contact = sent["Contact"], read_object(record, "Contact")
        lines, day = read_objects(record, "LineItems"), read_day(record, "Date")
        return (
            all(agrees(record, name, sent[name]) for name in ECHOED if name in sent)
            and ("ContactID" not in wanted or agrees(contact, "ContactID", wanted["ContactID"]))
            and len(lines) in (0, len(sent["LineItems"]))
            and day in (None, read_day(sent, "Date"))
        )

    def made(self, record: Data) -> Made:
        return Made(UUID(record["InvoiceID"]), parse_invoice(record).name, record)

    def look_up(
        self, connection: Connection, calls: Sequence[Call], *, by_person: bool
    ) -> dict[UUID, Found]:
        """One call as a rule: what this app has made since then, by its marks."""
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
                if found := CALL_IN_URL.search(read_text(invoice, "Url", LONGEST_URL)):
                    marked.setdefault(found[1], dict(invoice))
            pages = read_count(read_object(answer, "pagination"), "pageCount") or 1
            page += 1
        return {call.pk: self._of(call, marked) for call in calls}

    def _of(self, call: Call, marked: dict[str, Data]) -> Made | None:
        mark = CALL_IN_URL.search(read_text(call.body, "Url", LONGEST_URL))
        invoice = marked.get(mark[1]) if mark else None
        return self.made(invoice) if invoice else None

    def find(self, call: Call, named: str, *, by_person: bool) -> Made | None:
        by = {"IDs": named} if as_uuid(named) else {"InvoiceNumbers": named}
        if "," in named or not named:
            return None
        answer = self.client(call.connection, by_person).get(
            "/Invoices", params={**by, "page": 1, "unitdp": 4}
        )
        same = [
            one for one in read_objects(answer, "Invoices") if one.get("Type") == call.body["Type"]
        ]
        return self.made(dict(same[0])) if len(same) == 1 else None


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
    names = {"contact_id": known.CONTACT_ID}
    names_in_lines: ClassVar[Mapping[str, known.Naming]] = {
        "account_code": known.ACCOUNT,
        "item_code": known.ITEM,
    }
    writer = InvoiceWriter()

    def cautions(self, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Copied prices mean what the document they come from says of tax."""
        lines = given.get("lines")
        if (
            isinstance(lines, str)
            and "{{" in lines
            and "{{" not in str(given.get("line_amount_types"))
        ):
            yield "line_amount_types", COPIED_AMOUNTS

    def named(self, given: Mapping[str, Any]) -> Iterator[known.Named]:
        yield from super().named(given)
        for row in forms.line_rows(given.get("lines")):
            yield from known.fixed(row, self.names_in_lines, "lines")


def _with_twins(
    connection: Connection, rows: Sequence[Data], drafts: Sequence[Draft | Outcome]
) -> list[Draft | Outcome]:
    """The local copy knows of documents with this number: of a sale anyone's, of a bill the same
    supplier's.
    """
    numbers = {row["number"] for row in rows if row["number"]}
    types = {row["type"] for row in rows}
    known = Invoice.objects.filter(connection=connection, type__in=types, number__in=numbers)
    there = list(known.exclude(status__in=["VOIDED", "DELETED"])) if numbers else []
    return [
        replace(draft, twin=_twin(row, there)) if isinstance(draft, Draft) else draft
        for row, draft in zip(rows, drafts, strict=True)
    ]


def _with_contacts(connection: Connection, rows: Sequence[Data]) -> Sequence[Data]:
    """A contact that is there is given by its ID: Xero would make a second one of a name with other
    blanks.
    """
    names = [row["contact_name"] for row in rows if row["contact_name"] and not row["contact_id"]]
    known = active_contacts(connection, names) if names else {}
    return [
        {**row, "contact_id": known[name_key(row["contact_name"])].xero_id}
        if not row["contact_id"] and name_key(row["contact_name"]) in known
        else row
        for row in rows
    ]


def _twin(row: Data, there: Sequence[Invoice]) -> Twin | None:
    name = name_key(row["contact_name"])
    for one in there:
        same_contact = row["contact_id"] == one.contact_xero_id or name == name_key(
            one.contact_name
        )
        if (one.type, one.number) == (row["type"], row["number"]) and (
            same_contact or one.type == forms.ACCREC
        ):
            return Twin(f"{one.number} of {one.contact_name} is in Xero already.", one.body)
    return None


def _amount(lines: Sequence[Data]) -> Decimal | None:
    """As the lines add up, tax inside where their prices include it. An item's own price is known
    to Xero only.
    """
    if any(line["item_code"] and line["unit_amount"] is None for line in lines):
        return None
    return sum((totals.line_amount(line) for line in lines), totals.ZERO)


def address_of(connection: Connection, id: UUID) -> str:
    """The page of a call, as Xero shows it: "Go to TaskJuice"."""
    place = {"agency": connection.agency.slug, "workspace": connection.workspace.slug}
    return settings.BASE_URL + reverse("xero:call-detail", kwargs={**place, "call": id})


def invoice_body(data: Data, *, today: date, url: str) -> Data:
    """Xero's JSON of the cleaned CreateInvoiceForm. No tax amounts: Xero works them out.
    ValueError: no such day.
    """
    issued = data["date"].on(today) if data["date"] else today
    contact = (
        {"ContactID": str(data["contact_id"])}
        if data["contact_id"]
        else {"Name": data["contact_name"]}
    )
    return given(
        Type=data["type"],
        Contact=contact,
        Date=issued.isoformat(),
        DueDate=_iso(data["due_date"], issued),
        InvoiceNumber=data["number"],
        Reference=data["reference"],
        CurrencyCode=data["currency"],
        CurrencyRate=data["currency_rate"],
        LineAmountTypes=data["line_amount_types"],
        Status=data["status"],
        BrandingThemeID=str(data["branding_theme_id"] or ""),
        ExpectedPaymentDate=_iso(data["expected_payment_date"], issued),
        PlannedPaymentDate=_iso(data["planned_payment_date"], issued),
        SentToContact=True if data["sent_to_contact"] else None,
        Url=url,
        LineItems=[_line(line) for line in data["lines"]],
    )


def _line(line: Data) -> Data:
    return given(
        ItemCode=line["item_code"],
        Description=line["description"],
        Quantity=line["quantity"],
        UnitAmount=line["unit_amount"],
        DiscountRate=line["discount_rate"],
        AccountCode=line["account_code"],
        TaxType=line["tax_type"],
        Tracking=[{"Name": one["name"], "Option": one["option"]} for one in line["tracking"]],
    )


def _iso(day: Any, base: date) -> str:
    return day.on(base).isoformat() if day else ""
