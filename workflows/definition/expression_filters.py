"""The filters of expressions.

Numbers are Decimals, and every result is capped in size. Filters that visit the elements of a list,
or a long text, spend them from the step's budget first.
"""

import calendar
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from math import isfinite
from typing import Any

from django.utils import timezone
from liquid import Undefined

from taskjuice.json_dates import as_iso
from workflows.definition.evaluation_budget import spend_elements, spend_text

MAX_TEXT = 50_000
MAX_DIGITS = 40
# Any result of two numbers of this size fits, so that nothing is rounded on the way, and no
# remainder is impossible
EXACT = Context(prec=10 * MAX_DIGITS, rounding=ROUND_HALF_UP)
LONGEST_NUMBER = 200  # characters, spaces around it included
TOO_LONG = f"The text is longer than {MAX_TEXT:,} characters."


class FilterError(Exception):
    """A value that a filter cannot work with; the text is for the expression's author."""


class NothingThereError(FilterError):
    """An element was requested of an empty list, which counts as a missing name."""


def is_undefined(value: Any) -> bool:
    # By type: asking a strict undefined for its class, as isinstance does, already raises.
    return issubclass(type(value), Undefined)


def to_exact(value: Any) -> Any:
    """Turn floats (Liquid's number literals) into Decimals; an undefined name raises Liquid's
    error.
    """
    if is_undefined(value):
        value.poke()
    if isinstance(value, range):
        raise FilterError("Ranges are not available.")
    if not isinstance(value, float):
        return value
    if not isfinite(value):
        raise FilterError("The number is out of range.")
    return Decimal(repr(value))


def to_number(value: Any) -> Decimal:
    value = to_exact(value)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | Decimal | str)
        or (isinstance(value, str) and len(value) > LONGEST_NUMBER)
    ):
        raise FilterError(f"A number is needed, not {_named(value)}.")
    try:
        result = Decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation as error:
        raise FilterError(f"A number is needed, not {_named(value)}.") from error
    return _capped(result)


def as_text(value: Any) -> str:
    """Return the value as it reads inside a text."""
    match to_exact(value):
        case str(text):
            spend_text(len(text))
            return as_iso(text)
        case None:
            return ""
        case bool(flag):
            return "true" if flag else "false"
        case Decimal() as amount:
            return format(amount, "f")
        case list() | tuple() as elements:
            spend_elements(len(elements))
            return ", ".join(as_text(element) for element in elements)
        case Mapping():
            raise FilterError("This is a group of values; name one of them.")
        case other:
            return str(other)


def to_date(value: Any) -> date:
    """Read a date from ISO text with or without a time, or from Xero's
    /Date(1763856000000+0000)/.
    """
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(as_text(value)[:10])
    except ValueError as error:
        raise FilterError(f"A date such as 2026-11-23 is needed, not {_named(value)}.") from error


def _capped(amount: Decimal) -> Decimal:
    _, digits, exponent = amount.as_tuple()
    if (
        not isinstance(exponent, int)  # not finite
        or amount.adjusted() > MAX_DIGITS
        or max(len(digits), -exponent) > 3 * MAX_DIGITS
    ):
        raise FilterError(f"The number is out of range (at most {MAX_DIGITS} digits).")
    return amount


def _named(value: Any) -> str:
    """Name a value for an error message; lists and records may be megabytes and are not shown."""
    if isinstance(value, list | tuple | Mapping):
        return "a record" if isinstance(value, Mapping) else "a list"
    return f"“{value[:60] if isinstance(value, str) else str(value)[:60]}”"


def _places(places: Any) -> Decimal:
    count = int(to_number(places))
    if not 0 <= count <= 10:
        raise FilterError("Round to 0 to 10 decimal places.")
    return Decimal(1).scaleb(-count)


def _divided_by(left: Any, right: Any) -> Decimal:
    divisor = to_number(right)
    if divisor == 0:
        raise FilterError("Division by zero.")
    return _capped(to_number(left) / divisor)


def _modulo(left: Any, right: Any) -> Decimal:
    divisor = to_number(right)
    if divisor == 0:
        raise FilterError("Division by zero.")
    return _capped(EXACT.remainder(to_number(left), divisor))


