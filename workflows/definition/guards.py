"""Limits on a step's writes: amounts, approval by a person, duplicates. Edited on its card.

Stored as the step's `guard`, each key only where it is set; amounts as typed, in the document's own
currency:

    per_hour            the writes of this step in any hour, at all its organisations
    amount_per_hour     the amount in any hour, per currency
    never_above         the largest amount of one write
    approve_above       a larger amount needs a person's approval; "0": every write does
    duplicate, days     "skip" or "stop" if the same was written within so many days, or exists
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django import forms

from connections.integrations import Action

SKIP, STOP = "skip", "stop"
DEFAULT_DAYS = 30
ONLY_FOR_AMOUNTS = ("amount_per_hour", "never_above", "approve_above")
WITHOUT = frozenset({"core/approval"})  # asks a person by itself


class AmountField(forms.DecimalField):
    """An amount as people type it, `5,000` included."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=15, decimal_places=2, required=False, **options)

    def to_python(self, value: Any) -> Decimal | None:  # type: ignore[override]  # Django's own is so too
        return super().to_python(value.replace(",", "") if isinstance(value, str) else value)


class GuardForm(forms.Form):
    per_hour = forms.IntegerField(
        label="At most so many an hour",
        required=False,
        min_value=1,
        max_value=100_000,
        help_text="What is more waits its turn.",
    )
    amount_per_hour = AmountField(
        label="At most so much an hour",
        min_value=Decimal("0.01"),
        help_text="All of them together, per currency. What is more waits.",
    )
    never_above = AmountField(
        label="Never more than",
        min_value=Decimal("0.01"),
        help_text="A larger one fails and is not written.",
    )
    approve_above = AmountField(
        label="Needs approval above",
        min_value=Decimal(0),
        help_text="A larger one waits for somebody on your team. 0: each one does.",
    )
    approve = forms.BooleanField(
        label="Somebody on your team approves each one first", required=False
    )
    duplicate = forms.ChoiceField(
        label="If the same was written already",
        required=False,
        choices=[
            ("", "write it all the same"),
            (SKIP, "skip the step"),
            (STOP, "stop the activation"),
        ],
    )
    days = forms.IntegerField(
        label="Within days",
        required=False,
        min_value=1,
        max_value=366,
        help_text=f"How far back this step is looked at; {DEFAULT_DAYS} where it is left empty.",
    )

    def __init__(self, *args: Any, action: Action, **options: Any) -> None:
        super().__init__(*args, **options)
        for name in ("approve",) if action.amounts else ONLY_FOR_AMOUNTS:
            del self.fields[name]


def can_guard(action: Action | None) -> bool:
    """Check whether steps of this action can have limits."""
    return action is not None and (action.writes or action.effects) and action.key not in WITHOUT


def as_fields(guard: Any) -> dict[str, Any]:
    """Return the form's values for a stored guard."""
    fields = dict(guard) if isinstance(guard, Mapping) else {}
    return fields | {"approve": fields.get("approve_above") not in (None, "")}


def as_stored(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the guard to store for the form's raw values."""
    guard = {
        name: str(fields[name])
        for name in ("per_hour", *ONLY_FOR_AMOUNTS, "duplicate")
        if fields.get(name) not in (None, "")
    }
    if fields.get("approve") in (True, "on", "true") and "approve_above" not in guard:
        guard["approve_above"] = "0"
    if "duplicate" in guard and fields.get("days") not in (None, ""):
        guard["days"] = str(fields["days"])
    return guard


def list_errors(action: Action, guard: Any) -> Iterator[tuple[str, str]]:
    """List (field of GuardForm, message) for a stored guard."""
    form = GuardForm(data=as_fields(guard), action=action)
    for name, errors in form.errors.items():
        yield from ((name, str(error)) for error in errors)


def describe_limits(guard: Any) -> Iterator[tuple[str, str]]:
    """List (label, text) of each limit."""
    limits = guard if isinstance(guard, Mapping) else {}
    for name, label in (("per_hour", "Writes an hour"), ("amount_per_hour", "Amount an hour")):
        if limits.get(name):
            yield label, f"at most {limits[name]}"
    if limits.get("never_above"):
        yield "One write", f"never more than {limits['never_above']}"
    if above := limits.get("approve_above"):
        yield "A person approves", "each one" if above == "0" else f"what is above {above}"
    if limits.get("duplicate"):
        days = limits.get("days") or DEFAULT_DAYS
        yield (
            f"The same within {days} days",
            "skip the step" if limits["duplicate"] == SKIP else "stop the activation",
        )


def in_words(guard: Any) -> list[str]:
    """Describe the limits, one line each."""
    return [f"{label}: {text}" for label, text in describe_limits(guard)]


def read_amount(guard: Mapping[str, Any], name: str) -> Decimal | None:
    typed = guard.get(name)
    return None if typed in (None, "") else Decimal(str(typed).replace(",", ""))
