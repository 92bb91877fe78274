"""From a page's valid form to what became of it: made, refused, or somewhere on its way with a page
of its own.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from connections import errors
from connections.integrations import Action, Data, Done, Failed, Outcome
from connections.integrations import Call as ActionCall
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
class Made:
    """Xero has it. `again`: the form had been sent before, and nothing was sent this time."""

    record: Data
    again: bool = False
    warnings: tuple[str, ...] = ()  # Xero's own words


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was made; Xero's own words, or ours."""

    messages: list[str]


@dataclass(frozen=True, slots=True)
class Open:
    """It may be made or is still to be: the call's page says how it goes on."""

    call: Call


Result = Made | Refused | Open


def send(action: Action, connection: Connection, data: Data, *, form_key: UUID, by: User) -> Result:
    """Through the action's own door, under the form's key: sent twice, it is still written once."""
    before = journal.of_form(connection, form_key)
    if before is not None and before.action != action.key:
        return Refused(["This form was used for something else already. Open the page anew."])
    call = ActionCall(connection, user=by, form_key=form_key)
    (outcome,) = action.run_many([call], [data])
    journaled = journal.of_form(connection, form_key)
    if isinstance(outcome, Done):
        again = before is not None and before.state == CallState.CONFIRMED
        warnings = tuple(map(str, journaled.messages)) if journaled is not None else ()
        return Made(dict(outcome.output), again=again, warnings=warnings)
    if journaled is not None and journaled.state not in (CallState.FAILED, CallState.ABANDONED):
        return Open(journaled)
    return Refused(_messages(outcome, journaled))


def keep(connection: Connection, kind: str, record: Body) -> None:
    """Into the local copy at once, so that the page that follows shows it; its contact's balance
    soon after.
    """
    upsert.take_in(connection, kind, [record])
    if contact := parse_contact_reference(record).xero_id:
        upsert.mark_stale([(connection.pk, CONTACTS, contact)])


def read_again(connection: Connection, xero_id: UUID) -> None:
    """An invoice that a write has changed; if Xero cannot be asked now, the next round of reading
    brings it.
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
            keep(connection, INVOICES, record)


def _messages(outcome: Outcome, call: Call | None) -> list[str]:
    text: Any = getattr(outcome, "message", "") or getattr(outcome, "reason", "")
    if call is not None and call.messages and call.error == text:
        return [str(message) for message in call.messages]
    if isinstance(outcome, Failed):
        return [str(text)]
    return [f"Nothing was sent. {text}"]


def before(connection: Connection, action: Action, form_key: str) -> Made | None:
    """What a form of this key has made already."""
    try:
        call = journal.of_form(connection, UUID(form_key))
    except ValueError:
        return None
    if call is None or call.action != action.key or call.state != CallState.CONFIRMED:
        return None
    return Made(dict(call.answer or {}), again=True, warnings=tuple(map(str, call.messages)))