def _cut(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise FilterError(TOO_LONG)
    return text


def _replace(text: Any, old: Any, new: Any = "") -> str:
    source, before, after = as_text(text), as_text(old), as_text(new)
    growth = source.count(before) * max(0, len(after) - len(before)) if before else 0
    if not before:
        raise FilterError("Say what to replace.")
    if len(source) + growth > MAX_TEXT:
        raise FilterError(TOO_LONG)
    return source.replace(before, after)


def _truncate(text: Any, length: Any = 50) -> str:
    source, size = as_text(text), int(to_number(length))
    return source if len(source) <= size else f"{source[: max(0, size - 1)]}…"


def _default(value: Any, other: Any = "") -> Any:
    return other if is_undefined(value) or value in (None, "", False, [], {}) else value


def _size(value: Any) -> int:
    exact_value = to_exact(value)
    return (
        len(exact_value)
        if isinstance(exact_value, list | str | Mapping)
        else len(as_text(exact_value))
    )


def _element(index: int) -> Callable[[Any], Any]:
    def pick(value: Any) -> Any:
        if not isinstance(value, list) or not value:
            raise NothingThereError("There is no element to take.")
        return value[index]

    return pick


def _join(value: Any, glue: Any = ", ") -> str:
    if not isinstance(value, list):
        raise FilterError("A list is needed.")
    spend_elements(len(value))
    between, texts = as_text(glue), [as_text(element) for element in value]
    if sum(map(len, texts)) + len(between) * max(0, len(texts) - 1) > MAX_TEXT:
        raise FilterError(TOO_LONG)
    return between.join(texts)


def _split(value: Any, by: Any = ",") -> list[str]:
    separator = as_text(by)
    if not separator:
        raise FilterError("Say where to split.")
    return as_text(value).split(separator, 1000)[:1000]


def _map(value: Any, key: Any) -> list[Any]:
    spend_elements(len(value) if isinstance(value, list) else 1)
    if not isinstance(value, list) or not all(isinstance(element, Mapping) for element in value):
        raise FilterError("A list of records is needed.")
    name = as_text(key)
    return [element.get(name) for element in value]


def _sum(value: Any, key: Any = None) -> Decimal:
    elements = value if key is None else _map(value, key)
    if not isinstance(elements, list):
        raise FilterError("A list is needed.")
    spend_elements(len(elements))
    total = Decimal(0)
    for element in elements:
        total = EXACT.add(total, to_number(element or 0))
    return _capped(total)


def _date(value: Any, shape: Any = "%d %b %Y") -> str:
    when = timezone.localdate() if as_text(value) in {"now", "today"} else to_date(value)
    return _cut(when.strftime(as_text(shape)[:100]))


def _add_days(value: Any, days: Any) -> str:
    count = int(to_number(days))
    if abs(count) > 36_525:
        raise FilterError("At most 36,525 days.")
    try:
        return (to_date(value) + timedelta(days=count)).isoformat()
    except OverflowError as error:
        raise FilterError("The date is out of range.") from error


def _end_of_month(value: Any, months: Any = 0) -> str:
    start, ahead = to_date(value), int(to_number(months))
    total = start.year * 12 + start.month - 1 + ahead
    year, month = divmod(total, 12)
    if not 1 <= year <= 9999:
        raise FilterError("The date is out of range.")
    return date(year, month + 1, calendar.monthrange(year, month + 1)[1]).isoformat()


FILTERS: dict[str, Callable[..., Any]] = {
    "abs": lambda value: to_number(value).copy_abs(),
    "add_days": _add_days,
    "append": lambda value, more: _cut(as_text(value) + as_text(more)),
    "at_least": lambda value, least: max(to_number(value), to_number(least)),
    "at_most": lambda value, most: min(to_number(value), to_number(most)),
    "capitalize": lambda value: as_text(value).capitalize(),
    "ceil": lambda value: to_number(value).to_integral_value(ROUND_CEILING),
    "date": _date,
    "default": _default,
    "divided_by": _divided_by,
    "downcase": lambda value: as_text(value).lower(),
    "end_of_month": _end_of_month,
    "first": _element(0),
    "floor": lambda value: to_number(value).to_integral_value(ROUND_FLOOR),
    "join": _join,
    "last": _element(-1),
    "map": _map,
    "minus": lambda value, less: _capped(EXACT.subtract(to_number(value), to_number(less))),
    "modulo": _modulo,
    "plus": lambda value, more: _capped(EXACT.add(to_number(value), to_number(more))),
    "prepend": lambda value, before: _cut(as_text(before) + as_text(value)),
    "replace": _replace,
    "round": lambda value, places=0: to_number(value).quantize(_places(places), context=EXACT),
    "size": _size,
    "split": _split,
    "strip": lambda value: as_text(value).strip(),
    "sum": _sum,
    "times": lambda value, by: _capped(EXACT.multiply(to_number(value), to_number(by))),
    "truncate": _truncate,
    "upcase": lambda value: as_text(value).upper(),
}
