"""Form fields whose texts hold expressions in a structure: an address, a JSON document.

The value of an expression cannot change the structure around it. In an address it is
percent-encoded; in a document it fills the text it is in, and stays a number where it is the whole
text.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from django import forms

from taskjuice import exact_json, outbound_http
from workflows.definition.expressions import (
    BRACED,
    ExpressionError,
    evaluate_text,
    fill_values,
    has_expression,
)

NOT_JSON = (
    "This is not JSON. Expressions stand inside quotes; one that stands alone keeps its type:"
    ' {"amount": "{{ steps.invoice.Total }}"}.'
)
LARGEST = 1_000_000  # characters of a filled document


class Templated(forms.CharField):
    """A text that is validated with its expressions in it and fills them itself."""

    def fill(self, text: str, context: Mapping[str, Any]) -> str:
        """Return `text` with the expressions evaluated; raise ExpressionError."""
        raise NotImplementedError

    def parts(self, text: str) -> Any:
        """Return the texts that hold expressions: one text, or lists and mappings of texts."""
        return text


class UrlField(Templated):
    """An address with a fixed host; expressions may follow the host."""

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if not text:
            return text
        host = text.partition("://")[2].partition("/")[0].partition("?")[0]
        if has_expression(host):
            raise forms.ValidationError(
                "The host is typed as it is; expressions may follow behind it."
            )
        try:
            outbound_http.parse_target(BRACED.sub("x", text))
        except outbound_http.AddressRefused as error:
            raise forms.ValidationError(str(error)) from error
        return text

    def fill(self, text: str, context: Mapping[str, Any]) -> str:
        return str(evaluate_text(text, context, encode=_quoted))


class JsonText(Templated):
    """A JSON document, cleaned to its text."""

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if not text:
            return text
        try:
            exact_json.check_storable(exact_json.loads(text))
        except ValueError as error:
            raise forms.ValidationError(NOT_JSON) from error
        if len(text) > LARGEST:
            raise forms.ValidationError(f"The document is longer than {LARGEST:,} characters.")
        return text

    def fill(self, text: str, context: Mapping[str, Any]) -> str:
        try:
            document = exact_json.loads(text) if text.strip() else ""
        except ValueError as error:
            raise ExpressionError(NOT_JSON) from error
        return exact_json.dumps(fill_values(document, context)) if document != "" else ""

    def parts(self, text: str) -> Any:
        try:
            return exact_json.loads(text)
        except ValueError:
            return ""  # its own complaint says so


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="")
