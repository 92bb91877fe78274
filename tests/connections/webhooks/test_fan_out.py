"""The fan-out: deliveries become events, once each, for those who have connected the tenant."""

import json
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, transaction
from django.db import connection as database
from django.db.models import F
from django.utils import timezone
from django_q.models import OrmQ

from connections.models import Connection, Delivery, Event, Mention, StrayEvent
from connections.webhooks import fan_out, parsing, receiver
from taskjuice.queue.models import Wake
from taskjuice.workspaces import gate
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import Agency, User, Workspace
from tests.factories import make_call, make_connection, make_workflow
from workflows.models import Activation, Lane, Workflow

pytestmark = pytest.mark.django_db

RECORD = "d3b1c1f4-6d0e-4a53-9f0c-2f7d5f1b2a10"
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
JUST_AFTER = (NOON + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.fixture(autouse=True)
def fan_out_flag(db: None) -> None:
    Wake.objects.get_or_create(name="fan-out")


def report(
    *connections: Connection, resource: str = "", category: str = "INVOICE", at: str = ""
) -> bytes:
    return json.dumps(
        {
            "events": [
                {
                    "resourceId": resource or str(uuid4()),
                    "tenantId": str(connection.tenant_id),
                    "eventCategory": category,
                    "eventType": "UPDATE",
                    "eventDateUtc": at or NOON.strftime("%Y-%m-%dT14:32:04.198"),
                }
                for connection in connections
            ]
        }
    ).encode()


def verdicts() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("verdict", flat=True))


def test_store_queues_one_wake_up_for_a_burst() -> None:
    for _ in range(5):
        receiver.store_delivery("xero", b"{}")
    assert (OrmQ.objects.count(), Wake.objects.get(name="fan-out").pending) == (1, True)


