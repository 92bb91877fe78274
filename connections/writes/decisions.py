"""What a person decides about a write that nobody can confirm. Who waits for it is told and goes
on.
"""

from collections.abc import Callable

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from connections.models import Call, CallState
from connections.writes import sending, settling
from connections.writes.writers import WRITERS
from taskjuice.workspaces.models import User

Listener = Callable[[Call], None]
_listeners: list[Listener] = []


class NotAllowed(Exception):
    """This cannot be decided now; the text says why."""


def when_decided(listener: Listener) -> None:
    """`listener` is called inside the transaction, with a call of a step that a person has just
    decided about.

    Its state tells what: confirmed, abandoned, or sent again (then a new call stands in its place,
    to be sent).
    """
    _listeners.append(listener)


def it_is_there(*, call: Call, named: str, by: User) -> Call:
    """The record that the person names is what this call made. Asks the provider; raises
    ProviderError, NotAllowed.
    """
    _require_undecided(call)
    writer = WRITERS[call.action]
    record = writer.find(call, named.strip(), by_person=True)
    if record is None:
        raise NotAllowed(
            f"There is no {named.strip()[:100]} in {call.connection.name} that this could have made."
        )
    with transaction.atomic():
        current = _locked(call)
        current.decided_by = by
        sending.settled(writer, current, record, by=by)
        current.save(update_fields=["decided_by"])
        _tell(current)
    return current


def send_again(*, call: Call, by: User) -> Call:
    """It is not there: a new call under a new key takes its place. Returns that one."""
    with transaction.atomic():
        current = _locked(call)
        (successor,) = sending.supersede(WRITERS[call.action], [current], sent_now=False)
        Call.objects.filter(pk=current.pk).update(decided_by=by)
        current.refresh_from_db()
        sending.note(current, "write sent again", by=by, successor=str(successor.pk))
        _tell(current)
    if successor.form_key is not None:  # no lane will do it
        settling.settle(WRITERS[call.action], current.connection, [successor])
        successor.refresh_from_db()
    return successor


def abandon(*, call: Call, by: User) -> Call:
    """It shall not be done, or is dealt with by hand."""
    with transaction.atomic():
        current = _locked(call)
        Call.objects.filter(pk=current.pk).update(
            state=CallState.ABANDONED, settled_at=Now(), decided_by=by
        )
        current.refresh_from_db()
        sending.note(current, "write abandoned", by=by)
        _tell(current)
    return current


def undecided(calls: "QuerySet[Call]") -> "QuerySet[Call]":
    """Those of `calls` that wait for a person, oldest first."""
    found = calls.filter(state=CallState.UNKNOWN).select_related(
        "connection", "workspace__agency", "user"
    )
    return found.order_by("created_at")


def _locked(call: Call) -> Call:
    rows: QuerySet[Call] = Call.objects.select_for_update(of=("self",))
    current = rows.select_related("connection", "agency", "workspace", "user").get(pk=call.pk)
    _require_undecided(current)
    return current


def _require_undecided(call: Call) -> None:
    if call.state != CallState.UNKNOWN:
        raise NotAllowed("This has been decided already.")


def _tell(call: Call) -> None:
    if call.activation_id is not None:
        for listener in _listeners:
            listener(call)
