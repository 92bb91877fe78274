"""Sample figures for the page of all components."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.utils import timezone

from taskjuice.site.icons import ICONS

STATES = (
    "active pending error revoked paused safety draft published archived waiting running succeeded stopped skipped"
    " failed unknown later cancelled unparsable"
)


class SampleForm(forms.Form):
    name = forms.CharField(label="Name", help_text="As it stands on the invoice.")
    date = forms.DateField(label="Due date", widget=forms.DateInput(attrs={"type": "date"}))
    note = forms.CharField(label="Note", required=False, widget=forms.Textarea(attrs={"rows": 2}))
    kind = forms.ChoiceField(label="Kind", choices=[("sale", "Sales invoice"), ("bill", "Bill")])
    tax = forms.ChoiceField(
        label="Amounts are",
        choices=[("ex", "Tax exclusive"), ("in", "Tax inclusive")],
        widget=forms.RadioSelect,
    )
    send = forms.BooleanField(
        label="Mark as sent", required=False, help_text="Xero will not e-mail it."
    )


def context() -> dict[str, Any]:
    now = timezone.now()
    rows = [
        (
            "INV-0042",
            "Harbour Café",
            now - timedelta(minutes=4),
            Decimal("1234.5"),
            "NZD",
            "succeeded",
        ),
        ("INV-0043", "Kauri Builders", now - timedelta(hours=3), Decimal(-80), "USD", "failed"),
        (
            "INV-0044",
            "Tui Studio",
            now - timedelta(days=12),
            Decimal("108250.25"),
            "NZD",
            "unknown",
        ),
    ]
    return {
        "icons": sorted(ICONS),
        "states": STATES.split(),
        "rows": rows,
        "page": Paginator(range(213), 50).get_page(2),
        "form": SampleForm({"name": "", "date": "", "kind": "sale"}),
    }
