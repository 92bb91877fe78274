"""Recording payments. A payment has no mark of its own: what its invoice had before sending is compared with after.

Per invoice one payment call is open at a time, of whatever step or form (a unique key of the journal).
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from connections.integrations import Call as ActionCall
from connections.integrations import Cost, Data, Failed, Outcome
from connections.models import Call, Connection
from connections.writers import Draft, Found, Made, Twin, Undecided
from xero import days, forms, scopes, wire
from xero.actions import known, samples
from xero.actions.base import IDS_A_CALL, chunks, connection_of, given
from xero.actions.writing import ELEMENTS_A_CALL, WriteAction, XeroWriter, as_uuid

ZERO = Decimal(0)
PAID = "It is paid already: nothing is due on this invoice."


class PaymentWriter(XeroWriter):
    action = "xero/create-payment"
    verb = "payment recorded"
    path = "/Payments"
    envelope = "Payments"

    def drafts(
        self, calls: Sequence[ActionCall], rows: Sequence[Data], ids: Sequence[UUID]
    ) -> list[Draft | Outcome]:
        connection = connection_of(calls[0])
        invoices = self._invoices(connection, [row["invoice_id"] for row in rows], calls[0].user is not None)
        today = days.today(connection.workspace)
        return [
            _draft(data, id, invoices.get(data["invoice_id"]), connection, today)
            for data, id in zip(rows, ids, strict=True)
        ]

    def made(self, record: Data) -> Made:
        invoice = record.get("Invoice") or {}
        name = f"Payment of {record.get('Amount')} on {invoice.get('InvoiceNumber') or 'a bill'}"
        return Made(UUID(record["PaymentID"]), name, record)

    def look_up(self, connection: Connection, calls: Sequence[Call], *, by_person: bool) -> dict[UUID, Found]:
        targets = [call.target for call in calls if call.target]
        invoices = self._invoices(connection, targets, by_person)
        return {call.pk: self._of(call, invoices.get(call.target)) for call in calls if call.target}

    def _of(self, call: Call, invoice: Data | None) -> Found:
        if invoice is None:
            return Undecided("The invoice is not in Xero any more.")
        new = _new_payments(call, invoice)
        same = [payment for payment in new if _is_same(call, payment)]
        if len(same) == 1:
            return self.made(_whole(call, same[0], invoice))
        if same:
            return Undecided(f"{len(same)} payments like this one have appeared on the invoice since then.")
        if _paid(invoice) != Decimal(call.noted["paid"]) + sum((p["Amount"] for p in new), ZERO):
            return Undecided("The invoice's amount paid has changed in a way its payments do not explain.")
        return None

    def find(self, call: Call, named: str, *, by_person: bool) -> Made | None:
        """By its ID at Xero; without one, the first payment of this amount that appeared since."""
        assert call.target is not None  # a payment is for an invoice
        invoice = self._invoices(call.connection, [call.target], by_person).get(call.target)
        if invoice is None:
            return None
        id = as_uuid(named)
        if id is not None:
            chosen = [one for one in invoice.get("Payments") or [] if UUID(one["PaymentID"]) == id]
        else:
            chosen = [one for one in _new_payments(call, invoice) if one["Amount"] == _amount(call)]
        return self.made(_whole(call, chosen[0], invoice)) if chosen else None

    def _invoices(self, connection: Connection, ids: Sequence[UUID], by_person: bool) -> dict[UUID, Data]:
        client = self.client(connection, by_person)
        found: dict[UUID, Data] = {}
        for chunk in chunks(list(dict.fromkeys(ids)), IDS_A_CALL):
            params: dict[str, str | int] = {"IDs": ",".join(map(str, chunk)), "page": 1}
            invoices = client.get("/Invoices", params={**params, "includeArchived": "true"})["Invoices"]
            found |= {UUID(invoice["InvoiceID"]): invoice for invoice in invoices}
        return found


class CreatePayment(WriteAction):
    key = "xero/create-payment"
    title = "Record a payment"
    description = "Records a payment of an invoice or bill in Xero, exactly once."
    form = forms.CreatePaymentForm
    scopes = scopes.WRITE_PAYMENTS
    amounts = True
    cost = Cost(Decimal(2), Decimal(1) / IDS_A_CALL + Decimal(1) / ELEMENTS_A_CALL)
    sample = samples.PAYMENT
    names = {"account_id": known.PAYMENT_ACCOUNT_ID, "account_code": known.PAYMENT_ACCOUNT}
    writer = PaymentWriter()


def _draft(
    data: Data, id: UUID, invoice: Data | None, connection: Connection, today: date
) -> Draft | Outcome:
    if invoice is None:
        return Failed("not-found", f"{connection.name} has no such invoice.", status=200)
    due = Decimal(invoice.get("AmountDue") or 0)
    amount = data["amount"] if data["amount"] is not None else due
    if amount <= 0:
        paid = (invoice.get("Payments") or [])[-1:]
        if paid:
            return Failed("duplicate", PAID, status=200, existing=_listed(paid[0], invoice))
        return Failed("invalid", "Nothing is due on this invoice.", status=200)
    try:
        body = payment_body(data, amount=amount, today=today)
    except ValueError:
        return Failed("input", "A date lies beyond the calendar.")
    noted = {
        "due": str(due),
        "paid": str(_paid(invoice)),
        "payments": [payment["PaymentID"] for payment in invoice.get("Payments") or []],
        "number": invoice.get("InvoiceNumber") or "",
    }
    subject = f"Payment of {amount} on {invoice.get('InvoiceNumber') or 'a bill'}"
    return Draft(
        id,
        subject,
        body,
        noted,
        target=data["invoice_id"],
        amount=amount,
        currency=invoice.get("CurrencyCode") or "",
        twin=_twin(body, invoice),
    )


def payment_body(data: Data, *, amount: Decimal, today: date) -> Data:
    """Xero's JSON of the cleaned CreatePaymentForm. ValueError: no such day."""
    account = {"AccountID": str(data["account_id"])} if data["account_id"] else {"Code": data["account_code"]}
    return given(
        Invoice={"InvoiceID": str(data["invoice_id"])},
        Account=account,
        Date=(data["date"].on(today) if data["date"] else today).isoformat(),
        Amount=amount,
        Reference=data["reference"],
        CurrencyRate=data["currency_rate"],
    )


