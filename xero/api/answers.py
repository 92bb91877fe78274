"""What an answer of Xero says about what was asked (facts 4.5 and 10), before anybody believes it.

Reasons and warnings can stand at any depth: at a line, at the contact's address, at the account.
Each is told with its place, "Line 3: …", so that a form can show it at the row it belongs to.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from xero.records.fields import UNSTORABLE, read_uuid

Path = tuple[str, ...]

# Xero's lists, by what one of them is called; what is not named here is called by its own name.
ELEMENTS = {
    "lineitems": "line",
    "addresses": "address",
    "phones": "phone",
    "contactpersons": "contact person",
    "tracking": "tracking",
    "payments": "payment",
}
ID_FIELDS = {
    "Invoices": "InvoiceID",
    "Contacts": "ContactID",
    "Payments": "PaymentID",
    "Accounts": "AccountID",
    "Items": "ItemID",
    "CreditNotes": "CreditNoteID",
    "TrackingCategories": "TrackingCategoryID",
}
COLLECTIONS = {"Organisation": "Organisations"}  # by the path's first part; one there always is
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
PLACED = re.compile(
    r"(?P<about>Line|Contact|Address|Phone|Payment terms|Account|Invoice)(?: (?P<number>\d{1,6}))?"
    r"(?P<rest>(?:, [a-z0-9 ]{1,60}){0,20}): (?P<words>.+)",
    re.ASCII | re.DOTALL,
)


class NotTheAnswer(Exception):
    """The answer does not hold what was asked for. The text says what is missing."""


def read_reasons(value: Any) -> list[str]:
    """Return every reason for a refusal in a body or element, outermost first, each with its place."""
    return _told(value, "validationerrors")


def read_warnings(value: Any) -> list[str]:
    """Return what Xero warns of in a record that it wrote, each with its place."""
    return _told(value, "warnings")


def is_refused(element: Mapping[str, Any]) -> bool:
    """Return whether Xero marks the element itself as not written."""
    marks = {
        str(key).lower(): str(value).lower() for key, value in element.items() if _is_plain(value)
    }
    return (
        marks.get("statusattributestring") == "error"
        or marks.get("haserrors") == "true"
        or marks.get("hasvalidationerrors") == "true"
    )


def is_accepted(element: Mapping[str, Any]) -> bool:
    """Return whether Xero marks the element as written, be it with warnings."""
    return str(element.get("StatusAttributeString") or "").upper() in {"OK", "WARNING"}


def check_collection(path: str, answer: Mapping[str, Any]) -> None:
    """Raise NotTheAnswer unless a GET of this path was answered with a list of its records.

    Nothing may be taken for "not there" because an answer lists nothing, or lists what has no ids.
    """
    resource, _, rest = path.strip("/").partition("/")
    if "/" in rest:
        return
    name = COLLECTIONS.get(resource, resource)
    records = answer.get(name)
    if not isinstance(records, list) or (resource in COLLECTIONS and not records):
        raise NotTheAnswer(f"Xero's answer does not list {name}.")
    id_field = ID_FIELDS.get(name)
    known = [record for record in records if isinstance(record, dict)]
    if records and not (any(read_uuid(one, id_field) for one in known) if id_field else known):
        raise NotTheAnswer(f"Xero's answer lists {name} that are none.")


def is_refusal(answer: Mapping[str, Any]) -> bool:
    """Return whether nothing in the answer to a write was written, and each of its elements says
    so.
    """
    found = [
        one for name in ID_FIELDS for one in _listed(answer.get(name)) if isinstance(one, dict)
    ]
    return bool(found) and all(
        read_reasons(one)
        and (is_refused(one) or not any(read_uuid(one, name) for name in ID_FIELDS.values()))
        for one in found
    )


def split_place(message: str) -> tuple[str, int, str]:
    """Take a reason apart: what it is about ("line"), which of them (from 1; 0: no number), and
    Xero's own words.
    """
    found = PLACED.fullmatch(message)
    return (
        (found["about"].lower(), int(found["number"] or 0), found["words"])
        if found
        else ("", 0, message)
    )


def renumber_line(message: str, number: int) -> str:
    """The same reason about the line of this number."""
    return PLACED.sub(lambda found: f"Line {number}{found['rest']}: {found['words']}", message)


def _told(value: Any, kind: str) -> list[str]:
    """The messages of one kind with their places. What is also said further inside is only said
    there.
    """
    found = list(dict.fromkeys(_messages(value, kind)))
    inner = {(message, path[:depth]) for path, message in found for depth in range(len(path))}
    return [_placed(path, message) for path, message in found if (message, path) not in inner]


def _messages(value: Any, kind: str) -> Iterator[tuple[Path, str]]:
    """Every message of this kind, with the names on the way to it; nothing here recurses."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, list):
            waiting += [(path, element) for element in reversed(node)]
        if not isinstance(node, Mapping):
            continue
        inside: list[tuple[Path, Any]] = []
        for key, child in node.items():
            name = str(key)
            if name.lower() == kind:
                yield from ((path, text) for text in map(_text, _listed(child)) if text)
            elif name.lower() in ELEMENTS:
                word = ELEMENTS[name.lower()]
                inside += [((*path, f"{word} {n}"), one) for n, one in enumerate(_listed(child), 1)]
            elif isinstance(child, Mapping | list):
                inside.append(((*path, " ".join(WORDS.findall(name)).lower()), child))
        waiting += reversed(inside)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(error: Any) -> str:
    if isinstance(error, Mapping):
        error = next((text for key, text in error.items() if str(key).lower() == "message"), "")
    return UNSTORABLE.sub("\ufffd", " ".join(error.split())) if isinstance(error, str) else ""


def _placed(path: Path, message: str) -> str:
    place = ", ".join(part for part in path if part)
    return f"{place[0].upper()}{place[1:]}: {message}" if place else message


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool)
