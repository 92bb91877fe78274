"""Events that a step's own write caused start nothing; what people change, even a second later,
starts all of it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db.models import F
from django.utils import timezone

from connections.events import ReportedEvent
from connections.models import Call, CallState, Connection, Delivery, Event, Mention, Sending
from connections.webhooks import fan_out, parsing
from taskjuice.workspaces.models import Workspace
from tests.factories import (
    make_activation,
    make_call,
    make_connection,
    make_delivery,
    make_workflow,
)
from workflows.models import Activation, Workflow

pytestmark = pytest.mark.django_db

RECORD = UUID("d3b1c1f4-6d0e-4a53-9f0c-2f7d5f1b2a10")
DONE = datetime.now(UTC) - timedelta(hours=1)  # when Xero says that it did our write


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace)


@pytest.fixture
def listener(connection: Connection) -> Workflow:
    return make_workflow(connection.agency, connection)


def wanting_own(workflow: Workflow) -> Workflow:
    """Published with the setting that takes changes which workflows made."""
    workflow.versions.update(live=False)  # a published version is frozen
    workflow.versions.create(
        number=2,
        trigger="xero/invoice-event",
        trigger_settings={"own": True},
        live=True,
        published_at=timezone.now(),
    )
    return workflow


def wrote(
    connection: Connection, *, by: Activation | None = None, sent: datetime = DONE, **fields: Any
) -> Call:
    """A step's write of the record, sent at that time."""
    values = {
        "form_key": None,
        "activation_id": by.pk if by else 10**9,
        "step": "s",
        "record_id": RECORD,
        "changed_at": DONE,
    }
    call = make_call(connection, **values | fields)
    Sending.objects.filter(pk=call.sending_id).update(first_sent_at=sent)
    return call


def told(
    connection: Connection,
    at: datetime,
    *,
    resource: UUID = RECORD,
    type: str = "UPDATE",
    **fields: Any,
) -> Event:
    """An event as a delivery brings it, taken in and announced."""
    reported = ReportedEvent(connection.tenant_id, "INVOICE", type, resource, at)
    (event,) = parsing.insert_events([(connection, fields.get("delivery"), reported)])
    fan_out.announce_events([event])
    return event


@pytest.mark.parametrize("milliseconds", [-400, 0, 1, 700])
def test_event_of_the_moment_that_the_answer_named_is_our_own(
    connection: Connection, listener: Workflow, milliseconds: int
) -> None:
    wrote(connection)
    event = told(connection, DONE + timedelta(milliseconds=milliseconds))
    assert (event.ours, Activation.objects.count()) == (True, 0)


@pytest.mark.parametrize("seconds", [-3, 1, 1.5, 2, 4, 30])
def test_persons_change_close_to_a_write_of_ours_starts_its_workflow(
    connection: Connection, listener: Workflow, seconds: float
) -> None:
    wrote(connection, settled_at=DONE + timedelta(seconds=10))
    event = told(connection, DONE + timedelta(seconds=seconds))
    assert (event.ours, Activation.objects.count()) == (False, 1)


NOT_OURS = {
    "made on a page by a person": {"form_key": uuid4(), "activation_id": None, "step": ""},
    "another record": {"record_id": uuid4()},
    "refused": {"state": CallState.FAILED, "changed_at": None},
    "nobody knows what became of it": {
        "state": CallState.UNKNOWN,
        "record_id": None,
        "target": RECORD,
        "changed_at": None,
    },
}


@pytest.mark.parametrize("fields", NOT_OURS.values(), ids=NOT_OURS.keys())
def test_change_that_no_write_explains_is_somebody_elses(
    connection: Connection, listener: Workflow, fields: dict[str, Any]
) -> None:
    wrote(connection, **fields)
    event = told(connection, DONE)
    assert (event.ours, event.undecided, Activation.objects.count()) == (False, False, 1)


def test_invoice_that_a_step_paid_is_our_change(connection: Connection, listener: Workflow) -> None:
    wrote(connection, record_id=uuid4(), target=RECORD)
    assert told(connection, DONE).ours
    assert Activation.objects.count() == 0


def under_way(connection: Connection, **fields: Any) -> Call:
    """A write without an answer until now, sent ten seconds ago."""
    values = {"state": CallState.SENT, "record_id": None, "target": RECORD, "changed_at": None}
    return wrote(connection, sent=timezone.now() - timedelta(seconds=10), **values | fields)


def test_event_waits_for_the_answer_and_is_our_own_by_what_that_says(
    connection: Connection, listener: Workflow
) -> None:
    call = under_way(connection)
    moment = timezone.now() - timedelta(seconds=9)
    event = told(connection, moment)
    assert (event.undecided, event.ours, fan_out.announce_decided()) == (True, False, 0)
    Call.objects.filter(pk=call.pk).update(state=CallState.CONFIRMED, changed_at=moment)
    assert fan_out.announce_decided() == 1
    event.refresh_from_db()
    assert (event.undecided, event.ours, Activation.objects.count()) == (False, True, 0)


