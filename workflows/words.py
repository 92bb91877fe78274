"""Triggers and steps as a person reads them."""

from typing import Any

from django import forms

from connections.integrations import registry
from workflows.drafts import Draft, Step
from workflows.options import condition_in_words, in_words, short


def trigger_in_words(draft: Draft) -> str:
    """`An invoice or bill changes, when it is created`; the key where this code does not know the trigger."""
    trigger = registry.triggers.get(draft.trigger)
    if trigger is None:
        return draft.trigger
    parts = [trigger.title]
    for name, field in trigger.form().fields.items():
        chosen = draft.settings.get(name)
        if chosen in (None, "") or (isinstance(field, forms.ChoiceField) and chosen == field.initial):
            continue
        if isinstance(field, forms.BooleanField):
            parts += [str(field.label).lower()] if chosen not in (False, "false") else []
            continue
        joint = " " if isinstance(field, forms.ChoiceField) else ": "
        parts.append(f"{str(field.label).lower()}{joint}{_chosen_label(field, chosen)}")
    return ", ".join(parts)


def step_in_words(step: Step) -> list[str]:
    """One line per thing that the step was told."""
    lines = []
    for name, value in step.input.items():
        if isinstance(value, dict) and "rows" in value:
            lines += condition_in_words(value)
        elif isinstance(value, dict):
            lines += [f"{key} = {short(text)}" for key, text in value.items()]
        else:
            lines.append(f"{_label(step, name)}: {short(value)}")
    return lines + in_words(step.options)


def _chosen_label(field: forms.Field, chosen: Any) -> str:
    if isinstance(field, forms.ChoiceField):
        return str(dict(field.choices).get(chosen, chosen))  # type: ignore[arg-type]  # no groups in settings forms
    return str(chosen)


def _label(step: Step, name: str) -> str:
    action = step.known_action
    field = action.form.base_fields.get(name) if action else None
    return str(field.label or name) if field else name
