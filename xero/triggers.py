"""The triggers at Xero.

A webhook says only that something changed; a step reads the record. Changes of an invoice are known
once the local copy has it (xero/sync/changes.py, xero/sync/overdue.py): those triggers run some
seconds later, with the invoice's figures.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django import forms

from connections.integrations import Data, Trigger
from connections.models import Connection, Event
from xero.ledger import scope
from xero.models import Invoice
from xero.sync import changes, overdue

EVENT_TYPES = [("any", "is created or updated"), ("CREATE", "is created"), ("UPDATE", "is updated")]


def _own_changes_field() -> forms.BooleanField:
    return forms.BooleanField(
        label="Also when a workflow made the change",
        required=False,
        help_text=(
            "A workflow is never started by a change that it led to itself,"
            " not even by way of other workflows."
        ),
    )


class EventForm(forms.Form):
    """The choice of changes that start the workflow."""

    change = forms.ChoiceField(label="When it", choices=EVENT_TYPES, initial="any")
    own = _own_changes_field()


class _XeroEvent(Trigger):
    form: ClassVar[type[forms.Form]] = EventForm

    def matches(self, event: Event, settings: Mapping[str, Any]) -> bool:
        wanted = settings.get("change", "any")
        return wanted in {"any", event.type}

    def data(self, event: Event) -> Data:
        return {
            "category": event.category,
            "type": event.type,
            "resource_id": str(event.resource_id),
            "occurred_at": event.occurred_at.isoformat(),
            "organisation": event.connection.name,
            "tenant_id": str(event.connection.tenant_id),
        }

    def address(self, connection: Connection, data: Mapping[str, Any]) -> str:
        """Return Xero's deep link: its short code selects the organisation, whichever the person
        had open.
        """
        try:
            record = UUID(str(data.get("resource_id", "")))
        except ValueError:
            return ""
        return scope.build_xero_url(connection, self.record_path(connection, record, data))

    def record_path(self, connection: Connection, record: UUID, data: Mapping[str, Any]) -> str:
        """Return the path of this record's page at Xero."""
        raise NotImplementedError


class _DocumentTrigger(_XeroEvent):
    def record_path(self, connection: Connection, record: UUID, data: Mapping[str, Any]) -> str:
        """Return the page of the invoice or bill; a webhook does not say which of them it is."""
        type = data.get("type")
        if type not in {"ACCREC", "ACCPAY"}:
            invoices = Invoice.objects.filter(connection=connection, xero_id=record)
            type = invoices.values_list("type", flat=True).first()
        return scope.build_document_path(str(type or "ACCREC"), record)


def _build_sample(category: str) -> Data:
    return {
        "category": category,
        "type": "UPDATE",
        "resource_id": "d3b1c1f4-6d0e-4a53-9f0c-2f7d5f1b2a10",
        "occurred_at": "2026-11-23T09:41:07.198000+00:00",
        "organisation": "Harbour Café Limited",
        "tenant_id": "0f6f3f9a-4f0e-4a2c-9a57-8f3b8f2f4c11",
    }


class InvoiceEvent(_DocumentTrigger):
    key = "xero/invoice-event"
    title = "An invoice or bill changes"
    description = "Starts when Xero reports that an invoice or a bill was created or updated."
    category = "INVOICE"
    sample = _build_sample("INVOICE")


class ContactEvent(_XeroEvent):
    key = "xero/contact-event"
    title = "A contact changes"
    description = "Starts when Xero reports that a contact was created or updated."
    category = "CONTACT"
    sample = _build_sample("CONTACT")

    def record_path(self, connection: Connection, record: UUID, data: Mapping[str, Any]) -> str:
        return scope.build_contact_path(record)


DOCUMENTS = [("any", "sales invoices and bills"), ("ACCREC", "sales invoices"), ("ACCPAY", "bills")]
STATUSES = [
    ("any", "whenever its status changes"),
    ("DRAFT", "Draft"),
    ("SUBMITTED", "Awaiting approval"),
    ("AUTHORISED", "Awaiting payment"),
    ("PAID", "Paid"),
    ("VOIDED", "Voided"),
    ("DELETED", "Deleted"),
]


class DocumentTriggerForm(forms.Form):
    """The choice of invoices and bills that start the workflow."""

    documents = forms.ChoiceField(label="For", choices=DOCUMENTS, initial="any")
    over = forms.DecimalField(
        label="Only if its total is over",
        required=False,
        min_value=0,
        max_digits=15,
        decimal_places=2,
        help_text="In the document’s own currency. Empty: any total.",
    )
    own = _own_changes_field()


class StatusForm(DocumentTriggerForm):
    status = forms.ChoiceField(label="When it becomes", choices=STATUSES, initial="any")


