"""Checks of Xero's answers against what was asked (facts 4.5 and 10).

Reasons and warnings can stand at any depth: at a line, at the contact's address, at the account.
Each is returned with its position, "Line 3: …", so that a form can show it at the right row.
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
POSITIONED = re.compile(
    r"(?P<about>Line|Contact|Address|Phone|Payment terms|Account|Invoice)(?: (?P<number>\d{1,6}))?"
    r"(?P<rest>(?:, [a-z0-9 ]{1,60}){0,20}): (?P<words>.+)",
    re.ASCII | re.DOTALL,
)


class UnexpectedAnswer(Exception):
    """An answer without what was asked for. The text says what is missing."""


def read_reasons(value: Any) -> list[str]:
    """Return every reason for a refusal in a body or element, outermost first, each with
    its place.
    """
    return _collect_messages(value, "validationerrors")


def read_warnings(value: Any) -> list[str]:
    """Return what Xero warns of in a record that it wrote, each with its place."""
    return _collect_messages(value, "warnings")


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
    """Raise UnexpectedAnswer unless a GET of this path was answered with a list of its records.

    Nothing may be taken for "not there" because an answer lists nothing, or lists what has no ids.
    """
    resource, _, rest = path.strip("/").partition("/")
    if "/" in rest:
        return
    name = COLLECTIONS.get(resource, resource)
    records = answer.get(name)
    if not isinstance(records, list) or (resource in COLLECTIONS and not records):
        raise UnexpectedAnswer(f"Xero's answer does not list {name}.")
    id_field = ID_FIELDS.get(name)
    objects = [record for record in records if isinstance(record, dict)]
    if records and not (
        any(read_uuid(record, id_field) for record in objects) if id_field else objects
    ):
        raise UnexpectedAnswer(f"Xero's answer lists {name} that are none.")


def is_refusal(answer: Mapping[str, Any]) -> bool:
    """Return whether nothing in the answer to a write was written, and each of its elements says
    so.
    """
    elements = [
        element
        for name in ID_FIELDS
        for element in _as_list(answer.get(name))
        if isinstance(element, dict)
    ]
    return bool(elements) and all(
        read_reasons(element)
        and (
            is_refused(element) or not any(read_uuid(element, name) for name in ID_FIELDS.values())
        )
        for element in elements
    )


def split_position(message: str) -> tuple[str, int, str]:
    """Split a reason into its subject ("line"), the subject's number (from 1; 0: none) and Xero's
    words.
    """
    match = POSITIONED.fullmatch(message)
    return (
        (match["about"].lower(), int(match["number"] or 0), match["words"])
        if match
        else ("", 0, message)
    )


def renumber_line(message: str, number: int) -> str:
    """Return the same reason with another line number."""
    return POSITIONED.sub(lambda match: f"Line {number}{match['rest']}: {match['words']}", message)


def _collect_messages(value: Any, kind: str) -> list[str]:
    """Return the messages of one kind with their positions, each only at its innermost position."""
    messages = list(dict.fromkeys(_walk_messages(value, kind)))
    deeper = {(message, path[:depth]) for path, message in messages for depth in range(len(path))}
    return [
        _with_position(path, message) for path, message in messages if (message, path) not in deeper
    ]


def _walk_messages(value: Any, kind: str) -> Iterator[tuple[Path, str]]:
    """Yield every message of this kind with the names on the way to it."""
    # A stack of our own, since an answer may be nested deeper than Python recurses.
    pending: list[tuple[Path, Any]] = [((), value)]
    while pending:
        path, node = pending.pop()
        if isinstance(node, list):
            pending += [(path, element) for element in reversed(node)]
        if not isinstance(node, Mapping):
            continue
        inside: list[tuple[Path, Any]] = []
        for key, child in node.items():
            name = str(key)
            if name.lower() == kind:
                yield from ((path, text) for text in map(_read_message, _as_list(child)) if text)
            elif name.lower() in ELEMENTS:
                word = ELEMENTS[name.lower()]
                inside += [
                    ((*path, f"{word} {n}"), element)
                    for n, element in enumerate(_as_list(child), 1)
                ]
            elif isinstance(child, Mapping | list):
                inside.append(((*path, " ".join(WORDS.findall(name)).lower()), child))
        pending += reversed(inside)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _read_message(error: Any) -> str:
    if isinstance(error, Mapping):
        error = next((text for key, text in error.items() if str(key).lower() == "message"), "")
    return UNSTORABLE.sub("\ufffd", " ".join(error.split())) if isinstance(error, str) else ""


def _with_position(path: Path, message: str) -> str:
    position = ", ".join(part for part in path if part)
    return f"{position[0].upper()}{position[1:]}: {message}" if position else message


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool)
