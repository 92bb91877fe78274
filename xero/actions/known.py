"""What the local copies say of accounts, contacts and items that a step names outright."""

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

NAMED = 2  # organisations in a message; the others are counted


@dataclass(frozen=True, slots=True)
class Naming:
    """How a field names a record: by its ID or by its code. `pays`: an account that takes payments
    is needed.
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

Named = tuple[str, Naming, str]  # field of the form, how it names, what it says


def fixed(
    given: Mapping[str, Any], namings: Mapping[str, Naming], field: str = ""
) -> Iterator[Named]:
    """What is named by text as it stands; what an expression will bring is Xero's to judge."""
    for name, naming in namings.items():
        typed = given.get(name)
        text = str(typed).strip() if isinstance(typed, str | UUID) else ""
        if text and "{{" not in text and not (naming.by_id and _id(text) is None):
            yield field or name, naming, text


def wrong(connections: Sequence[Connection], named: Iterable[Named]) -> Iterator[tuple[str, str]]:
    """(field, message) of what is archived, or not there, at some of these organisations, as far as
    they were read.
    """
    wanted: dict[Naming, dict[str, str]] = defaultdict(dict)
    for field, naming, text in named:
        wanted[naming].setdefault(text, field)
    read = _read(connections) if wanted else {}
    for naming, texts in wanted.items():
        there = [
            connection for connection in connections if connection.pk in read.get(naming.kind, ())
        ]
        states = _states(naming, there, texts)
        for text, field in texts.items():
            for words, where in _complaints(naming, text, there, states):
                yield field, words.format(_places(where))


def _read(connections: Sequence[Connection]) -> Mapping[str, set[int]]:
    """By kind of record, the connections whose copy of it is whole."""
    parts = Part.objects.filter(
        ledger__in=[connection.pk for connection in connections], finished_at__isnull=False
    )
    found: dict[str, set[int]] = defaultdict(set)
    for kind, pk in parts.values_list("kind", "ledger_id"):
        found[kind].add(pk)
    return found


def _states(
    naming: Naming, connections: Sequence[Connection], texts: Iterable[str]
) -> Mapping[tuple[int, str], str]:
    """`active`, `archived`, `deleted` … or `closed`, where payments are not taken, by connection
    and text.

    A code may be used again once its record is archived: the active one counts.
    """
    key: F | Upper = F("xero_id") if naming.by_id else Upper("code")
    takes: F | Value = F("takes_payments") if naming.pays else Value(True)
    rows = naming.model._default_manager.filter(connection__in=connections).annotate(
        key=key, takes=takes
    )
    found: dict[tuple[int, str], str] = {}
    named = rows.filter(key__in=[_key(naming, text) for text in texts])
    for connection, name, status, takes_payments in named.values_list(
        "connection_id", "key", "status", "takes"
    ):
        place, state = (connection, str(name)), status.lower()
        if found.get(place) != "active":
            found[place] = state if takes_payments or state != "active" else "closed"
    return found


def _complaints(
    naming: Naming,
    text: str,
    connections: Sequence[Connection],
    states: Mapping[tuple[int, str], str],
) -> Iterator[tuple[str, list[str]]]:
    """(words with a place for the organisations, their names)."""
    by_state: dict[str, list[str]] = defaultdict(list)
    for connection in connections:
        by_state[states.get((connection.pk, _key(naming, text)), "")].append(connection.name)
    by_state.pop("active", None)
    for state, where in by_state.items():
        match state:
            case "":
                yield (
                    f"There is no {naming.word} {text} at {{}}. If it is new in Xero, refresh the {naming.word}s here.",
                    where,
                )
            case "closed":
                yield (
                    f"The account {text} takes no payments at {{}}. Enable them in Xero, or choose another.",
                    where,
                )
            case _:
                yield f"The {naming.word} {text} is {state} at {{}}. Choose another.", where


def _places(names: Sequence[str]) -> str:
    shown = list(names[:NAMED])
    if len(names) > NAMED:
        others = len(names) - NAMED
        return f"{', '.join(shown)} and {others} other{'s' if others > 1 else ''}"
    return " and ".join(shown)


def _key(naming: Naming, text: str) -> str:
    return str(_id(text)) if naming.by_id else text.upper()


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
