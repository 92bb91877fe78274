"""The action that records payments.

A payment carries no mark of its own. Whether it was made is decided by comparing the payments of
its invoice before and after sending. For that, each invoice has at most one open payment call,
whichever step or form made it (a unique constraint of the journal).
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

from connections import organisation_time
from connections.integrations import ActionContext, Cost, Data, Failed, Outcome
from connections.models import Call, Connection
from connections.writes.writers import Found, RecordMade, Twin, Undecided, WriteDraft
from taskjuice import currencies
from xero import forms
from xero.actions import reference_checks, samples
from xero.actions.base import IDS_A_CALL, connection_of, split_chunks, without_empty
from xero.actions.lock_dates import refuse_locked
from xero.actions.writing import ELEMENTS_A_CALL, WriteAction, XeroWriter, field_agrees, parse_uuid
from xero.api import scopes
from xero.records.documents import parse_invoice, parse_payment, parse_payment_reference
from xero.records.fields import (
    Body,
    read_amount,
    read_day,
    read_object,
    read_objects,
    read_objects_by_id,
    read_text,
    read_uuid,
)

ZERO = Decimal(0)
NOTHING_DUE = "Nothing is due on this invoice."
PAID = "It is paid already: nothing is due on this invoice."


class PaymentWriter(XeroWriter):
    action = "xero/create-payment"
    verb = "payment recorded"
    path = "/Payments"
    envelope = "Payments"

    def drafts(
        self, calls: Sequence[ActionContext], rows: Sequence[Data], ids: Sequence[UUID]
    ) -> list[WriteDraft | Outcome]:
        connection = connection_of(calls[0])
        invoices = self._read_invoices(
            connection, [row["invoice_id"] for row in rows], calls[0].user is not None
        )
        today = organisation_time.today_in(connection)
        drafts = [
            _build_draft(data, id, invoices.get(data["invoice_id"]), connection, today)
            for data, id in zip(rows, ids, strict=True)
        ]
        paid_on = [
            read_day(draft.body, "Date") if isinstance(draft, WriteDraft) else None
            for draft in drafts
        ]
        return refuse_locked(self.client(connection, calls[0].user is not None), drafts, paid_on)

    def is_about(self, sent: Data, record: Data) -> bool:
        paid, amount = read_object(record, "Invoice"), read_amount(record, "Amount")
        return (
            field_agrees(paid, "InvoiceID", sent["Invoice"]["InvoiceID"])
            and amount in (None, read_amount(sent, "Amount"))
            and read_day(record, "Date") in (None, read_day(sent, "Date"))
        )

    def made(self, record: Data) -> RecordMade:
        payment = parse_payment(record)
        name = f"Payment of {payment.amount} on {payment.document.number or 'a bill'}"
        return RecordMade(UUID(record["PaymentID"]), name, record)

    def look_up(
        self, connection: Connection, calls: Sequence[Call], *, by_person: bool
    ) -> dict[UUID, Found]:
        targets = [call.target for call in calls if call.target]
        invoices = self._read_invoices(connection, targets, by_person)
        return {
            call.pk: self._find_payment(call, invoices.get(call.target))
            for call in calls
            if call.target
        }

    def _find_payment(self, call: Call, invoice: Data | None) -> Found:
        if invoice is None:
            return Undecided("The invoice is not in Xero any more.")
        new = _new_payments(call, invoice)
        alike = [payment for payment in new if _reads_like(call.body, payment)]
        if len(alike) == 1:
            return self.made(_complete_payment(call, alike[0], invoice))
        if alike:
            return Undecided(
                f"{len(alike)} payments like this one have appeared on the invoice since then."
            )
        if _amount_paid(invoice) != Decimal(call.noted["paid"]) + sum(
            map(_payment_amount, new), ZERO
        ):
            return Undecided(
                "The invoice's amount paid has changed in a way its payments do not explain."
            )
        return None

    def find(self, call: Call, named: str, *, by_person: bool) -> RecordMade | None:
        """Find the payment by its ID at Xero; without one, the first new payment of this amount."""
        assert call.target is not None  # a payment is for an invoice
        invoice = self._read_invoices(call.connection, [call.target], by_person).get(call.target)
        if invoice is None:
            return None
        id = parse_uuid(named)
        if id is not None:
            candidates = [
                payment
                for payment in read_objects(invoice, "Payments")
                if read_uuid(payment, "PaymentID") == id
            ]
        else:
            candidates = [
                payment
                for payment in _new_payments(call, invoice)
                if _payment_amount(payment) == _call_amount(call)
            ]
        return self.made(_complete_payment(call, candidates[0], invoice)) if candidates else None

    def _read_invoices(
        self, connection: Connection, ids: Sequence[UUID], by_person: bool
    ) -> dict[UUID, Data]:
        client = self.client(connection, by_person)
        invoices: dict[UUID, Data] = {}
        for chunk in split_chunks(list(dict.fromkeys(ids)), IDS_A_CALL):
            params: dict[str, str | int] = {"IDs": ",".join(map(str, chunk)), "page": 1}
            answer = client.get("/Invoices", params={**params, "includeArchived": "true"})
            invoices |= read_objects_by_id(answer, "Invoices", "InvoiceID")
        return invoices


class CreatePayment(WriteAction):
    key = "xero/create-payment"
    title = "Record a payment"
    description = "Records a payment of an invoice or bill in Xero, exactly once."
    form = forms.CreatePaymentForm
    scopes = scopes.WRITE_PAYMENTS
    amounts = True
    cost = Cost(Decimal(2), Decimal(1) / IDS_A_CALL + Decimal(1) / ELEMENTS_A_CALL)
    sample = samples.PAYMENT
    always = samples.ALWAYS_IN_PAYMENT
    names = {
        "account_id": reference_checks.PAYMENT_ACCOUNT_ID,
        "account_code": reference_checks.PAYMENT_ACCOUNT,
    }
    writer = PaymentWriter()


def _build_draft(
    data: Data, id: UUID, invoice: Data | None, connection: Connection, today: date
) -> WriteDraft | Outcome:
    if invoice is None:
        return Failed("not-found", f"{connection.name} has no such invoice.", status=200)
    document = parse_invoice(invoice)
    due = document.amount_due or ZERO
    amount = data["amount"] if data["amount"] is not None else due
    if amount <= 0:
        paid = read_objects(invoice, "Payments")[-1:]
        if paid:
            return Failed("duplicate", PAID, status=200, existing=_with_invoice(paid[0], invoice))
        return Failed("invalid", NOTHING_DUE, status=200)
    if wrong := _wrong_amount(amount, due, document.currency):
        return Failed("invalid", wrong, status=200)
    try:
        body = build_payment_body(data, amount=amount, today=today)
    except ValueError:
        return Failed("input", "A date lies beyond the calendar.")
    noted = {
        "due": str(due),
        "paid": str(_amount_paid(invoice)),
        "payments": [
            read_text(payment, "PaymentID") for payment in read_objects(invoice, "Payments")
        ],
        "number": document.number,
    }
    subject = f"Payment of {amount} on {document.number or 'a bill'}"
    return WriteDraft(
        id,
        subject,
        body,
        noted,
        target=data["invoice_id"],
        amount=amount,
        currency=document.currency,
        twin=_find_twin(body, invoice),
    )


def _wrong_amount(amount: Decimal, due: Decimal, currency: str) -> str:
    """Return why this amount cannot be paid; empty where it can."""
    if due <= 0:
        return NOTHING_DUE
    if amount > due:
        return f"Only {due:,.{currencies.count_shown_decimals(due, currency)}f} is due."
    # Xero takes a fraction of yen or the like only where it itself says that it is due.
    if amount != due and amount != round(amount, currencies.count_decimals(currency)):
        return f"{currency} has no decimals: give a whole amount."
    return ""


def build_payment_body(data: Data, *, amount: Decimal, today: date) -> Data:
    """Build Xero's JSON from the cleaned CreatePaymentForm.

    Raises ValueError for a date beyond the calendar.
    """
    account = (
        {"AccountID": str(data["account_id"])}
        if data["account_id"]
        else {"Code": data["account_code"]}
    )
    return without_empty(
        Invoice={"InvoiceID": str(data["invoice_id"])},
        Account=account,
        Date=(data["date"].on(today) if data["date"] else today).isoformat(),
        Amount=amount,
        Reference=data["reference"],
        CurrencyRate=data["currency_rate"],
    )


def _new_payments(call: Call, invoice: Data) -> list[Body]:
    known_ids = set(call.noted["payments"])
    listed = read_objects(invoice, "Payments")
    return [payment for payment in listed if read_text(payment, "PaymentID") not in known_ids]


def _reads_like(body: Data, payment: Body) -> bool:
    listed = parse_payment_reference(payment)
    return (
        listed.amount == read_amount(body, "Amount")
        and listed.date == read_day(body, "Date")
        and listed.reference == read_text(body, "Reference")
    )


def _payment_amount(payment: Body) -> Decimal:
    return read_amount(payment, "Amount") or ZERO


def _find_twin(body: Data, invoice: Data) -> Twin | None:
    for payment in read_objects(invoice, "Payments"):
        if _reads_like(body, payment):
            text = f"A payment of {body['Amount']} on this day is on the invoice already."
            return Twin(text, _with_invoice(payment, invoice))
    return None


def _call_amount(call: Call) -> Decimal:
    return Decimal(call.body["Amount"])


def _amount_paid(invoice: Data) -> Decimal:
    return read_amount(invoice, "AmountPaid") or ZERO


def _complete_payment(call: Call, payment: Body, invoice: Data) -> Data:
    """Return the payment as its invoice lists it, completed by the fields of its own record."""
    return {
        **_with_invoice(payment, invoice),
        "Account": call.body["Account"],
        "Status": "AUTHORISED",
    }


def _with_invoice(payment: Body, invoice: Data) -> Data:
    named = {
        "InvoiceID": invoice["InvoiceID"],
        "InvoiceNumber": read_text(invoice, "InvoiceNumber"),
    }
    return {**payment, "Invoice": named}
