"""Submission of a valid form to Xero, and its result: written, refused, or still pending.

A pending write has a page of its own, that of its call.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from connections import errors
from connections.integrations import Action, ActionContext, Data, Done, Failed, Outcome
from connections.models import Call, CallState, Connection
from connections.writes import journal
from taskjuice.workspaces.models import User
from xero.api import rate_limits
from xero.api.client import client_for
from xero.records.documents import parse_contact_reference
from xero.records.fields import Body, read_objects
from xero.sync import upsert
from xero.sync.mapping import CONTACTS, INVOICES


@dataclass(frozen=True, slots=True)
class Written:
    """A record that Xero has. With `is_repeat` an earlier submission of the form wrote it."""

    record: Data
    is_repeat: bool = False
    warnings: tuple[str, ...] = ()  # Xero's own words


@dataclass(frozen=True, slots=True)
class NotWritten:
    """The reasons why nothing was written, in Xero's own words or in ours."""

    messages: list[str]


@dataclass(frozen=True, slots=True)
class Pending:
    """A write that is not confirmed yet; the page of its call shows how it goes on."""

    call: Call


Result = Written | NotWritten | Pending


def submit_form(
    action: Action, connection: Connection, data: Data, *, form_key: UUID, by: User
) -> Result:
    """Run the action under the key of the form, so that a form sent twice is written once."""
    earlier_call = journal.find_form_call(connection, form_key)
    if earlier_call is not None and earlier_call.action != action.key:
        return NotWritten(["This form was used for something else already. Open the page anew."])
    call = ActionContext(connection, user=by, form_key=form_key)
    (outcome,) = action.run_many([call], [data])
    journaled = journal.find_form_call(connection, form_key)
    if isinstance(outcome, Done):
        is_repeat = earlier_call is not None and earlier_call.state == CallState.CONFIRMED
        warnings = tuple(map(str, journaled.messages)) if journaled is not None else ()
        return Written(dict(outcome.output), is_repeat=is_repeat, warnings=warnings)
    if journaled is not None and journaled.state not in (CallState.FAILED, CallState.ABANDONED):
        return Pending(journaled)
    return NotWritten(_messages(outcome, journaled))


def store_record(connection: Connection, kind: str, record: Body) -> None:
    """Store the record in the local copy at once, so that the next page shows it.

    The balance of its contact follows with the next round of reading.
    """
    upsert.store_records(connection, kind, [record])
    if contact := parse_contact_reference(record).xero_id:
        upsert.mark_stale([(connection.pk, CONTACTS, contact)])


def refresh_invoice(connection: Connection, xero_id: UUID) -> None:
    """Read an invoice that a write has changed.

    If Xero cannot be reached, the next round of reading brings it.
    """
    params: dict[str, str | int] = {
        "IDs": str(xero_id),
        "page": 1,
        "unitdp": 4,
        "includeArchived": "true",
    }
    try:
        answer = client_for(connection, purpose=rate_limits.PAGE).get("/Invoices", params=params)
    except errors.ProviderError:
        upsert.mark_stale([(connection.pk, INVOICES, xero_id)])
    else:
        for record in read_objects(answer, "Invoices"):
            store_record(connection, INVOICES, record)


def _messages(outcome: Outcome, call: Call | None) -> list[str]:
    text: Any = getattr(outcome, "message", "") or getattr(outcome, "reason", "")
    if call is not None and call.messages and call.error == text:
        return [str(message) for message in call.messages]
    if isinstance(outcome, Failed):
        return [str(text)]
    return [f"Nothing was sent. {text}"]


def find_earlier_result(connection: Connection, action: Action, form_key: str) -> Written | None:
    """Return the record that a form of this key has written already."""
    try:
        call = journal.find_form_call(connection, UUID(form_key))
    except ValueError:
        return None
    if call is None or call.action != action.key or call.state != CallState.CONFIRMED:
        return None
    return Written(dict(call.answer or {}), is_repeat=True, warnings=tuple(map(str, call.messages)))
