"""Events keep the local copy fresh; what no webhook told of becomes an event, once."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db.models import F
from django.utils import timezone

from connections.events import ReportedEvent
from connections.models import Connection, Delivery, Event
from connections.webhooks import fan_out, parsing
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection, make_delivery, make_workflow
from tests.sandbox_process import SandboxProcess
from tests.xero.books import fresh, read_all
from tests.xero.ledger.test_queries import invoice as sent_invoice
from tests.xero.linked import link
from workflows.models import Activation
from xero.models import Invoice, Ledger, Part, SequenceGap, SequenceWatch, Stale
from xero.sync import recovery, sync, upsert
from xero.sync import schedule as sync_schedule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def sandbox_process() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_limit=6000) as sandbox:
        yield sandbox


@pytest.fixture
def connection(workspace: Workspace, sandbox_process: SandboxProcess, settings: Any) -> Connection:
    """With its ledger read."""
    fresh(sandbox_process, settings)
    found = link(sandbox_process, workspace)
    sync_schedule.start_reading(found)
    read_all(found)
    return found


def tell(
    connection: Connection, *ids: UUID, ago: timedelta = timedelta(0), type: str = "UPDATE"
) -> list[Event]:
    """Events as a delivery brings them."""
    at = timezone.now() - ago
    reported = [ReportedEvent(connection.tenant_id, "INVOICE", type, id, at) for id in ids]
    events = parsing.insert_events([(connection, None, event) for event in reported])
    fan_out.announce_events(events)
    return events


def settled() -> None:
    """The marks have waited for company."""
    Stale.objects.update(at=timezone.now() - timedelta(seconds=5))
    Ledger.objects.update(refreshed_at=None)


def change(sandbox: SandboxProcess, connection: Connection, *invoices: Invoice) -> None:
    for one in invoices:
        body = {"Url": f"https://example.com/{uuid4()}"}
        sandbox.xero("POST", str(connection.tenant_id), f"Invoices/{one.xero_id}", body)


def editable(count: int) -> list[Invoice]:
    return list(
        Invoice.objects.filter(status__in=["DRAFT", "SUBMITTED", "AUTHORISED"], amount_paid=0)[
            :count
        ]
    )


def test_event_refreshes_what_it_names(
    connection: Connection, sandbox_process: SandboxProcess
) -> None:
    (one,) = editable(1)
    change(sandbox_process, connection, one)
    tell(connection, one.xero_id)
    sync.run_ledger(connection.pk)
    assert Stale.objects.count() == 1  # it waits for company
    settled()
    sync.run_ledger(connection.pk)
    assert Stale.objects.count() == 0
    before = one.updated_utc
    one.refresh_from_db()
    assert one.updated_utc > before


def test_many_events_cost_one_read(
    connection: Connection, sandbox_process: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "IDS_A_CALL", 10)
    several = editable(25)
    change(sandbox_process, connection, *several)
    tell(connection, *(one.xero_id for one in several))
    settled()
    monkeypatch.setattr(sync, "_read_ids", lambda *given: pytest.fail("one read should have done"))
    sync.run_ledger(connection.pk)
    assert Stale.objects.count() == 0


def test_event_of_a_record_that_is_not_there_is_given_up(connection: Connection) -> None:
    tell(connection, uuid4())
    for _ in range(sync.TRIES + 1):
        settled()
        sync.run_ledger(connection.pk)
    assert Stale.objects.count() == 0


def test_worker_is_woken_for_events_after_a_moment(connection: Connection) -> None:
    tell(connection, uuid4())
    sync_schedule.rewake_waiting()
    assert Ledger.objects.get().woken_at is None
    settled()
    sync_schedule.rewake_waiting()
    assert Ledger.objects.get().woken_at is not None


def changed_invoice(connection: Connection, minutes_ago: float) -> UUID:
    """A row that changed at Xero then."""
    at = timezone.now() - timedelta(minutes=minutes_ago)
    body = sent_invoice("INV-9", UpdatedDateUTC=at.isoformat())
    upsert.store_records(connection, "invoices", [body])
    return UUID(body["InvoiceID"])


def recovered(connection: Connection, since: datetime) -> list[Event]:
    """What is found of the time from then on that is settled by now."""
    return recovery.recover_changes(connection, since, timezone.now() - recovery.SETTLED)


@pytest.fixture
def quiet(workspace: Workspace) -> Connection:
    """A connection of a month with a ledger that was read, and nothing to call."""
    found = make_connection(workspace, connected_at=timezone.now() - timedelta(days=30))
    long_ago = timezone.now() - timedelta(days=29)
    Ledger.objects.create(
        connection=found, workspace=workspace, first_finished_at=long_ago, finished_at=long_ago
    )
    return found


def test_untold_change_becomes_a_recovered_event_once_and_starts_its_workflow(
    quiet: Connection,
) -> None:
    make_workflow(quiet.agency, quiet)
    id = changed_invoice(quiet, 10)
    since = timezone.now() - timedelta(hours=1)
    assert [(e.resource_id, e.recovered, e.type) for e in recovered(quiet, since)] == [
        (id, True, "CREATE")
    ]
    assert recovered(quiet, since) == []
    assert (Event.objects.count(), Activation.objects.count()) == (1, 1)


def test_told_change_is_not_recovered(quiet: Connection) -> None:
    id = changed_invoice(quiet, 10)
    tell(quiet, id, ago=timedelta(minutes=10, seconds=3))  # as its clock has it
    assert recovered(quiet, timezone.now() - timedelta(hours=1)) == []


def test_older_event_does_not_tell_of_a_later_change(quiet: Connection) -> None:
    id = changed_invoice(quiet, 10)
    tell(quiet, id, ago=timedelta(minutes=30))
    assert len(recovered(quiet, timezone.now() - timedelta(hours=1))) == 1


def test_webhook_that_comes_late_meets_the_recovered_event(quiet: Connection) -> None:
    make_workflow(quiet.agency, quiet)
    id = changed_invoice(quiet, 10)
    (found,) = recovered(quiet, timezone.now() - timedelta(hours=1))
    late = ReportedEvent(quiet.tenant_id, "INVOICE", found.type, id, found.occurred_at)
    fan_out.announce_events(parsing.insert_events([(quiet, None, late)]))
    assert (Event.objects.count(), Activation.objects.count()) == (1, 1)


def test_change_of_this_minute_may_still_be_told(quiet: Connection) -> None:
    changed_invoice(quiet, 1)
    assert recovered(quiet, timezone.now() - timedelta(hours=1)) == []


def test_nothing_from_before_the_connection_is_recovered(quiet: Connection) -> None:
    changed_invoice(quiet, 60 * 24 * 40)
    assert recovered(quiet, timezone.now() - timedelta(days=60)) == []


def deliver(first: int, last: int, minutes_ago: float = 5) -> Delivery:
    body = f'{{"events":[{{}}],"firstEventSequence":{first},"lastEventSequence": {last}}}'
    delivery = make_delivery(body=body.encode())
    Delivery.objects.filter(pk=delivery.pk).update(
        received_at=timezone.now() - timedelta(minutes=minutes_ago)
    )
    return delivery


def test_gap_in_the_numbers_starts_a_catch_up(quiet: Connection) -> None:
    deliver(1, 3, 9)
    deliver(4, 4, 8)
    deliver(7, 9, 7)
    recovery.follow_sequence()
    gap = SequenceGap.objects.get()
    assert (gap.first, gap.last, gap.caught_up_at is not None) == (5, 6, True)
    ledger = Ledger.objects.get()
    assert ledger.recover_since == gap.since
    assert ledger.due_at <= timezone.now()
    recovery.follow_sequence()
    assert SequenceGap.objects.count() == 1


def test_round_after_a_gap_recovers_and_forgets_it(quiet: Connection) -> None:
    changed_invoice(quiet, 10)
    sync_schedule.catch_up(timezone.now() - timedelta(minutes=12))
    Ledger.objects.update(recover_until=timezone.now() - timedelta(minutes=3))
    recovery.recover_after_round(quiet, begun=timezone.now())
    assert Event.objects.filter(recovered=True).count() == 1
    assert Ledger.objects.get().recover_since is None


def later(seconds: float) -> None:
    """So much time goes by."""
    span = timedelta(seconds=seconds)
    Invoice.objects.update(
        updated_utc=F("updated_utc") - span, first_updated_utc=F("first_updated_utc") - span
    )
    marks = {name: F(name) - span for name in ("recover_since", "recover_until", "due_at")}
    Ledger.objects.update(**marks)


def test_changes_of_just_before_a_gap_was_noticed_are_recovered_by_a_later_round(
    quiet: Connection,
) -> None:
    """A busy organisation: most of what was withheld changed less than two minutes before the first
    read.
    """
    for minutes_ago in (10, 1.5, 1, 0.2):
        changed_invoice(quiet, minutes_ago)
    sync_schedule.catch_up(timezone.now() - timedelta(minutes=12))
    recovery.recover_after_round(quiet, begun=timezone.now())
    assert Event.objects.filter(recovered=True).count() == 1
    marked = Ledger.objects.get()
    assert marked.recover_since is not None
    assert marked.due_at <= timezone.now() + recovery.SETTLED  # not only with the next round of all
    later(125)
    assert Ledger.objects.get().due_at <= timezone.now()
    recovery.recover_after_round(quiet, begun=timezone.now())
    assert Event.objects.filter(recovered=True).count() == 4
    assert Ledger.objects.get().recover_since is None


def test_change_made_after_the_read_began_is_not_taken_for_looked_at(quiet: Connection) -> None:
    now = timezone.now()
    sync_schedule.catch_up(now - timedelta(minutes=30))
    Ledger.objects.update(recover_until=now - timedelta(minutes=4))
    recovery.recover_after_round(quiet, begun=now - timedelta(minutes=10))  # a long round
    assert Ledger.objects.get().recover_since == now - timedelta(minutes=10)
    changed_invoice(quiet, 7)
    recovery.recover_after_round(quiet, begun=now)
    assert Event.objects.filter(recovered=True).count() == 1
    assert Ledger.objects.get().recover_since is None


def test_gap_found_meanwhile_keeps_its_own_mark(quiet: Connection) -> None:
    sync_schedule.catch_up(timezone.now() - timedelta(minutes=12))
    first = Ledger.objects.get()
    sync_schedule.catch_up(timezone.now() - timedelta(minutes=5))
    second = Ledger.objects.get()
    assert second.recover_since == first.recover_since
    assert first.recover_until is not None
    assert second.recover_until is not None
    assert second.recover_until > first.recover_until


def test_silence_that_ends_between_two_rounds_hides_nothing(quiet: Connection) -> None:
    Connection.objects.update(last_webhook_at=timezone.now() - timedelta(minutes=45))
    SequenceWatch.objects.create(last_sequence=7)
    changed_invoice(quiet, 1)
    recovery.recover_after_round(quiet, begun=timezone.now())
    Connection.objects.update(last_webhook_at=timezone.now())  # one gets through
    later(900)
    recovery.recover_after_round(quiet, begun=timezone.now())
    assert Event.objects.filter(recovered=True).count() == 1


@pytest.mark.parametrize(
    "numbers",
    [[(1, 3), (4, 6)], [(4, 6), (7, 7), (1, 3)], [(1, 3), (1, 3), (4, 4)], [(0, 0), (1, 2)]],
)
def test_numbers_without_a_gap_start_nothing(
    numbers: list[tuple[int, int]], quiet: Connection
) -> None:
    for first, last in numbers:
        deliver(first, last)
    recovery.follow_sequence()
    assert SequenceGap.objects.count() == 0


def test_deliveries_of_the_last_minute_are_waited_for(quiet: Connection) -> None:
    deliver(1, 1, 5)
    deliver(3, 3, 0)
    deliver(2, 2, 0)
    recovery.follow_sequence()
    assert SequenceWatch.objects.get().last_sequence == 1
    assert SequenceGap.objects.count() == 0


def test_late_delivery_closes_its_gap(quiet: Connection) -> None:
    for first in (1, 3, 2):
        deliver(first, first)
    recovery.follow_sequence()
    assert SequenceGap.objects.get().closed_at is not None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"\xff", b'{"events":[]}', b'{"events":[1],"firstEventSequence":true}']
)
def test_bodies_without_numbers_are_passed_over(body: bytes) -> None:
    assert recovery.read_sequence(body) is None


@pytest.mark.parametrize(("heard_minutes_ago", "found"), [(45, 1), (5, 0)])
def test_long_silence_is_made_up_for(heard_minutes_ago: int, found: int, quiet: Connection) -> None:
    heard = timezone.now() - timedelta(minutes=heard_minutes_ago)
    Connection.objects.update(last_webhook_at=heard)
    SequenceWatch.objects.create(last_sequence=7)
    changed_invoice(quiet, 4)
    recovery.recover_after_round(quiet, begun=timezone.now())
    assert Event.objects.filter(recovered=True).count() == found


def test_silence_says_nothing_while_no_webhook_ever_came(quiet: Connection) -> None:
    changed_invoice(quiet, 4)
    recovery.recover_after_round(quiet, begun=timezone.now())
    assert Event.objects.count() == 0


def test_events_mark_only_their_own_kind(connection: Connection) -> None:
    event = ReportedEvent(connection.tenant_id, "CREDITNOTE", "UPDATE", uuid4(), timezone.now())
    fan_out.announce_events(parsing.insert_events([(connection, None, event)]))
    assert Stale.objects.count() == 0
    assert set(Part.objects.filter(problem="").values_list("kind", flat=True)) == set(sync.ORDER)
