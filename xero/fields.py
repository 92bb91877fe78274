"""Form fields for Xero's values: exact amounts, days, lists, texts that Xero can store.

They serve pages (text from a browser) and steps (JSON values, Decimals and dates from expressions)
alike.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError

from taskjuice.json_dates import parse_json_date
from taskjuice.text_fields import with_plain_line_ends
from xero import days

AMOUNT = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d+)?", re.ASCII)
LARGEST_DIGITS = 10  # before the point
PAIR = "\t"  # between the names of a tracking category and its option
HOW_TO_TRACK = "Give the category and the option: Region: North."


class TextField(forms.CharField):
    """A text, cleaned of characters that no database or JSON reader takes."""

    def to_python(self, value: Any) -> str:
        if isinstance(value, Mapping | list | tuple):
            raise ValidationError("Give a text here.")
        text = with_plain_line_ends(super().to_python("" if value is None else str(value)) or "")
        if any(
            0xD800 <= ord(letter) <= 0xDFFF or (ord(letter) < 32 and letter not in "\n\r\t")
            for letter in text
        ):
            raise ValidationError("This holds characters that Xero cannot store.")
        return text


class ExactAmountField(forms.Field):
    """An exact decimal number: `1234.5` or `1,234.50`. No exponent, no other separators, no
    float.
    """

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def __init__(
        self,
        *,
        places: int = 2,
        least: Decimal | None = None,
        above_zero: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.places, self.least, self.above_zero = places, least, above_zero

    def to_python(self, value: Any) -> Decimal | None:
        if value in self.empty_values:
            return None
        number = _parse_number(value)
        if (
            number and number.adjusted() >= LARGEST_DIGITS
        ):  # comparing 1e999999999 would itself be an error
            raise ValidationError("This number is too large.")
        if number != round(number, self.places):
            raise ValidationError(f"Give at most {self.places} decimal places.")
        if (self.above_zero and number <= 0) or (self.least is not None and number < self.least):
            raise ValidationError(
                "Give an amount above zero." if self.above_zero else f"Give at least {self.least}."
            )
        return number + 0  # -0 becomes 0


def _parse_number(value: Any) -> Decimal:
    if isinstance(value, bool | float) or not isinstance(value, int | str | Decimal):
        raise ValidationError("Give a number.")
    text = str(value).strip()
    if isinstance(value, str) and not (
        text and AMOUNT.fullmatch(text) and any(map(str.isdigit, text))
    ):
        raise ValidationError("Give a number, such as 1234.50.")
    try:
        number = Decimal(text.replace(",", ""))
    except InvalidOperation as error:
        raise ValidationError("Give a number, such as 1234.50.") from error
    if not number.is_finite():
        raise ValidationError("Give a number, such as 1234.50.")
    return number


class RelativeDayField(forms.Field):
    """A days.Day: a date, or one relative to another ("+30", "eom") that is resolved when it is
    used.
    """

    widget = forms.TextInput(attrs={"autocomplete": "off", "placeholder": "2026-11-30, +30, eom"})

    def to_python(self, value: Any) -> days.Day | None:
        if value in self.empty_values:
            return None
        if isinstance(value, date):
            return days.Day(fixed=value.date() if isinstance(value, datetime) else value)
        try:
            return days.parse_day(str(value))
        except ValueError as error:
            raise ValidationError("Give a date such as 2026-11-30, or +30, eom, today.") from error

    def prepare_value(self, value: Any) -> Any:
        return value.fixed if isinstance(value, days.Day) else value


class WordsField(forms.Field):
    """A list: JSON, or text separated by commas. `choices` limits it, in any case of letters."""

    def __init__(
        self, *, choices: Sequence[str] = (), uuids: bool = False, most: int = 40, **options: Any
    ) -> None:
        super().__init__(**options)
        self.choices, self.uuids, self.most = (
            {choice.upper(): choice for choice in choices},
            uuids,
            most,
        )

    def to_python(self, value: Any) -> list[Any]:
        if value in self.empty_values:
            return []
        parts = value if isinstance(value, list | tuple) else str(value).split(",")
        words = list(dict.fromkeys(str(word).strip() for word in parts if str(word).strip()))
        if len(words) > self.most:
            raise ValidationError(f"Give at most {self.most}.")
        return list(dict.fromkeys(self._clean_one(word) for word in words))

    def _clean_one(self, word: str) -> Any:
        if self.uuids:
            try:
                return UUID(word)
            except ValueError as error:
                raise ValidationError(f"{word[:60]} is no Xero ID.") from error
        if self.choices:
            if word.upper() not in self.choices:
                raise ValidationError(f"{word[:60]} is none of {', '.join(self.choices.values())}.")
            return self.choices[word.upper()]
        if "," in word or '"' in word or "\\" in word:
            raise ValidationError("This cannot hold commas, quotes or backslashes.")
        return word


class IdField(forms.UUIDField):
    """A record's ID at Xero."""

    default_error_messages = {"invalid": "This is no Xero ID."}


class InstantField(forms.DateTimeField):
    """An instant; without a zone it is UTC, as Xero's own are."""

    def to_python(self, value: Any) -> datetime | None:
        if isinstance(value, str) and (instant := parse_json_date(value.strip())):
            return instant
        try:
            return super().to_python(
                str(value).removesuffix("Z") if isinstance(value, str) else value
            )
        except (ValidationError, OverflowError) as error:
            raise ValidationError("Give a date and time, such as 2026-11-23T10:41:00.") from error


class AnyCaseChoiceField(forms.ChoiceField):
    """A choice in any case of letters; empty means the first one where it is not required."""

    def to_python(self, value: Any) -> str:
        text = str(value or "").strip()
        names = {str(key).lower(): str(key) for key, _ in self.choices}  # type: ignore[misc,union-attr]
        if not text and not self.required:
            return str(self.initial or "")
        return names.get(text.lower(), text)


class TrackingField(forms.Field):
    """Up to two tracking categories, cleaned to [{"name": category, "option": …}].

    It takes that list, "Region: North; Team: A", and what a page's selects post: one `pair` or a
    list of them.
    """

    MOST = 2

    def to_python(self, value: Any) -> list[dict[str, str]]:
        if value in self.empty_values:
            return []
        if isinstance(value, str):
            value = (
                [value] if PAIR in value else [text for text in value.split(";") if text.strip()]
            )
        if not isinstance(value, list | tuple):
            raise ValidationError(HOW_TO_TRACK)
        categories = [self._clean_one(text) for text in value]
        if len(categories) > self.MOST:
            raise ValidationError("A line has at most two tracking categories.")
        if len({text["name"].lower() for text in categories}) < len(categories):
            raise ValidationError("Give each tracking category once.")
        return categories

    @staticmethod
    def pair(name: str, option: str) -> str:
        """Join a category and its option to one value of a select; either may hold colons and
        semicolons.
        """
        return f"{name}{PAIR}{option}"

    def _clean_one(self, value: Any) -> dict[str, str]:
        if isinstance(value, str):
            name, _, option = value.partition(PAIR if PAIR in value else ":")
            value = {"name": name, "option": option}
        if not isinstance(value, Mapping):
            raise ValidationError(HOW_TO_TRACK)
        category = {key: str(value.get(key) or "").strip() for key in ("name", "option")}
        if not all(category.values()):
            raise ValidationError(HOW_TO_TRACK)
        return category
