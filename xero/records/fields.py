"""Single fields of Xero's raw JSON, each read to one type, whatever Xero sent or left out.

Xero leaves out empty fields, also some that pages rely on, and may send an amount as text or as ""
(facts 4.6 in section 10). So nothing here raises: a field that is absent or invalid is None or
empty. Whole records are read by documents.py and master_data.py beside this file, rows by
xero/sync/mapping.py; nothing else reads a raw body.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from xero.records import wire

Body = Mapping[str, Any]

LARGEST = Decimal(10) ** 15
MOST_PLACES = 10
NO_ID = UUID(int=0)  # Xero's word for "none", as in records that it did not make
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def read_text(body: Body, name: str, longest: int = 255) -> str:
    """Return the text; empty where there is none, or a list or object. Numbers are spelled out."""
    value = body.get(name)
    if value is None or isinstance(value, (dict, list)):
        return ""
    text = str(value)
    return (
        text[:longest]
        if text.isascii() and "\0" not in text
        else UNSTORABLE.sub("\ufffd", text)[:longest]
    )


def read_flag(body: Body, name: str) -> bool:
    value = body.get(name)
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def read_uuid(body: Body, name: str) -> UUID | None:
    """Return the id; None also for the zero id."""
    value = body.get(name)
    try:
        uuid = value if isinstance(value, UUID) else UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if uuid == NO_ID else uuid


def read_amount(body: Body, name: str) -> Decimal | None:
    """Return the amount, rate or quantity, also where it came as text; None where there is none."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        return None
    try:
        amount = value if isinstance(value, Decimal) else Decimal(value)
    except (InvalidOperation, ValueError):  # ValueError: an int of thousands of digits
        return None
    if not amount.is_finite() or not -LARGEST < amount < LARGEST:
        return None
    return round_places(amount)


def round_places(amount: Decimal) -> Decimal:
    """Return the finite amount, rounded where it has more than MOST_PLACES decimal places."""
    return round(amount, MOST_PLACES) if int(amount.as_tuple().exponent) < -MOST_PLACES else amount


def read_count(body: Body, name: str) -> int | None:
    amount = read_amount(body, name)
    return None if amount is None or amount < 0 else int(amount)


def read_day(body: Body, name: str) -> date | None:
    """Return the accounting date, from `DateString` where Xero sends one, else from `Date`."""
    for field in (f"{name}String", name):
        text = body.get(field)
        if isinstance(text, str):
            try:
                return (
                    date.fromisoformat(text[:10])
                    if text.endswith("T00:00:00")
                    else wire.parse_day(text)
                )
            except ValueError:
                continue
    return None


def read_instant(body: Body, name: str) -> datetime | None:
    value = body.get(name)
    try:
        return wire.parse_instant(value) if isinstance(value, str) else None
    except ValueError:
        return None


def read_object(body: Body, name: str) -> Body:
    """Return the nested object; an empty one where there is none."""
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def read_objects(body: Body, name: str) -> list[Body]:
    """Return the objects of a list, without anything else in it."""
    value = body.get(name)
    return (
        [element for element in value if isinstance(element, dict)]
        if isinstance(value, list)
        else []
    )


def read_objects_by_id(body: Body, name: str, id_field: str) -> dict[UUID, dict[str, Any]]:
    """Return the objects of a list by their id, without those that have none."""
    pairs = ((read_uuid(element, id_field), element) for element in read_objects(body, name))
    return {id: dict(element) for id, element in pairs if id is not None}
