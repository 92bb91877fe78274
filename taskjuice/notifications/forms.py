"""The form of a person's notification settings."""

from django import forms
from django.http import QueryDict

from taskjuice.notifications.models import Cadence, Kind


class WishesForm(forms.Form):
    """One choice for each kind of incident, named by the kind."""

    def __init__(self, data: QueryDict | None, *, now: dict[str, str]) -> None:
        super().__init__(data)
        for kind in Kind:
            self.fields[kind.value] = forms.ChoiceField(
                label=kind.label, choices=Cadence.choices, initial=now[kind]
            )
