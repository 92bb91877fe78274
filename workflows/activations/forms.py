"""Forms about activations: the list's filters, bulk actions, a replay."""

from django import forms
from django.http import QueryDict

from taskjuice.workspaces.forms import whole_ids

LARGEST_ID = 2**63 - 1


class ActivationFilter(forms.Form):
    """The list's filters, from its address.

    A page begins at the ids `before` and `after`. `first` and `last` bound what was counted, so
    that a bulk action affects exactly that.
    """

    STATES = ("running", "waiting", "failed", "unknown", "succeeded", "stopped", "cancelled")

    state = forms.ChoiceField(choices=[(name, name) for name in STATES], required=False)
    q = forms.CharField(max_length=100, required=False)
    cause = forms.CharField(max_length=60, required=False)
    workflow = forms.IntegerField(min_value=1, max_value=LARGEST_ID, required=False)
    before = forms.IntegerField(min_value=1, max_value=LARGEST_ID, required=False)
    after = forms.IntegerField(min_value=0, max_value=LARGEST_ID, required=False)
    first = forms.IntegerField(min_value=1, max_value=LARGEST_ID, required=False)
    last = forms.IntegerField(min_value=1, max_value=LARGEST_ID, required=False)
    every_cause = forms.BooleanField(required=False)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        self.is_valid()

    def text(self, name: str) -> str:
        return str(self.cleaned_data.get(name) or "")

    def number(self, name: str) -> int | None:
        number = self.cleaned_data.get(name)
        return None if number is None else int(number)


class BulkForm(forms.Form):
    """A bulk action on the ticked activations, or on all that the filters select (`all`).

    `sure`: the person has seen the list of affected activations.
    """

    VERBS = ("replay", "cancel", "resume")

    do = forms.ChoiceField(choices=[(verb, verb) for verb in VERBS])
    all = forms.BooleanField(required=False)
    sure = forms.BooleanField(required=False)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        # Any id may be given: those that are none, or outside the person's scope, are simply not
        # found.
        self.ids = whole_ids(data.getlist("activation")[:500])


class ReplayForm(forms.Form):
    """The step where a replay begins, counted from 0, and the version."""

    position = forms.IntegerField(min_value=0, max_value=1000, required=False)
    on = forms.ChoiceField(
        choices=[("original", "original"), ("current", "current")], required=False
    )
