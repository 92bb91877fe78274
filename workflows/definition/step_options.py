"""Options that a step of any action has: a condition, a list, handling of failures.

Stored beside the step's input, each key only where it is set:

    only_if     {"match": "all"|"any", "rows": [{"field", "operator", "value"}]}
    for_each    one expression that gives a list
    on_error    {"then": "stop"|"continue", "times": 0–4, "seconds": 10–86,400}

A step that writes may also have a `guard` (guards.py).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms

from workflows.definition import guards
from workflows.definition.conditions import OPERATORS, WITHOUT_VALUE
from workflows.definition.expressions import ExpressionError, evaluate_text, has_expression
from workflows.definition.fields import ConditionField
from workflows.models import MAX_ATTEMPTS

KEYS = ("only_if", "for_each", "on_error")
STOP, CONTINUE = "stop", "continue"
DEFAULT_SECONDS = 60
WITHOUT_LIST = {
    "core/filter": "A condition decides once for the whole activation; it cannot run once per element.",
    "core/approval": "A person decides once for the whole activation; it cannot run once per element.",
    "core/delay": "A wait holds the whole activation; it cannot run once per element.",
}


class OptionsForm(forms.Form):
    only_if = ConditionField(label="Only if", required=False)
    for_each = forms.CharField(
        label="Once for each element of",
        required=False,
        max_length=2_000,
        help_text="A list, such as {{ steps.invoice.LineItems }}. The step then reads each one as {{ item }}.",
    )
    then = forms.ChoiceField(
        label="If it fails",
        required=False,
        choices=[(STOP, "the activation fails"), (CONTINUE, "go on with the next step")],
    )
    times = forms.IntegerField(
        label="Try again first",
        required=False,
        min_value=0,
        max_value=MAX_ATTEMPTS - 1,
        help_text=f"Up to {MAX_ATTEMPTS - 1} times.",
    )
    seconds = forms.IntegerField(
        label="Seconds in between", required=False, min_value=10, max_value=86_400
    )

    def clean_for_each(self) -> str:
        typed: str = self.cleaned_data["for_each"]
        if typed and not has_expression(typed):
            raise forms.ValidationError("Name a list in braces: {{ steps.invoice.LineItems }}.")
        return typed


def as_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form's values for stored options."""
    on_error = options.get("on_error")
    failure = dict(on_error) if isinstance(on_error, dict) else {}
    return {
        "only_if": options.get("only_if"),
        "for_each": options.get("for_each") or "",
        "then": failure.get("then") or STOP,
        "times": failure.get("times") or "",
        "seconds": failure.get("seconds") or (DEFAULT_SECONDS if failure.get("times") else ""),
    }


def as_stored(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options to store for the form's raw values."""
    stored: dict[str, Any] = {}
    only_if = fields.get("only_if")
    if isinstance(only_if, dict) and only_if.get("rows"):
        stored["only_if"] = only_if
    if fields.get("for_each"):
        stored["for_each"] = fields["for_each"]
    times, then = fields.get("times") or "", fields.get("then") or STOP
    if times not in {"", "0"} or then != STOP:
        stored["on_error"] = {"then": then}
        if times not in {"", "0"}:
            seconds = fields.get("seconds") or DEFAULT_SECONDS
            stored["on_error"] |= {
                "times": _to_whole_number(times),
                "seconds": _to_whole_number(seconds),
            }
    return stored


def list_errors(action_key: str, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """List (field of OptionsForm, message); names in expressions are checked by validation.py."""
    form = OptionsForm(data=as_fields(options))
    for name, errors in form.errors.items():
        yield from ((name, str(error)) for error in errors)
    if options.get("for_each") and action_key in WITHOUT_LIST:
        yield "for_each", WITHOUT_LIST[action_key]


def sample_element(expression: str, samples: Mapping[str, Any]) -> Any:
    """Return a sample of `item` from the samples of earlier steps; None where they have none."""
    try:
        elements = evaluate_text(expression, samples)
    except ExpressionError:
        return None
    return elements[0] if isinstance(elements, list) and elements else None


def in_words(options: Mapping[str, Any]) -> list[str]:
    """Describe the options, one line each: `Only if …`, `If it fails: …`."""
    lines = []
    condition = options.get("only_if")
    if isinstance(condition, dict) and condition.get("rows"):
        lines += [f"Only if {' '.join(condition_in_words(condition))}"]
    if options.get("for_each"):
        lines.append(f"Once for each element of {shorten_text(options['for_each'])}")
    on_error = options.get("on_error")
    if isinstance(on_error, dict):
        lines += _failure_in_words(on_error)
    return lines + guards.in_words(options.get("guard"))


def _failure_in_words(on_error: Mapping[str, Any]) -> list[str]:
    end = "go on with the next step" if on_error.get("then") == CONTINUE else "the activation fails"
    times = on_error.get("times")
    if times:
        often = "once" if str(times) == "1" else f"{times} times"
        seconds = on_error.get("seconds") or DEFAULT_SECONDS
        return [f"If it fails: try again {often}, {seconds} seconds apart, then {end}"]
    return [f"If it fails: {end}"] if on_error.get("then") == CONTINUE else []


def condition_in_words(condition: Mapping[str, Any]) -> list[str]:
    """Describe a condition's rows: `{{ steps.invoice.Total }} is greater than 1,000`.

    Rows after the first begin with `and` or `or`.
    """
    joint = "or " if condition.get("match") == "any" else "and "
    lines = []
    for number, row in enumerate(condition.get("rows") or []):
        operator = str(row.get("operator", ""))
        words = [shorten_text(row.get("field", "")), OPERATORS.get(operator, operator)]
        if operator not in WITHOUT_VALUE:
            words.append(shorten_text(row.get("value", "")))
        lines.append((joint if number else "") + " ".join(words))
    return lines


def shorten_text(value: Any, most: int = 160) -> str:
    text = str(value)
    return f"{text[:most]}…" if len(text) > most else text


def _to_whole_number(typed: Any) -> Any:
    """Return a number where digits were typed; leave other text for the form to refuse."""
    text = str(typed)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else typed
