"""JSON that keeps money exact: numbers with a point are Decimals, in the database and out of it."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import simplejson
from django.db import models

DEEPEST = 100
MOST_DIGITS = 300
NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
LONE_SURROGATE = re.compile(
    r"(?<!\\)((?:\\\\)*)(?:\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2})"
)


class Encoder(simplejson.JSONEncoder):
    """Decimals as plain numbers; what PostgreSQL's jsonb refuses (NUL, lone surrogates) as U+FFFD."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**(options | {"use_decimal": True, "allow_nan": False, "ensure_ascii": True}))

    def encode(self, o: Any) -> str:
        text: str = super().encode(o)
        if "\\u0000" in text:
            text = NUL.sub(r"\1\\ufffd", text)
        if "\\ud" in text:
            text = LONE_SURROGATE.sub(r"\1\\ufffd", text)
        return text

    def default(self, o: Any) -> Any:
        return str(o)  # UUIDs and dates, as ISO text


class Decoder(json.JSONDecoder):
    """As Django's JSONField wants it."""

    def decode(self, s: str, *_: Any) -> Any:
        return loads(s)


def dumps(value: Any) -> str:
    return Encoder().encode(value)


def batch(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows for `jsonb_to_recordset`, like `dumps` but a dozen times faster. The columns decide what is a number."""
    try:
        text = _quick.encode(rows).decode()
    except UnicodeEncodeError:  # a lone surrogate
        return dumps(rows)
    return NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def _as_text(value: Any) -> str:
    return str.__str__(value) if isinstance(value, str) else str(value)  # of a SafeString `str` makes another


_quick = msgspec.json.Encoder(decimal_format="number", enc_hook=_as_text)


def loads(text: str | bytes) -> Any:
    """Numbers with a point as Decimals. ValueError where it is no JSON, RecursionError where it is too deep."""
    try:
        return _quick_reader.decode(text)
    except (msgspec.DecodeError, UnicodeError):  # it is stricter: no lone surrogates, no byte order mark
        return json.loads(text, parse_float=Decimal)


_quick_reader = msgspec.json.Decoder(float_hook=Decimal)


def check_storable(value: Any, depth: int = 0) -> None:
    """Raises ValueError for what a jsonb column cannot hold, or nobody means: no number, far too large, too deep."""
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    match value:
        case dict() | list():
            for element in value.values() if isinstance(value, dict) else value:
                check_storable(element, depth + 1)
        case float():  # only NaN and the infinities are: other numbers are read exactly
            raise ValueError("a number that is none")
        case Decimal() if abs(value.adjusted()) > MOST_DIGITS or len(value.as_tuple().digits) > MOST_DIGITS:
            raise ValueError("a number out of range")
        case int() if abs(value) >= 10**MOST_DIGITS:
            raise ValueError("a number out of range")


class ExactJSONField(models.JSONField):
    """A jsonb column whose numbers stay exact."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **(options | {"encoder": Encoder, "decoder": Decoder}))

    def deconstruct(self) -> Any:
        name, path, args, options = super().deconstruct()
        return (
            name,
            path,
            args,
            {key: value for key, value in options.items() if key not in {"encoder", "decoder"}},
        )
