"""Whether what an expression gives can be what its field takes, as far as samples tell: an amount,
a date, an ID.
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
from workflows.definition.expressions import ExpressionError, evaluate
from workflows.definition.template_fields import Templated

PLAIN = re.compile(
    r"\s*\{\{\s*[\w.\[\]'\"-]+\s*\}\}\s*"
)  # what goes through a filter may become anything
SHOWN = 40


def mismatches(draft: Draft, position: int) -> Iterator[tuple[str, str]]:
    """(field, message) of the fields of one step that are nothing but one reference, to a value of
    another kind.
    """
    step = draft.steps[position]
    if step.known_action is None:
        return
    samples = _samples(draft, position)
    for name, typed in step.input.items():
        field = step.known_action.form.base_fields.get(name)
        if field is None or isinstance(field, Templated | forms.ChoiceField | forms.JSONField):
            continue
        if not isinstance(typed, str) or not PLAIN.fullmatch(typed):
            continue
        try:
            given = evaluate(typed, samples)
        except ExpressionError:  # not known beforehand, or said elsewhere
            continue
        if complaint := _complaint(field, given):
            yield name, f"{typed.strip()} gives a value such as “{str(given)[:SHOWN]}”. {complaint}"


def _samples(draft: Draft, position: int) -> dict[str, Any]:
    """Of what comes before the step, where a sample tells the kind."""
    trigger = registry.triggers.get(draft.trigger)
    steps = {
        step.name: step.sample
        for step in draft.steps[:position]
        if step.known_action is not None and not step.known_action.free
    }
    found: dict[str, Any] = {"trigger": trigger.sample if trigger else {}, "steps": steps}
    if each := draft.steps[position].for_each:
        item = step_options.element_of(each, found)
        found |= {} if item is None else {"item": item}
    return found


def _complaint(field: forms.Field, given: Any) -> str:
    """Empty where it fits, or where only its size is wrong: another number may be right."""
    if given in (None, "") or isinstance(given, bool):
        return ""
    error = _refusal(field, given)
    if error and isinstance(given, int | Decimal) and not _refusal(field, Decimal(1)):
        return ""
    return error


def _refusal(field: forms.Field, value: Any) -> str:
    try:
        field.clean(value)
    except ValidationError as error:
        return error.messages[0]
    return ""