@pytest.mark.parametrize(("is_direct", "prepared"), [(True, 1), (False, 0)])
def test_statement_that_stores_a_delivery_is_prepared_once_where_the_session_is_ours(
    is_direct: bool, prepared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a pooler in transaction mode, as PgBouncer, the next statement may meet another
    session.
    """
    database.ensure_connection()
    with database.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    session = database.connection
    assert session is not None
    session._prepared.clear()
    monkeypatch.setattr(session, "is_direct", is_direct)
    for number in range(4):
        receiver.store_delivery("xero", b"{%d}" % number)
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%INTO connections_delivery%'"
        )
        assert cursor.fetchone() == (prepared,)
    assert Delivery.objects.count() == 4
    assert session.prepare_threshold is None  # Django's own statements stay as they were


def test_fan_out_takes_all_and_clears_the_flag(workspace: Workspace) -> None:
    connection = make_connection(workspace)
    for _ in range(3):
        receiver.store_delivery("xero", report(connection))
    assert fan_out.fan_out() == 3
    assert (Event.objects.count(), Wake.objects.get(name="fan-out").pending) == (3, False)
    assert verdicts() == ["no subscriber"] * 3


def test_event_starts_one_activation_per_published_workflow(workspace: Workspace) -> None:
    connection = make_connection(workspace)
    make_workflow(workspace.agency, connection)
    make_workflow(workspace.agency, connection)
    make_workflow(workspace.agency, connection, published=False)
    make_workflow(workspace.agency, connection, trigger="xero/contact-event")
    make_workflow(workspace.agency)  # applied to no connection
    receiver.store_delivery("xero", report(connection))
    fan_out.fan_out()
    delivery = Delivery.objects.get()
    assert (delivery.verdict, delivery.events, delivery.activations) == ("valid", 1, 2)
    assert Activation.objects.count() == 2


def test_events_of_an_archived_client_are_kept_and_start_nothing(workspace: Workspace) -> None:
    connection = make_connection(workspace)
    make_workflow(workspace.agency, connection)
    Workspace.objects.update(archived_at=timezone.now())
    receiver.store_delivery("xero", report(connection))
    fan_out.fan_out()
    assert (Event.objects.count(), Activation.objects.count(), verdicts()) == (
        1,
        0,
        ["no subscriber"],
    )


def test_workflow_may_want_the_changes_of_workflows(workspace: Workspace) -> None:
    connection = make_connection(workspace)
    workflow = make_workflow(workspace.agency, connection, published=False)
    workflow.versions.update(trigger_settings={"own": True}, live=True, published_at=NOON)
    Workflow.objects.update(state="published")
    make_call(
        connection,
        record_id=RECORD,
        activation_id=1,
        step="s",
        form_key=None,
        changed_at=NOON + timedelta(seconds=2),
    )
    receiver.store_delivery("xero", report(connection, resource=RECORD, at=JUST_AFTER))
    fan_out.fan_out()
    assert (Event.objects.get().ours, Activation.objects.count()) == (True, 1)


def test_lane_is_woken_once_for_many_events(workspace: Workspace) -> None:
    connection = make_connection(workspace)
    make_workflow(workspace.agency, connection)
    for _ in range(4):
        receiver.store_delivery("xero", report(connection))
    OrmQ.objects.all().delete()
    fan_out.fan_out()
    assert (Lane.objects.get().wake_pending, OrmQ.objects.count()) == (True, 1)


def test_same_event_twice_starts_nothing_more(workspace: Workspace) -> None:
    connection = make_connection(workspace)
    make_workflow(workspace.agency, connection)
    body = report(connection)
    receiver.store_delivery("xero", body)
    receiver.store_delivery("xero", body)
    fan_out.fan_out()
    receiver.store_delivery("xero", body)
    fan_out.fan_out()
    assert sorted(verdicts()) == ["duplicate", "duplicate", "valid"]
    assert (Event.objects.count(), Activation.objects.count()) == (1, 1)


def test_unknown_tenant_is_kept_apart(workspace: Workspace) -> None:
    make_connection(workspace)
    stranger = Connection(tenant_id=uuid4())
    receiver.store_delivery("xero", report(stranger))
    fan_out.fan_out()
    assert (verdicts(), Event.objects.count(), StrayEvent.objects.get().reason) == (
        ["unknown tenant"],
        0,
        "unknown tenant",
    )


def test_revoked_connection_counts_as_unknown(workspace: Workspace) -> None:
    connection = make_connection(workspace, state="revoked")
    receiver.store_delivery("xero", report(connection))
    fan_out.fan_out()
    assert verdicts() == ["unknown tenant"]


def test_organisation_in_two_agencies_gives_each_its_own_event(
    workspace: Workspace, foreign_workspace: Workspace
) -> None:
    ours = make_connection(workspace)
    theirs = make_connection(foreign_workspace, tenant_id=ours.tenant_id)
    make_workflow(ours.agency, ours)
    make_workflow(theirs.agency, theirs)
    receiver.store_delivery("xero", report(ours))
    fan_out.fan_out()
    assert set(Event.objects.values_list("workspace", flat=True)) == {
        workspace.pk,
        foreign_workspace.pk,
    }
    assert (
        Activation.objects.filter(
            agency=F("workflow__agency"), connection__agency=F("agency")
        ).count()
        == 2
    )


def test_mixed_delivery_keeps_the_known_part(workspace: Workspace) -> None:
    known = make_connection(workspace)
    receiver.store_delivery("xero", report(known, Connection(tenant_id=uuid4())))
    fan_out.fan_out()
    assert (verdicts(), Event.objects.count(), StrayEvent.objects.count()) == (
        ["no subscriber"],
        1,
        1,
    )


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> str:
    """A record whose events nobody can be told of."""
    announce = fan_out.announce_events

    def explode(events: list[Event]) -> Any:
        if any(str(event.resource_id) == RECORD for event in events):
            raise RuntimeError("poison")
        return announce(events)

    monkeypatch.setattr(fan_out, "announce_events", explode)
    return RECORD


def test_poisoned_delivery_fails_alone(workspace: Workspace, poison: str) -> None:
    connection = make_connection(workspace)
    receiver.store_delivery("xero", report(connection))
    receiver.store_delivery("xero", report(connection, resource=poison))
    receiver.store_delivery("xero", report(connection))
    assert fan_out.fan_out() == 3
    assert verdicts() == ["no subscriber", "failed", "no subscriber"]
    assert Event.objects.count() == 3
    assert Delivery.objects.get(state="failed").reason.startswith("RuntimeError")


def poisoned_delivery(workspace: Workspace, poison: str) -> tuple[Delivery, Connection]:
    """One with three events of which the second is poisoned, taken in."""
    connection = make_connection(workspace)
    make_workflow(workspace.agency, connection)
    events = [
        json.loads(report(connection, resource=each))["events"][0] for each in ("", poison, "")
    ]
    receiver.store_delivery("xero", json.dumps({"events": events}).encode())
    fan_out.fan_out()
    return Delivery.objects.get(), connection


def test_poisoned_event_fails_alone_in_its_delivery(workspace: Workspace, poison: str) -> None:
    """F11: the others run; the poisoned one is stored, seen, and can be replayed when the cause is
    mended.
    """
    delivery, _ = poisoned_delivery(workspace, poison)
    assert (delivery.state, delivery.verdict, delivery.events, delivery.activations) == (
        "failed",
        "failed",
        3,
        2,
    )
    assert delivery.reason.startswith("1 of 3 events could not be taken in. RuntimeError")
    assert (Event.objects.count(), Activation.objects.count()) == (3, 2)


def test_failed_delivery_is_replayed_when_the_cause_is_mended(
    workspace: Workspace, owner: User, poison: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery, _ = poisoned_delivery(workspace, poison)
    scope = Scope(owner, workspace.agency, None, gate.WORK, is_client=False)
    with pytest.raises(RuntimeError):
        fan_out.replay_events(list(Event.objects.all()), scope=scope, subject="delivery")
    monkeypatch.undo()
    assert fan_out.replay_events([], scope=scope, subject="delivery", failed=delivery) == 1
    assert list(Mention.objects.values_list("events", "fresh")) == [(3, 3)]
    delivery.refresh_from_db()
    assert (delivery.state, delivery.verdict, delivery.activations) == ("done", "valid", 3)
    assert Activation.objects.count() == 3
    assert fan_out.replay_events([], scope=scope, subject="delivery", failed=delivery) == 0


def test_trouble_of_the_database_is_no_fault_of_a_delivery(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(events: list[Event]) -> Any:
        raise OperationalError("deadlock detected")

    monkeypatch.setattr(fan_out, "announce_events", lose)
    receiver.store_delivery("xero", report(make_connection(workspace)))
    with pytest.raises(OperationalError):
        fan_out.fan_out()
    assert Delivery.objects.get().state == "waiting"


def test_delivery_that_commits_after_the_last_look_wakes_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its statement still saw a wake-up queued, which was taken before it could be seen."""
    receiver.store_delivery("xero", b"{}")
    fan_out.fan_out()
    OrmQ.objects.all().delete()
    blind = receiver.STORE.replace("AND NOT pending", "AND false")
    monkeypatch.setattr(receiver, "STORE", blind)
    receiver.store_delivery("xero", b"{}")
    assert (OrmQ.objects.count(), Wake.objects.get(name="fan-out").pending) == (1, True)
    receiver.store_delivery("xero", b"{}")
    assert OrmQ.objects.count() == 1  # that one will see both


def test_flag_stays_up_while_deliveries_come(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a burst keeps one copy of the fan-out busy, and not all workers."""
    connection = make_connection(workspace)
    process, flags = fan_out._process_batch, []

    def note(deliveries: Sequence[Delivery]) -> None:
        process(deliveries)
        flags.append(Wake.objects.get(name="fan-out").pending)
        if len(flags) < 3:
            receiver.store_delivery("xero", report(connection))

    monkeypatch.setattr(fan_out, "_process_batch", note)
    receiver.store_delivery("xero", report(connection))
    assert fan_out.fan_out() == 3
    assert (flags, OrmQ.objects.count()) == ([True] * 3, 1)
    assert not Wake.objects.get(name="fan-out").pending


def test_fan_out_lets_others_have_their_turn(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "BATCH", 2)
    monkeypatch.setattr(fan_out, "TURN_SECONDS", 0.0)
    connection = make_connection(workspace)
    for _ in range(3):
        receiver.store_delivery("xero", report(connection))
    OrmQ.objects.all().delete()
    assert fan_out.fan_out() == 2
    assert (OrmQ.objects.count(), Wake.objects.get(name="fan-out").pending) == (1, True)
    assert fan_out.fan_out() == 1


def test_event_older_than_what_is_remembered_is_kept_apart(workspace: Workspace) -> None:
    long_ago = datetime.now(UTC) - parsing.ACCEPTED - timedelta(hours=1)
    receiver.store_delivery(
        "xero", report(make_connection(workspace), at=long_ago.strftime("%Y-%m-%dT%H:%M:%S"))
    )
    fan_out.fan_out()
    assert (Event.objects.count(), StrayEvent.objects.get().reason, verdicts()) == (
        0,
        "too old",
        ["ignored"],
    )


def test_last_webhook_is_noted_on_the_connection(workspace: Workspace) -> None:
    connection = make_connection(workspace)
    receiver.store_delivery("xero", report(connection))
    fan_out.fan_out()
    connection.refresh_from_db()
    assert connection.last_webhook_at is not None


def test_sweep_wakes_for_a_delivery_whose_wake_up_is_lost() -> None:
    receiver.store_delivery("xero", b"{}")
    OrmQ.objects.all().delete()
    fan_out.rewake_waiting()
    assert OrmQ.objects.count() == 0  # it is young: its own wake-up may still be on the way
    Delivery.objects.update(received_at=F("received_at") - timedelta(seconds=3))
    fan_out.rewake_waiting()
    assert OrmQ.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_same_delivery_at_once_from_many_threads_is_one_event(agency: Agency) -> None:
    workspace = agency.workspaces.create(name="Client", slug="client")
    connection = make_connection(workspace)
    make_workflow(agency, connection)
    body = report(connection)
    go = threading.Barrier(8)

    def send() -> None:
        go.wait()
        receiver.store_delivery("xero", body)
        fan_out.fan_out()
        database.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fan_out.fan_out()
    assert (Delivery.objects.filter(state="waiting").count(), Event.objects.count()) == (0, 1)
    assert Activation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_deliveries_that_come_while_one_is_written_share_a_commit() -> None:
    Wake.objects.update_or_create(name="fan-out", defaults={"pending": False})
    bodies = [json.dumps({"events": [], "entropy": number}).encode() for number in range(4)]

    def send(body: bytes) -> None:
        receiver.store_delivery("xero", body, began=time.perf_counter())
        database.close()

    threads = [threading.Thread(target=send, args=(body,)) for body in bodies]
    with transaction.atomic():
        Wake.objects.select_for_update().get(name="fan-out")  # the first write waits for it
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 10
        while len(receiver.deliveries._waiting) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    for thread in threads:
        thread.join(10)
    with database.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM connections_delivery")
        commits = cursor.fetchone()
    stored = sorted(bytes(delivery.body) for delivery in Delivery.objects.exclude(answer_ms=None))
    assert (stored, commits, OrmQ.objects.count()) == (bodies, (2,), 1)
