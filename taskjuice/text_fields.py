"""Text of several lines, whose line ends are one character whatever a browser sends."""

from typing import Any

from django import forms


def with_plain_line_ends(text: str) -> str:
    """Return the text with LF alone for line ends."""
    # Browsers send CR LF for each line end of a form (HTML, "normalize newlines").
    return text.replace("\r\n", "\n").replace("\r", "\n")


class LongTextField(forms.CharField):
    """A text of several lines. Its length is that of what was typed."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> str:
        return with_plain_line_ends(super().to_python(value) or "")
