"""Checks that the values of expressions suit their fields, as far as samples show.

They cover amounts, dates and IDs, for example.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from connections.integrations import registry
from workflows.definition import step_options
from workflows.definition.drafts import Draft
from workflows.definition.expressions import ExpressionError, evaluate_text
from workflows.definition.template_fields import Templated

# A single reference: the result of a filter may be of any type.
PLAIN = re.compile(r"\s*\{\{\s*[\w.\[\]'\"-]+\s*\}\}\s*")
SHOWN = 40


def list_mismatches(draft: Draft, position: int) -> Iterator[tuple[str, str]]:
    """List (field, message) of the step's fields whose single reference gives another type of
    value.
    """
    step = draft.steps[position]
    if step.known_action is None:
        return
    samples = _collect_samples(draft, position)
    for name, typed in step.input.items():
        field = step.known_action.form.base_fields.get(name)
        if field is None or isinstance(field, Templated | forms.ChoiceField | forms.JSONField):
            continue
        if not isinstance(typed, str) or not PLAIN.fullmatch(typed):
            continue
        try:
            sample = evaluate_text(typed, samples)
        except ExpressionError:  # not known beforehand, or said elsewhere
            continue
        if complaint := _check_sample(field, sample):
            yield (
                name,
                f"{typed.strip()} gives a value such as “{str(sample)[:SHOWN]}”. {complaint}",
            )


def _collect_samples(draft: Draft, position: int) -> dict[str, Any]:
    """Return samples of the values before the step whose type is known."""
    trigger = registry.triggers.get(draft.trigger)
    steps = {
        step.name: step.sample
        for step in draft.steps[:position]
        if step.known_action is not None and not step.known_action.free
    }
    samples: dict[str, Any] = {"trigger": trigger.sample if trigger else {}, "steps": steps}
    if each := draft.steps[position].for_each:
        item = step_options.sample_element(each, samples)
        samples |= {} if item is None else {"item": item}
    return samples


def _check_sample(field: forms.Field, sample: Any) -> str:
    """Return what is wrong with the sample; "" where it fits or only its size is wrong.

    Another number of the same type may be right.
    """
    if sample in (None, "") or isinstance(sample, bool):
        return ""
    error = _clean_error(field, sample)
    if error and isinstance(sample, int | Decimal) and not _clean_error(field, Decimal(1)):
        return ""
    return error


def _clean_error(field: forms.Field, value: Any) -> str:
    try:
        field.clean(value)
    except ValidationError as error:
        return error.messages[0]
    return ""