class OverdueForm(DocumentTriggerForm):
    # None makes Django drop the field: time makes a document overdue, not a workflow.
    own = None  # type: ignore[assignment]
    days = forms.IntegerField(
        label="Days after its due date",
        min_value=1,
        max_value=overdue.MOST_DAYS,
        initial=7,
        help_text="Looked at each morning at 8:00, in the organisation’s time zone.",
    )


class _DocumentChange(_DocumentTrigger):
    """The base of triggers with an invoice's figures; xero/sync/changes.py describes
    `event.details`.
    """

    form = DocumentTriggerForm
    category = changes.CATEGORY

    def matches(self, event: Event, settings: Mapping[str, Any]) -> bool:
        details, over = event.details, settings.get("over")
        return (
            settings.get("documents", "any") in {"any", details["type"]}
            and (over is None or details["total"] > Decimal(str(over)))
            and self.has_happened(details, settings)
        )

    def has_happened(self, details: Data, settings: Mapping[str, Any]) -> bool:
        """Return whether this is the change that the trigger is about."""
        raise NotImplementedError

    def data(self, event: Event) -> Data:
        before = {"previous_status": "", "previous_amount_due": None}
        details: Data = event.details
        return super().data(event) | before | details

    def subject(self, data: Mapping[str, Any]) -> str:
        return str(data.get("number") or data.get("contact") or "")


def _build_document_sample(**changed: Any) -> Data:
    return (
        _build_sample(changes.CATEGORY)
        | {
            "previous_status": "AUTHORISED",
            "previous_amount_due": Decimal("1200.00"),
            "kind": "sales invoice",
            "type": "ACCREC",
            "number": "INV-0042",
            "reference": "Autumn term",
            "contact": "Ridgeway University",
            "contact_id": "5c2d0ab1-91c1-4c9e-8f2b-77d0cf6f6c01",
            "date": "2026-11-02",
            "due_date": "2026-11-30",
            "currency": "GBP",
            "total": Decimal("1200.00"),
            "amount_due": Decimal("1200.00"),
            "status": "AUTHORISED",
        }
        | changed
    )


def _has_become(details: Data, status: str) -> bool:
    return bool(details["status"] == status != details.get("previous_status"))


class InvoiceStatus(_DocumentChange):
    key = "xero/invoice-status"
    title = "An invoice or bill gets another status"
    description = (
        "Starts when one is entered, submitted, approved, paid or voided, with its figures."
    )
    form = StatusForm
    sample = _build_document_sample(previous_status="DRAFT")

    def has_happened(self, details: Data, settings: Mapping[str, Any]) -> bool:
        wanted = settings.get("status", "any")
        return _has_become(details, str(details["status"] if wanted == "any" else wanted))


class InvoiceApproved(_DocumentChange):
    key = "xero/invoice-approved"
    title = "An invoice or bill is approved"
    description = "Starts when one begins to await payment, with its figures."
    sample = _build_document_sample(previous_status="SUBMITTED")

    def has_happened(self, details: Data, settings: Mapping[str, Any]) -> bool:
        """Return whether it was approved; going back from paid, when a payment is removed, is no
        approval.
        """
        return _has_become(details, "AUTHORISED") and details.get("previous_status") != "PAID"


class InvoicePaid(_DocumentChange):
    key = "xero/invoice-paid"
    title = "An invoice or bill is paid"
    description = "Starts when nothing is left to pay of one, with its figures."
    sample = _build_document_sample(status="PAID", amount_due=Decimal("0.00"))

    def has_happened(self, details: Data, settings: Mapping[str, Any]) -> bool:
        return _has_become(details, "PAID")


class AmountDueChanged(_DocumentChange):
    key = "xero/amount-due-changed"
    title = "What is due of an invoice or bill changes"
    description = "Starts with each part payment, credit or correction of one that awaits payment."
    sample = _build_document_sample(amount_due=Decimal("700.00"))

    def has_happened(self, details: Data, settings: Mapping[str, Any]) -> bool:
        """Return whether the amount due changed, other than by approval or voiding."""
        if (
            "previous_amount_due" not in details
            or details["previous_amount_due"] == details["amount_due"]
        ):
            return False
        return {details["status"], details["previous_status"]} <= {"AUTHORISED", "PAID"}


class InvoiceOverdue(_DocumentChange):
    key = overdue.TRIGGER
    title = "An invoice or bill is overdue"
    description = "Starts once for each that still awaits payment so many days after its due date."
    form = OverdueForm
    category = overdue.CATEGORY
    sample = _build_document_sample(days=7)

    def has_happened(self, details: Data, settings: Mapping[str, Any]) -> bool:
        return bool(details["days"] == settings["days"])
