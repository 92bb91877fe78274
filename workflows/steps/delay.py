"""Built-in action: delay the activation, for a while or until a time."""

from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar

from django import forms

from connections import organisation_time
from connections.integrations import Action, ActionContext, Data, Done, Failed, Outcome
from taskjuice.json_dates import as_iso
from taskjuice.queue import clock

UNITS = {"minutes": 60, "hours": 3600, "days": 86_400}
LONGEST = timedelta(days=366)
MORNING = time(9)  # a date without a time means then, in the organisation's time zone


class DelayForm(forms.Form):
    """A length with its unit, or a moment, as texts, since both may have expressions."""

    length = forms.DecimalField(
        label="Wait for",
        required=False,
        min_value=0,
        max_digits=8,
        decimal_places=2,
        help_text="For example 3.",
    )
    unit = forms.ChoiceField(
        label="Unit", choices=[(unit, unit) for unit in UNITS], initial="days", required=False
    )
    until = forms.CharField(
        label="Or wait until",
        required=False,
        max_length=40,
        help_text="A date such as 2026-12-01 (then 9:00 of that day), or with a time: 2026-12-01T14:30.",
    )

    def clean_until(self) -> datetime | None:
        text = as_iso(self.cleaned_data["until"].strip())
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise forms.ValidationError(
                "Give a date such as 2026-12-01, or 2026-12-01T14:30."
            ) from error
        return moment if "T" in text or " " in text else datetime.combine(moment.date(), MORNING)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if (data.get("length") is None) == (data.get("until") is None) and not self.errors:
            raise forms.ValidationError("Say how long to wait, or until when: one of the two.")
        data["unit"] = data.get("unit") or "days"
        return data


class Delay(Action):
    key = "core/delay"
    title = "Wait"
    description = "The activation rests for a while, or until a day and time, and then goes on."
    form = DelayForm
    sample: ClassVar[Data] = {"until": "2026-12-01T09:00:00+00:00"}

    def outcome(self, call: ActionContext, data: Data) -> Outcome:
        until = self._until(call, data)
        if until > clock.now() + LONGEST:
            return Failed(
                "input", f"{until.date()} is more than a year away; at most 366 days are waited."
            )
        return Done({"until": until.isoformat()}, not_before=until if until > clock.now() else None)

    def _until(self, call: ActionContext, data: Data) -> datetime:
        if data["length"] is not None:
            seconds = int(data["length"] * UNITS[data["unit"]])
            return clock.now() + timedelta(seconds=min(seconds, 2 * int(LONGEST.total_seconds())))
        moment: datetime = data["until"]
        if moment.tzinfo is not None:
            return moment
        zone = organisation_time.zone_of(call.connection) if call.connection else UTC
        return moment.replace(tzinfo=zone)
