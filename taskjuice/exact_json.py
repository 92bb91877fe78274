"""JSON that keeps money exact: numbers with a point are Decimals, in the database and out of it."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from django.db import models

DEEPEST = 100
MOST_DIGITS = 300
NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
LONG_EXPONENT = re.compile(rb"E[+-]\d{3}")
DIGITS_ALIKE = bytes.maketrans(b"123456789.", b"0000000000")
LONG_NUMBER = b"0" * MOST_DIGITS
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def dumps(value: Any) -> str:
    """Write compact JSON: Decimals as plain numbers; UUIDs, dates and instants as ISO text.

    What PostgreSQL's jsonb refuses (NUL, lone surrogates) becomes U+FFFD. It also refuses 1e-20000,
    and spells out 1e100000: numbers beyond any use become texts.
    """
    try:
        document = _writer.encode(value)
    except UnicodeEncodeError:
        document = _writer.encode(_without_lone_surrogates(value))
    if LONG_EXPONENT.search(document) or LONG_NUMBER in document.translate(DIGITS_ALIKE):
        document = _writer.encode(_without_lone_surrogates(_with_odd_numbers_as_texts(value)))
    text = document.decode()
    return NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def dumps_indented(value: Any) -> str:
    """Write JSON for a person to read, indented by two."""
    return msgspec.json.format(dumps(value), indent=2)


def _as_text(value: Any) -> str:
    # `str` of a SafeString is a SafeString again, for which this hook would be called again.
    return str.__str__(value) if isinstance(value, str) else str(value)


def _without_lone_surrogates(value: Any) -> Any:
    match value:
        case str():
            return LONE_SURROGATE.sub("\ufffd", value)
        case Mapping():
            return {
                _without_lone_surrogates(key): _without_lone_surrogates(each)
                for key, each in value.items()
            }
        case list() | tuple():
            return [_without_lone_surrogates(each) for each in value]
    return value


def _with_odd_numbers_as_texts(value: Any) -> Any:
    match value:
        case Decimal() if is_beyond_use(value):
            return str(value)
        case Mapping():
            return {key: _with_odd_numbers_as_texts(each) for key, each in value.items()}
        case list() | tuple():
            return [_with_odd_numbers_as_texts(each) for each in value]
    return value


def is_beyond_use(number: Decimal) -> bool:
    return abs(number.adjusted()) > MOST_DIGITS or len(number.as_tuple().digits) > MOST_DIGITS


_writer = msgspec.json.Encoder(decimal_format="number", enc_hook=_as_text)


class Encoder:
    """The writer in the form in which Django's JSONField takes one."""

    def __init__(self, **options: Any) -> None:
        pass  # json.dumps hands over its own options, which say nothing here

    def encode(self, value: Any) -> str:
        return dumps(value)


class Decoder(json.JSONDecoder):
    """The reader in the form in which Django's JSONField takes one."""

    def decode(self, s: str, *_: Any) -> Any:
        return loads(s)


def loads(text: str | bytes) -> Any:
    """Return the document, numbers with a point as Decimals.

    Raises ValueError, and nothing else, where it is no JSON, nested too deeply, or holds a number
    beyond any Decimal.
    """
    try:
        return _read(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ArithmeticError as error:  # an exponent that Decimal itself refuses
        raise ValueError("a number out of range") from error


def _read(text: str | bytes) -> Any:
    try:
        return _quick_reader.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        # msgspec is stricter than json: it takes no lone surrogates and no byte order mark.
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


_quick_reader = msgspec.json.Decoder(float_hook=Decimal)


def check_storable(value: Any, depth: int = 0) -> None:
    """Raise ValueError for what a jsonb column cannot hold or no one means: NaN, huge, too deep."""
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    match value:
        case dict() | list():
            for element in value.values() if isinstance(value, dict) else value:
                check_storable(element, depth + 1)
        case float():  # only NaN and the infinities are: other numbers are read exactly
            raise ValueError("a number that is none")
        case Decimal() if is_beyond_use(value):
            raise ValueError("a number out of range")
        case int() if abs(value) >= 10**MOST_DIGITS:
            raise ValueError("a number out of range")


def is_within(number: int | Decimal, *, digits: int, places: int) -> bool:
    """Return whether a number has at most so many digits before and places behind its point."""
    # Its exponent is compared: comparing or rounding 1e999999999 is itself an error.
    amount = Decimal(number)
    exponent = amount.as_tuple().exponent
    return isinstance(exponent, int) and -exponent <= places and amount.adjusted() < digits


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
