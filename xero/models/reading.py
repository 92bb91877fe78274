"""The state of reading ledgers: what was read, what has to be read again, what webhooks missed."""

from functools import cached_property

from django.db import models
from django.db.models.functions import Now

from connections.models import Connection
from taskjuice.exact_json import ExactJSONField
from taskjuice.workspaces.models import Workspace
from xero.records.master_data import OrganisationRecord, parse_organisation


class Ledger(models.Model):
    """The local copy of one connection's ledger: its organisation, and the job that keeps it fresh.

    One process reads a ledger at a time, by lease. `due_at` is when it should be read next;
    `not_before` when Xero or a back-off allows it. Between `recover_since` and `recover_until`
    webhooks may be missing: changes of that time are looked for.
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
    """The progress of reading one kind of record.

    A pass reads all records changed since `since` (everything when that is None), oldest change
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
    skipped = models.PositiveIntegerField(default=0)  # unusable records; the log names them
    finished_at = models.DateTimeField(null=True)
    full_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint("ledger", "kind", name="part_once"),)

    def __str__(self) -> str:
        return f"{self.kind} of ledger {self.ledger_id}"


class Stale(models.Model):
    """A record that an event named and that has to be read again."""

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
    """A gap in the webhooks' sequence numbers. They count per app, so it may concern any
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
    """The position up to which the webhooks' sequence has been checked; one row."""

    last_delivery = models.BigIntegerField(default=0)
    last_sequence = models.BigIntegerField(null=True)
    last_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "sequence watches"

    def __str__(self) -> str:
        return f"up to {self.last_sequence}"


class Change(models.Model):
    """A new invoice or a change of its status or amounts, kept until workflows are started by it.

    Written by triggers (migration 0004), so that no code that stores invoices can forget it;
    nothing is written while a ledger is read for the first time. `details` is described in
    xero/sync/changes.py.
    """

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="+")
    xero_id = models.UUIDField()
    at = models.DateTimeField()  # when Xero changed it
    is_new = models.BooleanField()
    details = ExactJSONField()

    def __str__(self) -> str:
        return f"change of {self.xero_id}"
