"""Writes that nobody came back to: looked up, and never sent again once somebody has stopped them."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now

from connections.integrations import ActionContext, TryLater, registry
from connections.models import Call, CallState, Connection, Sending
from connections.writes import orphans, sending
from taskjuice.queue.models import Wake
from taskjuice.workspaces.models import Membership, User, Workspace
from tests.factories import make_activation, make_workflow
from tests.sandbox_process import SandboxProcess
from tests.xero.linked import link, point_at
from workflows.activations import replay
from workflows.engine import lanes, runner
from workflows.engine.plans import clean_input
from workflows.models import Activation, Workflow
from xero.actions.writing import XeroWriter

pytestmark = pytest.mark.django_db(transaction=True)
KEY_SECONDS, SETTLE_SECONDS = 0.6, 0.2


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_limit=6000, idempotency_seconds=1) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(
    running: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> SandboxProcess:
    running.api("POST", "reset", {"connections": True})
    point_at(settings, running)
    monkeypatch.setattr(XeroWriter, "key_seconds", KEY_SECONDS)
    monkeypatch.setattr(sending, "SETTLE_SECONDS", SETTLE_SECONDS)
    return running


@pytest.fixture
def connection(sandbox: SandboxProcess, workspace: Workspace) -> Connection:
    return link(sandbox, workspace)


class Contacts:
    """Writes contacts whose answers are lost before anything was made, and counts what Xero has of
    them.
    """

    def __init__(self, sandbox: SandboxProcess, connection: Connection) -> None:
        self.sandbox, self.connection = sandbox, connection
        self.names: list[str] = []

    def lose(self, kind: str = "error_503_before") -> None:
        self.sandbox.api("POST", "faults", {"kind": kind, "remaining": 1, "method": "PUT"})

    def from_form(self, user: User) -> Call:
        self.lose()
        self.names.append(f"Form {uuid4().hex[:12]}")
        action, key = registry.actions["xero/create-contact"], uuid4()
        outcome = action.outcome(
            ActionContext(self.connection, user=user, form_key=key),
            clean_input(action, {"name": self.names[-1]}),
        )
        assert isinstance(outcome, TryLater)
        return Call.objects.get(form_key=key)

    def from_lane(self, count: int = 1) -> list[Activation]:
        """One wave of activations, written by one request, whose answer is lost."""
        self.lose()
        made = []
        for _ in range(count):
            self.names.append(f"Step {uuid4().hex[:12]}")
            steps = [
                {
                    "name": "write",
                    "action": "xero/create-contact",
                    "input": {"name": self.names[-1]},
                }
            ]
            workflow = make_workflow(self.connection.agency, self.connection, steps=steps)
            made.append(make_activation(workflow, self.connection))
        self.drain()
        assert Sending.objects.get().calls.filter(state=CallState.SENT).count() == count
        return made

    def drain(self) -> None:
        lanes.wake_lanes([self.connection.pk])
        runner.run_lane(self.connection.pk)

    def there(self) -> list[bool]:
        """Whether Xero has each, in the order of their writing."""
        return [
            bool(
                self.sandbox.xero(
                    "GET", str(self.connection.tenant_id), f'Contacts?where=Name=="{name}"&page=1'
                )["Contacts"]
            )
            for name in self.names
        ]


@pytest.fixture
def contacts(sandbox: SandboxProcess, connection: Connection) -> Contacts:
    return Contacts(sandbox, connection)


def sweep(*, key_is_forgotten: bool) -> None:
    """As the worker's task does, a while later."""
    if key_is_forgotten:
        time.sleep(KEY_SECONDS + SETTLE_SECONDS + 0.1)
    Sending.objects.update(checked_at=None)
    orphans.settle_orphans()


def states() -> list[tuple[str, str]]:
    return list(Call.objects.order_by("created_at", "position").values_list("state", "error"))


def _pause(connection: Connection, _: User) -> None:
    Connection.objects.filter(pk=connection.pk).update(paused_at=Now())


def _archive(connection: Connection, _: User) -> None:
    Workspace.objects.filter(pk=connection.workspace_id).update(archived_at=Now())


def _leave(_: Connection, user: User) -> None:
    Membership.objects.filter(user=user).delete()