def test_persons_change_while_a_write_is_under_way_starts_once_the_answer_is_there(
    connection: Connection, listener: Workflow
) -> None:
    call = under_way(connection)
    delivery = make_delivery(verdict="no subscriber")
    moment = timezone.now() - timedelta(seconds=9)
    event = told(connection, moment, delivery=delivery.pk)
    Mention.objects.create(
        delivery=delivery,
        agency=connection.agency,
        workspace=connection.workspace,
        connection=connection,
        events=1,
        fresh=1,
        activations=0,
    )
    assert Activation.objects.count() == 0
    Call.objects.filter(pk=call.pk).update(
        state=CallState.CONFIRMED, changed_at=moment + timedelta(seconds=3)
    )
    fan_out.announce_decided()
    event.refresh_from_db()
    assert (event.undecided, event.ours, Activation.objects.count()) == (False, False, 1)
    assert (Delivery.objects.get().verdict, Mention.objects.get().activations) == ("valid", 1)


@pytest.mark.parametrize("state", [CallState.FAILED, CallState.UNKNOWN, CallState.ABANDONED])
def test_event_starts_when_no_answer_claims_it(
    connection: Connection, listener: Workflow, state: CallState
) -> None:
    call = under_way(connection)
    told(connection, timezone.now() - timedelta(seconds=9))
    Call.objects.filter(pk=call.pk).update(state=state)
    assert (fan_out.announce_decided(), Activation.objects.count()) == (1, 1)


def test_answer_that_never_comes_holds_an_event_for_minutes_only(
    connection: Connection, listener: Workflow
) -> None:
    under_way(connection)
    told(connection, timezone.now() - timedelta(seconds=9))
    Event.objects.update(received_at=F("received_at") - timedelta(minutes=5))
    assert (fan_out.announce_decided(), Activation.objects.count()) == (1, 1)


def test_change_later_than_a_request_lasts_does_not_wait_for_it(
    connection: Connection, listener: Workflow
) -> None:
    under_way(connection)
    event = told(connection, timezone.now() + timedelta(seconds=40))
    assert (event.undecided, Activation.objects.count()) == (False, 1)


def test_creation_that_comes_before_the_answer_that_names_it_waits(
    connection: Connection, listener: Workflow
) -> None:
    call = under_way(connection, target=None)
    moment = timezone.now() - timedelta(seconds=9)
    ours, theirs = uuid4(), uuid4()
    for record, later in ((ours, 0), (theirs, 2)):
        told(connection, moment + timedelta(seconds=later), resource=record, type="CREATE")
    assert Event.objects.filter(undecided=True).count() == 2
    Call.objects.filter(pk=call.pk).update(
        state=CallState.CONFIRMED, record_id=ours, changed_at=moment
    )
    fan_out.announce_decided()
    assert dict(Event.objects.values_list("resource_id", "ours")) == {ours: True, theirs: False}
    assert Activation.objects.get(event__resource_id=theirs)
    assert Activation.objects.count() == 1


def test_write_found_by_a_look_up_claims_what_changed_while_its_request_was_under_way(
    connection: Connection, listener: Workflow
) -> None:
    wrote(connection, sent=DONE, changed_at=None)
    assert told(connection, DONE + timedelta(seconds=3)).ours
    assert not told(connection, DONE + timedelta(seconds=36)).ours


def test_workflow_is_never_started_by_what_it_led_to(connection: Connection) -> None:
    """Also not by way of another, and although both want what workflows change: a causes b causes
    a.
    """
    first, second = (wanting_own(make_workflow(connection.agency, connection)) for _ in range(2))
    start = told(connection, DONE - timedelta(minutes=1), resource=uuid4())
    assert Activation.objects.filter(event=start).count() == 2
    cause = Activation.objects.get(event=start, workflow=first)
    wrote(connection, by=cause)
    following = told(connection, DONE)
    assert following.chain == [first.pk]
    by_second = Activation.objects.get(event=following)
    assert by_second.workflow == second
    wrote(connection, by=by_second, step="t", changed_at=DONE + timedelta(minutes=1))
    last = told(connection, DONE + timedelta(minutes=1))
    assert (last.chain, Activation.objects.filter(event=last).count()) == ([first.pk, second.pk], 0)


def test_batch_of_events_is_judged_by_as_many_queries_as_one(
    connection: Connection, django_assert_num_queries: Any
) -> None:
    def tell(count: int) -> None:
        moments = [DONE - timedelta(days=1, minutes=n) for n in range(count)]
        reported = [
            ReportedEvent(connection.tenant_id, "INVOICE", "UPDATE", uuid4(), at) for at in moments
        ]
        parsing.insert_events([(connection, None, one) for one in reported])

    for count in (1, 30):
        with django_assert_num_queries(2):
            tell(count)


def test_activation_of_a_deleted_workflow_still_ends_the_chain(connection: Connection) -> None:
    workflow = make_workflow(connection.agency, connection)
    activation = make_activation(workflow, connection)
    Activation.objects.update(workflow=None)
    wrote(connection, by=activation)
    event = told(connection, DONE)
    assert (event.ours, event.chain) == (True, [])
