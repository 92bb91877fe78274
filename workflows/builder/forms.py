"""Forms about workflows. The builder's own form is in page.py."""

from collections.abc import Iterable
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone

from connections.models import Connection
from taskjuice.workspaces.forms import DayField
from workflows.models import WorkflowState

LARGEST_ID = 2**63 - 1


class WorkflowFilter(forms.Form):
    """The list's filters, from its address; an invalid one counts as no filter."""

    state = forms.ChoiceField(
        choices=[*WorkflowState.choices, ("elsewhere", "elsewhere")], required=False
    )
    q = forms.CharField(max_length=100, required=False)
    page = forms.CharField(max_length=10, required=False)


class RunForm(forms.Form):
    """The event that a workflow is run on by hand.

    `key` belongs to the page, so that its button starts one run only; `sure`: the person has seen
    the effects.
    """

    event = forms.CharField(max_length=30, required=False)
    key = forms.UUIDField(required=False)
    sure = forms.BooleanField(required=False)


class WorkflowForm(forms.Form):
    """The head of a workflow: its name and the connections that it listens to."""

    name = forms.CharField(max_length=100, label="Name", strip=True)
    connections = forms.TypedMultipleChoiceField(
        coerce=int,
        required=False,
        error_messages={
            "invalid_choice": "One of the ticked organisations is not connected any more. Look again."
        },
    )

    def __init__(self, *args: Any, offered: Iterable[Connection], **options: Any) -> None:
        super().__init__(*args, **options)
        self.offered = {connection.pk: connection for connection in offered}
        field = self.fields["connections"]
        assert isinstance(field, forms.TypedMultipleChoiceField)
        field.choices = [(str(pk), connection.name) for pk, connection in self.offered.items()]

    @property
    def chosen(self) -> list[Connection]:
        """Return each ticked connection once."""
        return [self.offered[pk] for pk in dict.fromkeys(self.cleaned_data.get("connections", []))]


class ConnectionsForm(WorkflowForm):
    """The connections that a workflow listens to, without its name."""

    name = None  # type: ignore[assignment]  # Django's way to leave a parent's field out


class SafetyForm(forms.Form):
    pause_after = forms.IntegerField(
        label="Pause after so many failures in a row",
        min_value=0,
        max_value=1000,
        help_text="Counted for each organisation, and paused only there. 0: never. Each success begins the count anew.",
    )


class OrganisationsForm(ConnectionsForm):
    """The organisations of an action: at least one."""

    def __init__(self, *args: Any, offered: Iterable[Connection], **options: Any) -> None:
        super().__init__(*args, offered=offered, **options)
        self.fields["connections"].required = True
        self.fields["connections"].error_messages["required"] = "Tick at least one organisation."


class PauseForm(OrganisationsForm):
    """A pause at some organisations: until when, why, and if new events wait."""

    NOTHING, WAIT = "nothing", "wait"

    until = DayField(label="Until")
    why = forms.CharField(label="Why", required=False, max_length=300, strip=True)
    events = forms.ChoiceField(
        label="Events meanwhile",
        initial=NOTHING,
        widget=forms.RadioSelect,
        choices=[
            (NOTHING, "start nothing; what has begun finishes"),
            (WAIT, "wait, and run once it is resumed; what has begun waits too"),
        ],
    )

    def __init__(
        self, *args: Any, offered: Iterable[Connection], zone: str, **options: Any
    ) -> None:
        super().__init__(*args, offered=offered, **options)
        self.zone = ZoneInfo(zone)
        self.fields[
            "until"
        ].help_text = "It goes on by itself that morning. Left empty: until somebody resumes it."

    def clean_until(self) -> datetime | None:
        """Return the first moment of that day at the client."""
        day = self.cleaned_data["until"]
        if day is None:
            return None
        moment = datetime.combine(day, time.min, self.zone)
        if moment <= timezone.now():
            raise forms.ValidationError("Choose a day after today.")
        return moment
