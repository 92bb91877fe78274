"""What the ageing pages take from their addresses. What makes no sense is not applied; a wrong day
says so.
"""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.http import QueryDict

from xero.ageing.queries import BYS, SIDES
from xero.ledger.forms import Day

EARLIEST = date(2000, 1, 1)
AHEAD = timedelta(days=366)


class AgeingForm(forms.Form):
    on = Day("As of")
    side = forms.ChoiceField(required=False, choices=[(name, name) for name in SIDES])
    by = forms.ChoiceField(required=False, choices=[(name, name) for name in BYS])
    currency = forms.CharField(required=False, max_length=10)
    contact = forms.UUIDField(required=False, widget=forms.HiddenInput)
    sort = forms.CharField(required=False, max_length=20)
    page = forms.IntegerField(required=False, min_value=1, max_value=100_000)

    def __init__(self, data: QueryDict, *, today: date) -> None:
        filled = data.copy()
        filled.setdefault("on", today.isoformat())
        super().__init__(filled, label_suffix="")
        self.today = today

    def clean_on(self) -> date | None:
        on: date | None = self.cleaned_data["on"]
        if on is not None and not EARLIEST <= on <= self.today + AHEAD:
            raise forms.ValidationError("Choose a day from 2000 on, at most a year ahead.")
        return on

    def wanted(self) -> dict[str, Any]:
        """The cleaned values; those of wrong fields are missing."""
        self.is_valid()
        return self.cleaned_data
