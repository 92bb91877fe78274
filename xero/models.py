"""The local copy of Xero organisations' ledgers, and how far it has been read.

Each record keeps what Xero sent as `body`, and gives it typed as `record`; the columns are what
pages list, filter and sort by. Amounts are in the record's own currency. `*_key` and `*_tail` are
for searching (xero/sync/mapping.py makes them). A row is only replaced by one that Xero changed
later (xero/sync/upsert.py).
"""

from decimal import Decimal
from functools import cached_property

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Now

from connections.models import Connection
from taskjuice.exact_json import ExactJSONField
from taskjuice.workspaces.models import Workspace
from xero import search_index
from xero.records.documents import InvoiceRecord, PaymentRecord, parse_invoice, parse_payment
from xero.records.master_data import (
    AccountRecord,
    ContactRecord,
    ItemRecord,
    OrganisationRecord,
    parse_account,
    parse_contact,
    parse_item,
    parse_organisation,
)
from xero.records.payment_types import PaymentType, describe_type


def _money() -> "models.DecimalField[Decimal, Decimal]":
    """numeric(19,4): Xero's amounts have 2 decimals, its unit prices up to 4."""
    return models.DecimalField(max_digits=19, decimal_places=4)


class Record(models.Model):
    """What all records share. `first_updated_utc` is the `updated_utc` under which it first came
    here.
    """

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", db_index=False)
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="+", db_index=False)
    xero_id = models.UUIDField()
    updated_utc = models.DateTimeField()
    first_updated_utc = models.DateTimeField()
    body = ExactJSONField()

    class Meta:
        abstract = True


def _sorted_by(field: str, name: str) -> models.Index:
    """Serves a list of one type in this order."""
    return models.Index("connection", "type", field, "id", name=name)


def _starting_with(field: str, name: str) -> models.Index:
    """Serves a search by the beginning of a text, whatever the database's collation."""
    return models.Index("connection", "type", OpClass(field, "text_pattern_ops"), name=name)


def _holding(*fields: str, name: str) -> GinIndex:
    """Serves a search by any part of these texts. New rows are few beside a search's patience: a
    short waiting list.
    """
    return GinIndex(search_index.of_rows(*fields), name=name, gin_pending_list_limit=256)


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
    sub_total = _money()
    total_tax = _money()
    total = _money()
    amount_due = _money()
    amount_paid = _money()
    amount_credited = _money()
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
            _sorted_by("date", "invoice_date"),
            _sorted_by("due_date", "invoice_due_date"),
            _sorted_by("number", "invoice_number"),
            _sorted_by("reference", "invoice_reference"),
            _sorted_by("contact_name", "invoice_contact_name"),
            _sorted_by("total", "invoice_total"),
            _sorted_by("amount_due", "invoice_amount_due"),
            _sorted_by("amount_paid", "invoice_amount_paid"),
            _starting_with("number_key", "invoice_number_key"),
            _starting_with("number_tail", "invoice_number_tail"),
            _starting_with("reference_key", "invoice_reference_key"),
            _starting_with("reference_tail", "invoice_reference_tail"),
            _holding("number_key", "reference_key", name="invoice_grams"),
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


class Contact(Record):
    """`receivable` and `payable` are what is outstanding, in the organisation's base currency."""

    name = models.CharField(max_length=500)
    search_key = models.TextField(blank=True)
    email = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=20)
    is_customer = models.BooleanField(default=False)
    is_supplier = models.BooleanField(default=False)
    receivable = _money()
    payable = _money()
    overdue = _money()

    class Meta:
        constraints = (models.UniqueConstraint("connection", "xero_id", name="contact_once"),)
        indexes = (
            models.Index("connection", "name", "id", name="contact_name"),
            models.Index("connection", "email", "id", name="contact_email"),
            models.Index("connection", "receivable", "id", name="contact_receivable"),
            models.Index("connection", "payable", "id", name="contact_payable"),
            models.Index("connection", "updated_utc", name="contact_updated"),
        )

    def __str__(self) -> str:
        return self.name

    @cached_property
    def record(self) -> ContactRecord:
        return parse_contact(self.body)


