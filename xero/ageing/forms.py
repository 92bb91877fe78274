"""The form of the ageing pages, filled from the query string.

Fields that do not validate are not applied; only a wrong day shows an error.
"""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.http import QueryDict

from xero.ageing.queries import SIDES
from xero.ageing.statements import GROUP_KEYS
from xero.ledger.forms import DateInputField

EARLIEST = date(2000, 1, 1)
AHEAD = timedelta(days=366)


class AgeingForm(forms.Form):
    on = DateInputField("As of")
    side = forms.ChoiceField(required=False, choices=[(name, name) for name in SIDES])
    by = forms.ChoiceField(required=False, choices=[(name, name) for name in GROUP_KEYS])
    currency = forms.CharField(required=False, max_length=10)
    contact = forms.UUIDField(required=False, widget=forms.HiddenInput)
    sort = forms.CharField(required=False, max_length=20)
    page = forms.IntegerField(required=False, min_value=1, max_value=100_000)

    def __init__(self, data: QueryDict, *, today: date) -> None:
        values = data.copy()
        values.setdefault("on", today.isoformat())
        super().__init__(values, label_suffix="")
        self.today = today

    def clean_on(self) -> date | None:
        on: date | None = self.cleaned_data["on"]
        if on is not None and not EARLIEST <= on <= self.today + AHEAD:
            raise forms.ValidationError("Choose a day from 2000 on, at most a year ahead.")
        return on

    def read_filters(self) -> dict[str, Any]:
        """Return the cleaned values; fields that did not validate are missing."""
        self.is_valid()
        return self.cleaned_data
