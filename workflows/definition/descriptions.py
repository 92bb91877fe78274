"""Descriptions of triggers and steps for people."""

from collections.abc import Iterator
from typing import Any

from django import forms

from connections.integrations import registry
from taskjuice.row_fields import RowsField
from workflows.definition.drafts import Draft, Step, named_values
from workflows.definition.step_options import condition_in_words, in_words, shorten_text


def trigger_title(key: str) -> str:
    """Return the trigger's title, or its key where this release does not have the trigger."""
    trigger = registry.triggers.get(key)
    return trigger.title if trigger else key


def trigger_in_words(draft: Draft) -> str:
    """Describe the trigger and its settings: `An invoice or bill changes, when it is created`."""
    trigger = registry.triggers.get(draft.trigger)
    if trigger is not None and (words := trigger.in_words(draft.settings)):
        return words
    parts = [trigger_title(draft.trigger)]
    fields = _settings(draft.trigger)
    for name, label in setting_labels(draft.trigger).items():
        text, field = setting_in_words(draft, name), fields[name]
        is_choice = isinstance(field, forms.ChoiceField)
        if not text or (is_choice and draft.settings.get(name) in (None, "", field.initial)):
            continue
        if isinstance(field, forms.BooleanField):
            parts.append(label.lower())
        else:
            parts.append(f"{label.lower()}{' ' if is_choice else ': '}{text}")
    return ", ".join(parts)


def setting_labels(trigger_key: str) -> dict[str, str]:
    """Return the labels of the trigger's settings by name, in the order of its form."""
    return {name: str(field.label or name) for name, field in _settings(trigger_key).items()}


def setting_in_words(draft: Draft, name: str) -> str:
    """Describe one setting as chosen or typed; "" where it is empty.

    A missing choice reads as the initial one of its form.
    """
    field = _settings(draft.trigger).get(name)
    if field is None:
        return ""
    chosen = draft.settings.get(name)
    if isinstance(field, forms.BooleanField):
        return "yes" if chosen not in (None, "", False, "false") else ""
    if isinstance(field, forms.ChoiceField):
        chosen = field.initial if chosen in (None, "") else chosen
        return str(dict(field.choices).get(chosen, chosen or ""))  # type: ignore[arg-type]  # no groups in settings forms
    return "" if chosen in (None, "") else str(chosen)


def step_in_words(step: Step) -> list[str]:
    """Describe the step's input and options, one line for each."""
    lines = []
    for name, value in in_order(step):
        if _is_condition(value):
            lines += condition_in_words(value)
        elif isinstance(value, dict) or _are_named(value):
            lines += [f"{key} = {text}" for key, text in _named_in_words(value)]
        elif isinstance(value, list):
            lines += [f"{label}: {text}" for label, text in _rows_in_words(step, name, value)]
        elif value not in (None, ""):
            lines.append(f"{_label(step, name)}: {_chosen(step, name, value)}")
    return lines + in_words(step.options)


def value_in_words(step: Step, name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Describe one field of a step as (label, text): one pair, or one per named value."""
    if _is_condition(value):
        yield _label(step, name), " ".join(condition_in_words(value))
    elif isinstance(value, dict) or _are_named(value):
        yield from _named_in_words(value)
    elif isinstance(value, list):
        yield from _rows_in_words(step, name, value)
    else:
        yield (
            _label(step, name),
            "" if value in (None, "", False, []) else _chosen(step, name, value),
        )


def in_order(step: Step) -> list[tuple[str, Any]]:
    """Return the step's input in the order of its form, since the stored mapping keeps none."""
    fields = list(step.known_action.form.base_fields) if step.known_action else []
    return sorted(
        step.input.items(),
        key=lambda pair: fields.index(pair[0]) if pair[0] in fields else len(fields),
    )


def _settings(trigger_key: str) -> dict[str, forms.Field]:
    trigger = registry.triggers.get(trigger_key)
    return dict(trigger.form.base_fields) if trigger else {}


def _is_condition(value: Any) -> bool:
    rows = value.get("rows") if isinstance(value, dict) else None
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def _are_named(value: Any) -> bool:
    """Check for rows of names with values; an empty list counts as one."""
    return isinstance(value, list) and all(isinstance(row, dict) and "name" in row for row in value)


def _named_in_words(values: Any) -> Iterator[tuple[str, str]]:
    rows = values if isinstance(values, list) else []
    secrets = {str(row.get("name")): row["secret"] for row in rows if row.get("secret")}
    for name, text in named_values(values).items():
        words = [shorten_text(text)] if text not in (None, "") else []
        words += [f"the secret value {secrets[name]}"] if name in secrets else []
        yield name, " and ".join(words)


def _rows_in_words(step: Step, name: str, rows: list[Any]) -> Iterator[tuple[str, str]]:
    """Describe each row: `Line 1`, `Description Consulting, Quantity 2`.

    A list that is not made of form rows gives one pair: the field's label and the elements.
    """
    field = step.known_action.form.base_fields.get(name) if step.known_action else None
    if not isinstance(field, RowsField) or not all(isinstance(row, dict) for row in rows):
        yield _label(step, name), shorten_text(", ".join(map(str, rows)))
        return
    labels = {key: str(cell.label) for key, cell in field.row_form.base_fields.items()}
    for number, row in enumerate(rows, start=1):
        cells = [
            f"{labels.get(key, key)} {shorten_text(text)}"
            for key, text in row.items()
            if text not in (None, "")
        ]
        yield f"{field.word.capitalize()} {number}", ", ".join(cells)


def _chosen(step: Step, name: str, value: Any) -> str:
    """Return the text of the choice where the field is a choice, else the value itself."""
    field = step.known_action.form.base_fields.get(name) if step.known_action else None
    choices = dict(field.choices) if isinstance(field, forms.ChoiceField) else {}  # type: ignore[arg-type]  # no groups
    return (
        str(choices.get(value) or shorten_text(value))
        if isinstance(value, str)
        else shorten_text(value)
    )


def _label(step: Step, name: str) -> str:
    action = step.known_action
    field = action.form.base_fields.get(name) if action else None
    return str(field.label or name) if field else name