class Payment(Record):
    """Money for an invoice or bill, or a refund of another document. `currency` is that document's.

    Only invoices and bills have `invoice_xero_id`; `invoice_number` is the number of whatever
    document it is for.
    """

    type = models.CharField(max_length=30)
    status = models.CharField(max_length=20)
    date = models.DateField(null=True)
    amount = _money()
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
            _holding("invoice_number_key", "reference_key", name="payment_grams"),
        )

    def __str__(self) -> str:
        return f"payment of {self.amount} for {self.invoice_number}"

    @cached_property
    def record(self) -> PaymentRecord:
        return parse_payment(self.body)

    @property
    def kind(self) -> PaymentType:
        """Which way the money went, and what for."""
        return describe_type(self.type)


class Account(Record):
    """An account of the chart. `status` DELETED: Xero lists it no longer."""

    code = models.CharField(max_length=20, blank=True)
    name = models.CharField(max_length=255)
    search_key = models.TextField(blank=True)
    type = models.CharField(max_length=30, blank=True)
    class_name = models.CharField(
        max_length=20, blank=True
    )  # ASSET, EQUITY, EXPENSE, LIABILITY, REVENUE
    status = models.CharField(max_length=20)
    tax_type = models.CharField(max_length=50, blank=True)
    currency = models.CharField(max_length=10, blank=True)
    takes_payments = models.BooleanField(default=False)  # a bank account, or enabled for payments

    class Meta:
        constraints = (models.UniqueConstraint("connection", "xero_id", name="account_once"),)
        indexes = (models.Index("connection", "code", name="account_code"),)

    def __str__(self) -> str:
        return f"{self.code} {self.name}".strip()

    @cached_property
    def record(self) -> AccountRecord:
        return parse_account(self.body)


class Item(Record):
    """Something bought or sold. `status` DELETED: Xero lists it no longer."""

    code = models.CharField(max_length=100)
    name = models.CharField(max_length=255, blank=True)
    search_key = models.TextField(blank=True)
    status = models.CharField(max_length=20, default="ACTIVE")
    is_sold = models.BooleanField(default=False)
    is_purchased = models.BooleanField(default=False)
    is_tracked = models.BooleanField(default=False)
    sale_price = models.DecimalField(max_digits=19, decimal_places=4, null=True)
    purchase_price = models.DecimalField(max_digits=19, decimal_places=4, null=True)
    quantity = models.DecimalField(max_digits=19, decimal_places=4, null=True)

    class Meta:
        constraints = (models.UniqueConstraint("connection", "xero_id", name="item_once"),)
        indexes = (models.Index("connection", "code", name="item_code"),)

    def __str__(self) -> str:
        return self.code

    @cached_property
    def record(self) -> ItemRecord:
        return parse_item(self.body)


class TrackingCategory(Record):
    """What lines are sorted by, such as Region; an organisation has at most two active ones.

    `options`: [{"name", "status"}]. `status` DELETED: Xero lists it no longer.
    """

    name = models.CharField(max_length=100)
    status = models.CharField(max_length=20)
    options = models.JSONField(default=list)

    class Meta:
        verbose_name_plural = "tracking categories"
        constraints = (
            models.UniqueConstraint("connection", "xero_id", name="tracking_category_once"),
        )

    def __str__(self) -> str:
        return self.name


