"""What a step or a page can do at Xero. One definition each: key, form, run."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms

from connections import errors
from connections.integrations import Action, Call, Data, Done, Failed, Outcome, outcome_of
from connections.models import Connection
from xero.client import client_for

IDS_A_CALL = 40  # Xero's own advice; the address would grow too long


class GetInvoiceForm(forms.Form):
    invoice_id = forms.UUIDField(label="Invoice", help_text="The invoice's ID at Xero.")


class GetInvoice(Action):
    """Reads invoices as they are now. A wave costs one call per 40 of them."""

    key = "xero/get-invoice"
    title = "Get an invoice"
    description = "Reads an invoice or bill from Xero as it is now, with its lines and payments."
    form = GetInvoiceForm
    scopes = frozenset({"accounting.transactions", "accounting.invoices"})
    sample: Data = {
        "InvoiceID": "d3b1c1f4-6d0e-4a53-9f0c-2f7d5f1b2a10",
        "InvoiceNumber": "INV-0042",
        "Type": "ACCREC",
        "Status": "AUTHORISED",
        "Contact": {"ContactID": "5c2d0ab1-91c1-4c9e-8f2b-77d0cf6f6c01", "Name": "Ridgeway University"},
        "DateString": "2026-11-02T00:00:00",
        "DueDateString": "2026-11-30T00:00:00",
        "CurrencyCode": "GBP",
        "SubTotal": Decimal("1000.00"),
        "TotalTax": Decimal("200.00"),
        "Total": Decimal("1200.00"),
        "AmountDue": Decimal("1200.00"),
        "AmountPaid": Decimal("0.00"),
        "LineItems": [{"Description": "Consulting", "Quantity": Decimal(1), "UnitAmount": Decimal("1000.00")}],
    }

    def run(self, call: Call, data: Data) -> Data:
        (outcome,) = self.run_many([call], [data])
        if isinstance(outcome, Done):
            return outcome.output
        raise errors.ProviderError(str(outcome))

    def run_many(self, calls: Sequence[Call], rows: Sequence[Data]) -> list[Outcome]:
        connection = calls[0].connection
        assert connection is not None  # a lane's wave has one
        found: dict[UUID, Outcome] = {}
        wanted = list(dict.fromkeys(row["invoice_id"] for row in rows))
        for chunk in _chunks(wanted):
            try:
                found.update(_read_invoices(connection, chunk))
            except errors.ProviderError as error:
                found.update((invoice_id, outcome_of(error)) for invoice_id in wanted if invoice_id not in found)
                break
        return [found[row["invoice_id"]] for row in rows]


def _read_invoices(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Outcome]:
    """One call. `page` makes Xero send the line items; what it leaves out is not there."""
    params = {"IDs": ",".join(map(str, ids)), "page": 1, "unitdp": 4, "includeArchived": "true"}
    invoices: list[dict[str, Any]] = client_for(connection).get("/Invoices", params=params)["Invoices"]
    found: dict[UUID, Outcome] = {UUID(i["InvoiceID"]): Done(i, subject=_subject(i)) for i in invoices}
    missing = Failed("not-found", f"{connection.name} has no such invoice.", status=200)
    return {invoice_id: found.get(invoice_id, missing) for invoice_id in ids}


def _subject(invoice: dict[str, Any]) -> str:
    """What people call it: its number, or whom it is from where it has none."""
    contact = invoice.get("Contact") or {}
    return str(invoice.get("InvoiceNumber") or contact.get("Name") or "")


def _chunks(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), IDS_A_CALL):
        yield ids[start : start + IDS_A_CALL]
