"""A person's decisions about writes that cannot be confirmed. The step that waits for one goes on."""

from collections.abc import Callable

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from connections.models import Call, CallState
from connections.writes import results, sending, settling
from connections.writes.writers import WRITERS
from taskjuice.workspaces.models import User

Listener = Callable[[Call], None]
_listeners: list[Listener] = []


class DecisionRefused(Exception):
    """This cannot be decided now; the text says why."""


def on_decided(listener: Listener) -> None:
    """Call `listener` in the transaction in which a person decides about a step's call.

    The call's state is confirmed, abandoned, or sent again (then a new call takes its place and is
    to be sent).
    """
    _listeners.append(listener)


def confirm_record(*, call: Call, named: str, by: User) -> Call:
    """Confirm that the record which the person names is the one that this call made.

    Asks the provider. Raises ProviderError or DecisionRefused.
    """
    _require_undecided(call)
    writer = WRITERS[call.action]
    record = writer.find(call, named.strip(), by_person=True)
    if record is None:
        raise DecisionRefused(
            f"There is no {named.strip()[:100]} in {call.connection.name} that this could have made."
        )
    with transaction.atomic():
        current = _lock_undecided(call)
        current.decided_by = by
        results.settle_call(writer, current, record, by=by)
        current.save(update_fields=["decided_by"])
        _notify_listeners(current)
    return current


def send_again(*, call: Call, by: User) -> Call:
    """Replace a call that was not carried out by a new one under a new key, and return that one."""
    with transaction.atomic():
        current = _lock_undecided(call)
        (successor,) = sending.supersede_calls(WRITERS[call.action], [current], sent_now=False)
        Call.objects.filter(pk=current.pk).update(decided_by=by)
        current.refresh_from_db()
        results.record_write(current, "write sent again", by=by, successor=str(successor.pk))
        _notify_listeners(current)
    if successor.form_key is not None:  # no lane will do it
        settling.settle_calls(WRITERS[call.action], current.connection, [successor])
        successor.refresh_from_db()
    return successor


def abandon_call(*, call: Call, by: User) -> Call:
    """Abandon a call that is not to be done, or is dealt with by hand."""
    with transaction.atomic():
        current = _lock_undecided(call)
        Call.objects.filter(pk=current.pk).update(
            state=CallState.ABANDONED, settled_at=Now(), decided_by=by
        )
        current.refresh_from_db()
        results.record_write(current, "write abandoned", by=by)
        _notify_listeners(current)
    return current


def list_undecided(calls: "QuerySet[Call]") -> "QuerySet[Call]":
    """Return those of `calls` that wait for a person, oldest first."""
    found = calls.filter(state=CallState.UNKNOWN).select_related(
        "connection", "workspace__agency", "user"
    )
    return found.order_by("created_at")


def _lock_undecided(call: Call) -> Call:
    rows: QuerySet[Call] = Call.objects.select_for_update(of=("self",))
    current = rows.select_related("connection", "agency", "workspace", "user").get(pk=call.pk)
    _require_undecided(current)
    return current


def _require_undecided(call: Call) -> None:
    if call.state != CallState.UNKNOWN:
        raise DecisionRefused("This has been decided already.")


def _notify_listeners(call: Call) -> None:
    if call.activation_id is not None:
        for listener in _listeners:
            listener(call)