class Tally(models.Model):
    """How many documents of a kind there are and what they come to; kept by triggers (migration
    0002), never by code.

    What makes the tabs' counts and the totals of a whole tab cost the same for a thousand rows and
    for a million.
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


class Ledger(models.Model):
    """The local copy of one connection's ledger: what it says of the organisation, and the job that
    keeps it fresh.

    One process reads for a ledger at a time, by lease. `due_at` is when it wants to be read next;
    `not_before` when Xero or a failure says that it may be. `recover_since` and `recover_until`:
    look for changes of that time that no webhook told of.
    """

    connection = models.OneToOneField(
        Connection, models.CASCADE, primary_key=True, related_name="ledger"
    )
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    base_currency = models.CharField(max_length=10, blank=True)
    short_code = models.CharField(max_length=20, blank=True)
    period_lock_date = models.DateField(null=True)
    year_end_lock_date = models.DateField(null=True)
    organisation = ExactJSONField(default=dict)
    due_at = models.DateTimeField(db_default=Now())
    full_due_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, blank=True)  # why it waits or what went wrong last
    failures = models.PositiveIntegerField(default=0)
    asked_at = models.DateTimeField(null=True)  # a person asked for a refresh that is not finished
    started_at = models.DateTimeField(null=True)  # of the round that runs
    finished_at = models.DateTimeField(null=True)  # of the latest finished round: "as of"
    first_finished_at = models.DateTimeField(null=True)
    refreshed_at = models.DateTimeField(null=True)  # when records that events named were last read
    recover_since = models.DateTimeField(null=True)
    recover_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    lease_holder = models.CharField(max_length=200, blank=True)
    woken_at = models.DateTimeField(null=True)  # a wake-up is queued and not yet taken

    class Meta:
        indexes = (models.Index(fields=["due_at"], name="ledger_due"),)

    def __str__(self) -> str:
        return f"ledger of {self.connection_id}"

    @cached_property
    def record(self) -> OrganisationRecord:
        return parse_organisation(self.organisation)


class Part(models.Model):
    """How far one kind of record has been read.

    A pass reads all records changed since `since` (all there are when that is None), oldest change
    first, from the position (`step_since`, `step_page`). Only a finished pass moves `cursor`, from
    which the next one starts.
    """

    ledger = models.ForeignKey(Ledger, models.CASCADE, related_name="parts", db_index=False)
    kind = models.CharField(max_length=20)
    cursor = models.DateTimeField(null=True)  # the latest change that is surely here
    running = models.BooleanField(default=False)
    full = models.BooleanField(default=False)  # this pass reads everything
    since = models.DateTimeField(null=True)
    step_since = models.DateTimeField(null=True)
    step_page = models.PositiveIntegerField(default=1)
    newest = models.DateTimeField(null=True)  # the latest change seen in this pass
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True)
    skipped = models.PositiveIntegerField(
        default=0
    )  # records that made no sense; the log names them
    finished_at = models.DateTimeField(null=True)
    full_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint("ledger", "kind", name="part_once"),)

    def __str__(self) -> str:
        return f"{self.kind} of ledger {self.ledger_id}"


class Stale(models.Model):
    """A record that an event named and that is to be read again."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=20)
    xero_id = models.UUIDField()
    at = models.DateTimeField(db_default=Now())  # when it was last named
    tries = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint("connection", "kind", "xero_id", name="stale_once"),)
        indexes = (models.Index(fields=["at"], name="stale_at"),)

    def __str__(self) -> str:
        return f"stale {self.kind} {self.xero_id}"


class SequenceGap(models.Model):
    """Webhook sequence numbers that have not come. They count per app, so a gap may concern any
    connection.
    """

    first = models.BigIntegerField()
    last = models.BigIntegerField()
    since = models.DateTimeField()  # when the delivery before the gap came
    found_at = models.DateTimeField(db_default=Now())
    caught_up_at = models.DateTimeField(null=True)  # a read of all ledgers since then was started
    closed_at = models.DateTimeField(null=True)  # the deliveries came after all

    class Meta:
        constraints = (models.UniqueConstraint("first", "last", name="gap_once"),)

    def __str__(self) -> str:
        return f"{self.first}–{self.last}"


class SequenceWatch(models.Model):
    """How far the webhooks' sequence has been followed; one row."""

    last_delivery = models.BigIntegerField(default=0)
    last_sequence = models.BigIntegerField(null=True)
    last_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "sequence watches"

    def __str__(self) -> str:
        return f"up to {self.last_sequence}"


class Change(models.Model):
    """An invoice's row came, or its status or amounts changed: told to workflows within a second,
    then dropped.

    Written by triggers (migration 0004), so that no reader of invoices can forget it; nothing is
    written while a ledger is read for the first time. `details` is what xero/sync/changes.py says.
    """

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="+")
    xero_id = models.UUIDField()
    at = models.DateTimeField()  # when Xero changed it
    is_new = models.BooleanField()
    details = ExactJSONField()

    def __str__(self) -> str:
        return f"change of {self.xero_id}"