def _new_payments(call: Call, invoice: Data) -> list[dict[str, Any]]:
    known = set(call.noted["payments"])
    return [payment for payment in invoice.get("Payments") or [] if payment["PaymentID"] not in known]


def _is_same(call: Call, payment: Data) -> bool:
    return _reads_like(call.body, payment)


def _reads_like(body: Data, payment: Data) -> bool:
    return bool(
        payment["Amount"] == Decimal(body["Amount"])
        and wire.day(payment["Date"]).isoformat() == body["Date"]
        and (payment.get("Reference") or "") == body.get("Reference", "")
    )


def _twin(body: Data, invoice: Data) -> Twin | None:
    for payment in invoice.get("Payments") or []:
        if _reads_like(body, payment):
            text = f"A payment of {body['Amount']} on this day is on the invoice already."
            return Twin(text, _listed(payment, invoice))
    return None


def _amount(call: Call) -> Decimal:
    return Decimal(call.body["Amount"])


def _paid(invoice: Data) -> Decimal:
    return Decimal(invoice.get("AmountPaid") or 0)


def _whole(call: Call, payment: Data, invoice: Data) -> Data:
    """The payment as listed on its invoice, with what only its own record would say."""
    return {**_listed(payment, invoice), "Account": call.body["Account"], "Status": "AUTHORISED"}


def _listed(payment: Data, invoice: Data) -> Data:
    named = {"InvoiceID": invoice["InvoiceID"], "InvoiceNumber": invoice.get("InvoiceNumber") or ""}
    return {**payment, "Invoice": named}