def _deactivate(_: Connection, user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


NO_RIGHT = "It was not sent, because whoever sent it may not write for this client any more."
STOPS: dict[str, tuple[Callable[[Connection, User], None], str]] = {
    "paused": (_pause, "It was not sent, because its connection is paused."),
    "archived": (_archive, "It was not sent, because its client is archived."),
    "off the team": (_leave, NO_RIGHT),
    "deactivated": (_deactivate, NO_RIGHT),
}


@pytest.mark.parametrize("stop", STOPS)
def test_form_is_not_sent_again_once_it_may_not_be(
    stop: str, contacts: Contacts, connection: Connection, member: User
) -> None:
    act, reason = STOPS[stop]
    call = contacts.from_form(member)
    act(connection, member)
    sweep(key_is_forgotten=False)
    call.refresh_from_db()
    assert (call.state, contacts.there()) == (CallState.SENT, [False])  # it might still turn up
    sweep(key_is_forgotten=True)
    assert (states(), contacts.there()) == ([("failed", reason)], [False])


def test_form_is_sent_again_while_it_may_be(contacts: Contacts, member: User) -> None:
    contacts.from_form(member)
    sweep(key_is_forgotten=False)
    assert (states(), contacts.there()) == ([("confirmed", "")], [True])


def test_form_that_nobody_answers_ends_after_its_second_key(
    contacts: Contacts, member: User
) -> None:
    contacts.from_form(member)
    for _ in range(2):
        contacts.lose()
        sweep(key_is_forgotten=True)
    assert [state for state, _ in states()] == ["sent again", "failed"]
    assert contacts.there() == [False]


def test_step_of_a_cancelled_activation_is_looked_up_and_closed(
    contacts: Contacts, connection: Connection, owner: User
) -> None:
    (activation,) = contacts.from_lane()
    replay.cancel_activation(activation=activation, by=owner)
    assert Wake.objects.get(name=orphans.SETTLE).pending  # at once, not when the sweep comes by
    sweep(key_is_forgotten=True)
    assert states() == [("failed", "It was not sent, because its activation was cancelled.")]
    assert contacts.there() == [False]


def test_step_that_was_carried_out_is_found_although_cancelled(
    contacts: Contacts, connection: Connection, owner: User
) -> None:
    (activation,) = contacts.from_lane()
    contacts.sandbox.xero(
        "PUT", str(connection.tenant_id), "Contacts", {"Contacts": [{"Name": contacts.names[0]}]}
    )
    replay.cancel_activation(activation=activation, by=owner)
    sweep(key_is_forgotten=False)
    assert (states(), contacts.there()) == ([("confirmed", "")], [True])


@pytest.mark.parametrize("stop", ["paused", "archived", "held"])
def test_step_of_what_rests_is_written_once_when_it_goes_on(
    stop: str, contacts: Contacts, connection: Connection, owner: User
) -> None:
    contacts.from_lane()
    if stop == "held":
        Workflow.objects.update(held=True)
    else:
        STOPS[stop][0](connection, owner)
    sweep(key_is_forgotten=True)
    sweep(key_is_forgotten=False)
    assert ([state for state, _ in states()], contacts.there()) == (["failed"], [False])
    Workflow.objects.update(held=False)
    Connection.objects.update(paused_at=None)
    Workspace.objects.update(archived_at=None)
    Activation.objects.update(next_at=Now())
    contacts.drain()
    assert [state for state, _ in states()] == ["failed", "confirmed"]
    assert contacts.there() == [True]


def test_request_that_holds_a_cancelled_write_does_not_go_out_again_whole(
    contacts: Contacts, connection: Connection, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes cannot be changed under the same key, so the others wait for a new one."""
    monkeypatch.setattr(XeroWriter, "key_seconds", 300)
    first, second = contacts.from_lane(2)
    replay.cancel_activation(activation=first, by=owner)
    Activation.objects.update(next_at=Now())
    contacts.drain()
    assert contacts.there() == [False, False]
    monkeypatch.setattr(XeroWriter, "key_seconds", KEY_SECONDS)
    sweep(key_is_forgotten=True)
    Activation.objects.update(next_at=Now())
    contacts.drain()
    assert contacts.there() == [False, True]
    second.refresh_from_db()
    assert second.state == "succeeded"


def test_what_never_left_is_abandoned_with_its_activation(
    contacts: Contacts, connection: Connection, owner: User
) -> None:
    (activation,) = contacts.from_lane()
    Sending.objects.update(first_sent_at=None, times=0)  # as after a limit of Xero's
    replay.cancel_activation(activation=activation, by=owner)
    call = Call.objects.get()
    assert (call.state, call.decided_by) == (CallState.ABANDONED, owner)
    sweep(key_is_forgotten=False)
    assert contacts.there() == [False]


def test_write_that_waits_for_a_decision_is_abandoned_with_its_activation(
    contacts: Contacts, connection: Connection, owner: User
) -> None:
    (activation,) = contacts.from_lane()
    Call.objects.update(state=CallState.UNKNOWN)
    Activation.objects.update(state="unknown")
    replay.cancel_activation(activation=activation, by=owner)
    assert [state for state, _ in states()] == ["abandoned"]


def test_steps_are_sent_by_their_lane_alone(
    contacts: Contacts, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    contacts.from_lane()
    monkeypatch.setattr(orphans, "ORPHANED_SECONDS", 0)
    sweep(key_is_forgotten=True)
    assert ([state for state, _ in states()], contacts.there()) == (["sent"], [False])


def test_disconnected_organisation_leaves_it_to_a_person(
    contacts: Contacts, connection: Connection, member: User
) -> None:
    contacts.from_form(member)
    Connection.objects.update(state="revoked")
    sweep(key_is_forgotten=True)
    ((state, reason),) = states()
    assert state == CallState.UNKNOWN
    assert reason.startswith("The organisation was disconnected")
