"""Triggers and steps as a person reads them."""

from collections.abc import Mapping
from typing import Any

from django import forms

from connections.integrations import registry
from workflows.conditions import OPERATORS, WITHOUT_VALUE
from workflows.drafts import Draft, Step

SHORT = 160


def trigger_in_words(draft: Draft) -> str:
    """`An invoice or bill changes, when it is created`; the key where this code does not know the trigger."""
    trigger = registry.triggers.get(draft.trigger)
    if trigger is None:
        return draft.trigger
    parts = [trigger.title]
    for name, field in trigger.form().fields.items():
        chosen = draft.settings.get(name)
        if chosen in (None, "", field.initial):
            continue
        parts.append(f"{str(field.label).lower()} {_chosen_label(field, chosen)}")
    return ", ".join(parts)


def step_in_words(step: Step) -> list[str]:
    """One line per thing that the step was told."""
    lines = []
    for name, value in step.input.items():
        if isinstance(value, dict) and "rows" in value:
            lines += condition_in_words(value)
        elif isinstance(value, dict):
            lines += [f"{key} = {_short(text)}" for key, text in value.items()]
        else:
            lines.append(f"{_label(step, name)}: {_short(value)}")
    return lines


def condition_in_words(condition: Mapping[str, Any]) -> list[str]:
    """`{{ steps.invoice.Total }} is greater than 1,000`, joined by `and` or `or`."""
    joint = "or " if condition.get("match") == "any" else "and "
    lines = []
    for number, row in enumerate(condition.get("rows") or []):
        operator = str(row.get("operator", ""))
        words = [_short(row.get("field", "")), OPERATORS.get(operator, operator)]
        if operator not in WITHOUT_VALUE:
            words.append(_short(row.get("value", "")))
        lines.append((joint if number else "") + " ".join(words))
    return lines


def _chosen_label(field: forms.Field, chosen: Any) -> str:
    if isinstance(field, forms.ChoiceField):
        return str(dict(field.choices).get(chosen, chosen))  # type: ignore[arg-type]  # no groups in settings forms
    return str(chosen)


def _label(step: Step, name: str) -> str:
    action = step.known_action
    field = action.form.base_fields.get(name) if action else None
    return str(field.label or name) if field else name


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:SHORT]}…" if len(text) > SHORT else text
