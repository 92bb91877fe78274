"""Form fields for the rows of an HTTP request: its query, its headers."""

import re
from typing import Any

from django import forms

from workflows.definition.expression_filters import FilterError, as_text
from workflows.definition.fields import ExactJsonField

MOST_ROWS = 30
LONGEST = 8_000
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # RFC 9110, 5.6.2
SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# What the request itself says, or what could change how it is read
OURS = frozenset(
    "host content-length transfer-encoding connection keep-alive te trailer upgrade expect accept-encoding"
    " idempotency-key proxy-authorization proxy-connection".split()
)


class PairsField(ExactJsonField):
    """Rows {"name", "value"}."""

    columns: tuple[str, ...] = ("name", "value")

    def to_python(self, value: Any) -> Any:
        parsed = super().to_python(value)
        if parsed in self.empty_values:
            return []
        if not isinstance(parsed, list) or not all(isinstance(row, dict) for row in parsed):
            raise forms.ValidationError("Give rows with a name and a value.")
        if len(parsed) > MOST_ROWS:
            raise forms.ValidationError(f"At most {MOST_ROWS} rows.")
        rows = [{column: _text(row.get(column)) for column in self.columns} for row in parsed]
        for row in rows:
            self.check(row)
        return rows

    def check(self, row: dict[str, str]) -> None:
        if not row["name"]:
            raise forms.ValidationError("Each row needs a name.")
        if len(row["value"]) > LONGEST:
            raise forms.ValidationError(f"A value has at most {LONGEST:,} characters.")


class HeadersField(PairsField):
    """Rows {"name", "value", "secret"}.

    `secret` names a secret value that follows the value after a space.
    """

    columns = ("name", "value", "secret")

    def check(self, row: dict[str, str]) -> None:
        super().check(row)
        name = row["name"]
        if not TOKEN.fullmatch(name):
            raise forms.ValidationError(f"“{name[:60]}” is not the name of a header.")
        if name.lower() in OURS:
            raise forms.ValidationError(f"The header {name} is set by TaskJuice itself.")
        if CONTROL.search(row["value"]):
            raise forms.ValidationError(
                f"The header {name} holds a line break or another control character."
            )
        if not row["value"].isprintable() or max(row["value"], default="") > "\xff":
            raise forms.ValidationError(
                f"The header {name} holds a character that headers cannot carry."
            )
        if row["secret"] and not SECRET_NAME.fullmatch(row["secret"]):
            raise forms.ValidationError(
                "Give the name of a secret value as it is; no expressions there."
            )


def _text(value: Any) -> str:
    try:
        return as_text(value).strip()
    except FilterError as error:
        raise forms.ValidationError(str(error)) from error
