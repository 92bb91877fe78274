"""Checks of the accounts, contacts and items that a step names outright, against the local
copies.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F, Value
from django.db.models.functions import Upper

from connections.models import Connection
from xero.models import Account, Contact, Item, Part, Record
from xero.sync.mapping import ACCOUNTS, CONTACTS, ITEMS

NAMES_SHOWN = 2  # organisations in a message; the others are counted


@dataclass(frozen=True, slots=True)
class Naming:
    """The way in which a field names a record: by its ID or by its code.

    `pays`: the account has to accept payments.
    """

    kind: str
    model: type[Record]
    word: str
    by_id: bool = False
    pays: bool = False


ACCOUNT = Naming(ACCOUNTS, Account, "account")
PAYMENT_ACCOUNT = Naming(ACCOUNTS, Account, "account", pays=True)
PAYMENT_ACCOUNT_ID = Naming(ACCOUNTS, Account, "account", by_id=True, pays=True)
CONTACT_ID = Naming(CONTACTS, Contact, "contact", by_id=True)
ITEM = Naming(ITEMS, Item, "item")

NamedRecord = tuple[str, Naming, str]  # field of the form, how it names, what it says


def list_named_records(
    given: Mapping[str, Any], namings: Mapping[str, Naming], field: str = ""
) -> Iterator[NamedRecord]:
    """Yield the records that these fields name outright, not by an expression."""
    for name, naming in namings.items():
        typed = given.get(name)
        text = str(typed).strip() if isinstance(typed, str | UUID) else ""
        # What an expression brings is known at run time only, and Xero judges it then.
        if text and "{{" not in text and not (naming.by_id and _parse_uuid(text) is None):
            yield field or name, naming, text


def list_problems(
    connections: Sequence[Connection], named: Iterable[NamedRecord]
) -> Iterator[tuple[str, str]]:
    """Yield (field, message) for each record that is archived or missing at some of the
    organisations.

    Organisations whose records have not been read completely are left out.
    """
    texts_by_naming: dict[Naming, dict[str, str]] = defaultdict(dict)
    for field, naming, text in named:
        texts_by_naming[naming].setdefault(text, field)
    read = _list_complete_copies(connections) if texts_by_naming else {}
    for naming, texts in texts_by_naming.items():
        readable = [
            connection for connection in connections if connection.pk in read.get(naming.kind, ())
        ]
        states = _read_states(naming, readable, texts)
        for text, field in texts.items():
            for message, organisations in _list_complaints(naming, text, readable, states):
                yield field, message.format(_join_names(organisations))


def _list_complete_copies(connections: Sequence[Connection]) -> Mapping[str, set[int]]:
    """Return the connections whose local copy is complete, by kind of record."""
    parts = Part.objects.filter(
        ledger__in=[connection.pk for connection in connections], finished_at__isnull=False
    )
    connections_by_kind: dict[str, set[int]] = defaultdict(set)
    for kind, pk in parts.values_list("kind", "ledger_id"):
        connections_by_kind[kind].add(pk)
    return connections_by_kind


def _read_states(
    naming: Naming, connections: Sequence[Connection], texts: Iterable[str]
) -> Mapping[tuple[int, str], str]:
    """Return the records' states by (connection id, text).

    A state is Xero's status in lower case, or `closed` for an account that accepts no payments
    where one has to.
    """
    key: F | Upper = F("xero_id") if naming.by_id else Upper("code")
    takes: F | Value = F("takes_payments") if naming.pays else Value(True)
    rows = naming.model._default_manager.filter(connection__in=connections).annotate(
        key=key, takes=takes
    )
    states: dict[tuple[int, str], str] = {}
    named = rows.filter(key__in=[_key(naming, text) for text in texts])
    for connection, name, status, takes_payments in named.values_list(
        "connection_id", "key", "status", "takes"
    ):
        record_key, state = (connection, str(name)), status.lower()
        # A code may be used again once its record is archived: the active one counts.
        if states.get(record_key) != "active":
            states[record_key] = state if takes_payments or state != "active" else "closed"
    return states


def _list_complaints(
    naming: Naming,
    text: str,
    connections: Sequence[Connection],
    states: Mapping[tuple[int, str], str],
) -> Iterator[tuple[str, list[str]]]:
    """Yield (message with a placeholder for the organisations, their names)."""
    by_state: dict[str, list[str]] = defaultdict(list)
    for connection in connections:
        by_state[states.get((connection.pk, _key(naming, text)), "")].append(connection.name)
    by_state.pop("active", None)
    for state, organisations in by_state.items():
        match state:
            case "":
                yield (
                    (
                        f"There is no {naming.word} {text} at {{}}."
                        f" If it is new in Xero, refresh the {naming.word}s here."
                    ),
                    organisations,
                )
            case "closed":
                yield (
                    (
                        f"The account {text} takes no payments at {{}}."
                        " Enable them in Xero, or choose another."
                    ),
                    organisations,
                )
            case _:
                yield f"The {naming.word} {text} is {state} at {{}}. Choose another.", organisations


def _join_names(names: Sequence[str]) -> str:
    shown = list(names[:NAMES_SHOWN])
    if len(names) > NAMES_SHOWN:
        others = len(names) - NAMES_SHOWN
        return f"{', '.join(shown)} and {others} other{'s' if others > 1 else ''}"
    return " and ".join(shown)


def _key(naming: Naming, text: str) -> str:
    return str(_parse_uuid(text)) if naming.by_id else text.upper()


def _parse_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
