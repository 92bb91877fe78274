"""The documents of the local copy: invoices, bills and payments, and their counts and sums."""

from functools import cached_property

from django.contrib.postgres.indexes import OpClass
from django.db import models

from connections.models import Connection
from xero.models.base import (
    Record,
    index_beginning,
    index_containing,
    index_sorted_by,
    money_field,
)
from xero.records.documents import InvoiceRecord, PaymentRecord, parse_invoice, parse_payment
from xero.records.payment_types import PaymentType, describe_type


class Invoice(Record):
    """A sale (ACCREC) or a bill (ACCPAY), of any status."""

    type = models.CharField(max_length=20)
    status = models.CharField(max_length=20)
    number = models.CharField(max_length=255, blank=True)
    number_key = models.CharField(max_length=255, blank=True)
    number_tail = models.CharField(max_length=255, blank=True)
    reference = models.CharField(max_length=255, blank=True)
    reference_key = models.CharField(max_length=255, blank=True)
    reference_tail = models.CharField(max_length=255, blank=True)
    contact_xero_id = models.UUIDField(null=True)
    contact_name = models.CharField(max_length=500, blank=True)
    date = models.DateField(null=True)
    due_date = models.DateField(null=True)
    currency = models.CharField(max_length=10, blank=True)
    sub_total = money_field()
    total_tax = money_field()
    total = money_field()
    amount_due = money_field()
    amount_paid = money_field()
    amount_credited = money_field()
    sent = models.BooleanField(default=False)

    class Meta:
        constraints = (models.UniqueConstraint("connection", "xero_id", name="invoice_once"),)
        indexes = (
            models.Index("connection", "type", "status", "date", "id", name="invoice_status_date"),
            models.Index(
                "connection", "type", "status", "due_date", "id", name="invoice_status_due"
            ),
            models.Index("connection", "contact_xero_id", "type", "date", name="invoice_contact"),
            models.Index("connection", "updated_utc", name="invoice_updated"),
            models.Index("connection", "type", "sent", "date", "id", name="invoice_sent"),
            index_sorted_by("date", "invoice_date"),
            index_sorted_by("due_date", "invoice_due_date"),
            index_sorted_by("number", "invoice_number"),
            index_sorted_by("reference", "invoice_reference"),
            index_sorted_by("contact_name", "invoice_contact_name"),
            index_sorted_by("total", "invoice_total"),
            index_sorted_by("amount_due", "invoice_amount_due"),
            index_sorted_by("amount_paid", "invoice_amount_paid"),
            index_beginning("number_key", "invoice_number_key"),
            index_beginning("number_tail", "invoice_number_tail"),
            index_beginning("reference_key", "invoice_reference_key"),
            index_beginning("reference_tail", "invoice_reference_tail"),
            index_containing("number_key", "reference_key", name="invoice_grams"),
            # All that ageing reads of what is owed (xero/ageing): small, since most documents are
            # paid
            models.Index(
                "connection",
                "type",
                "contact_xero_id",
                name="invoice_open",
                condition=models.Q(status="AUTHORISED"),
                include=(
                    "id",
                    "workspace",
                    "contact_name",
                    "currency",
                    "date",
                    "due_date",
                    "amount_due",
                ),
            ),
        )

    def __str__(self) -> str:
        return self.number or self.contact_name

    @cached_property
    def record(self) -> InvoiceRecord:
        return parse_invoice(self.body)


class Payment(Record):
    """A payment of an invoice or bill, or a refund of another document, whose currency it has.

    Only payments of invoices and bills have `invoice_xero_id`; `invoice_number` is the number of
    any document.
    """

    type = models.CharField(max_length=30)
    status = models.CharField(max_length=20)
    date = models.DateField(null=True)
    amount = money_field()
    currency = models.CharField(max_length=10, blank=True)
    reference = models.CharField(max_length=255, blank=True)
    reference_key = models.CharField(max_length=255, blank=True)
    reconciled = models.BooleanField(default=False)
    invoice_xero_id = models.UUIDField(null=True)
    invoice_number = models.CharField(max_length=255, blank=True)
    invoice_number_key = models.CharField(max_length=255, blank=True)
    invoice_number_tail = models.CharField(max_length=255, blank=True)
    contact_xero_id = models.UUIDField(null=True)
    contact_name = models.CharField(max_length=500, blank=True)
    account_xero_id = models.UUIDField(null=True)
    account_code = models.CharField(max_length=20, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint("connection", "xero_id", name="payment_once"),)
        indexes = (
            models.Index("connection", "status", "date", "id", name="payment_status_date"),
            models.Index("connection", "status", "type", "date", "id", name="payment_type_date"),
            models.Index("connection", "status", "amount", "id", name="payment_amount"),
            models.Index("connection", "status", "contact_name", "id", name="payment_contact_name"),
            models.Index(
                "connection", "status", "invoice_number", "id", name="payment_invoice_number"
            ),
            models.Index("connection", "invoice_xero_id", name="payment_invoice"),
            models.Index("connection", "contact_xero_id", "date", name="payment_contact"),
            models.Index("connection", "updated_utc", name="payment_updated"),
            models.Index(
                "connection",
                OpClass("invoice_number_key", "text_pattern_ops"),
                name="payment_number_key",
            ),
            models.Index(
                "connection",
                OpClass("invoice_number_tail", "text_pattern_ops"),
                name="payment_number_tail",
            ),
            models.Index(
                "connection",
                OpClass("reference_key", "text_pattern_ops"),
                name="payment_reference_key",
            ),
            index_containing("invoice_number_key", "reference_key", name="payment_grams"),
        )

    def __str__(self) -> str:
        return f"payment of {self.amount} for {self.invoice_number}"

    @cached_property
    def record(self) -> PaymentRecord:
        return parse_payment(self.body)

    @property
    def kind(self) -> PaymentType:
        """Return the direction of the payment and the kind of document that it is for."""
        return describe_type(self.type)


class Tally(models.Model):
    """The number of documents of a kind and their sums, kept by triggers (migration 0002), never by
    code.

    It makes a tab's counts and totals cost the same for a thousand rows and for a million.
    """

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=10)  # invoice, payment
    type = models.CharField(max_length=30)
    status = models.CharField(max_length=20)
    currency = models.CharField(max_length=10)
    documents = models.BigIntegerField()
    total = models.DecimalField(max_digits=23, decimal_places=4)
    paid = models.DecimalField(max_digits=23, decimal_places=4)
    due = models.DecimalField(max_digits=23, decimal_places=4)

    class Meta:
        verbose_name_plural = "tallies"
        constraints = (
            models.UniqueConstraint(
                "connection", "kind", "type", "status", "currency", name="tally_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.documents} {self.kind}s {self.type} {self.status} {self.currency}"
