"""Texts of several lines: a line's end is one character, as the page shows it, whatever a browser
sends for it.
"""

from typing import Any

from django import forms


def with_plain_line_ends(text: str) -> str:
    """Browsers send CR LF for each line end of a form (HTML, "normalize newlines"); what is kept
    has LF alone.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n")


class LongTextField(forms.CharField):
    """A text of several lines. Its length is that of what was typed."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> str:
        return with_plain_line_ends(super().to_python(value) or "")
