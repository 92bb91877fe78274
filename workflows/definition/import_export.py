"""A workflow as a file, to keep, to send, or to start from in another agency. JSON, UTF-8:

    {"taskjuice": "workflow", "format": 1, "name": "…", "trigger": {"key": "…", "settings": {…}},
     "steps": [{"name": "…", "action": "…", "input": {…}, "only_if"?, "for_each"?, "on_error"?}, …]}

A file is trusted as little as a browser: only values that the builder's own forms could have sent
are accepted. Problems that prevent publishing are shown on its cards, as for any draft.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms

from connections.integrations import registry
from taskjuice import exact_json
from taskjuice.row_fields import RowsField
from workflows.definition import guards, step_options
from workflows.definition.drafts import MAX_STEPS, Draft, Step

KIND, FORMAT = "workflow", 1
LARGEST = 500_000  # bytes
DEEPEST = 10
MOST_DIGITS, MOST_PLACES = 15, 10  # of a number, before and behind its point
STEP_KEYS = {"name", "action", "input", "guard", *step_options.KEYS}


class NotReadable(Exception):
    """A file that cannot be imported; the text says why, for the person who chose it."""


def write_workflow(name: str, draft: Draft) -> bytes:
    content = {
        "taskjuice": KIND,
        "format": FORMAT,
        "name": name,
        "trigger": {"key": draft.trigger, "settings": dict(draft.settings)},
        "steps": draft.steps_as_stored(),
    }
    return exact_json.dumps(content).encode()


def file_name(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", name.lower())
    return f"{'-'.join(words)[:60] or 'workflow'}.json"


def read_workflow(content: bytes) -> tuple[str, Draft]:
    """Read (name, draft) from a file; raise NotReadable."""
    document = _parse_document(content)
    if document.get("taskjuice") != KIND:
        raise NotReadable("This file holds no workflow of TaskJuice.")
    if document.get("format") != FORMAT:
        raise NotReadable(
            f"This file has format {_shorten(document.get('format'))}; format {FORMAT} can be read."
        )
    name = _read_text(document.get("name"), "The name of the workflow", 100)
    trigger = _read_mapping(document.get("trigger"), "What starts the workflow")
    settings = _read_mapping(trigger.get("settings", {}), "The settings of the trigger")
    steps = document.get("steps")
    if not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise NotReadable(f"“steps” is not a list of at most {MAX_STEPS}.")
    return name, Draft(
        _read_text(trigger.get("key"), "The key of the trigger", 60),
        {
            key: _read_scalar(value, f"The setting “{_shorten(key)}”")
            for key, value in settings.items()
        },
        [_read_step(step, f"Step {number}") for number, step in enumerate(steps, start=1)],
    )


def _parse_document(content: bytes) -> dict[str, Any]:
    if len(content) > LARGEST:
        raise NotReadable(f"A file of at most {LARGEST // 1000} kB is read.")
    try:
        document = exact_json.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        raise NotReadable("This file is not JSON in UTF-8.") from error
    _refuse_unsafe(document)
    return _read_mapping(document, "The file")


def _refuse_unsafe(value: Any, depth: int = 0) -> None:
    """Raise NotReadable for numbers beyond any amount, NaN, NUL characters and deep nesting."""
    if depth > DEEPEST:
        raise NotReadable("This file is nested more deeply than any workflow.")
    match value:
        case dict() | list():
            inner = [*value, *value.values()] if isinstance(value, dict) else value
            for element in inner:
                _refuse_unsafe(element, depth + 1)
        case str() if "\x00" in value:
            raise NotReadable("This file holds a NUL character.")
        case float():  # only NaN and the infinities are: other numbers are read exactly
            raise NotReadable("This file holds a number that is none.")
        case int() | Decimal() if not exact_json.is_within(
            value, digits=MOST_DIGITS, places=MOST_PLACES
        ):
            raise NotReadable("This file holds a number that is too large or too long.")


def _read_step(step: Any, which: str) -> Step:
    mapping = _read_mapping(step, which)
    if unknown := sorted(mapping.keys() - STEP_KEYS):
        raise NotReadable(f"{which} says “{_shorten(unknown[0])}”, which is not known here.")
    action = _read_text(mapping.get("action"), f"{which}: its action", 60)
    known_action = registry.actions.get(action)
    typed = _read_mapping(mapping.get("input", {}), f"{which}: its input")
    return Step(
        _read_text(mapping.get("name"), f"{which}: its name", 60),
        action,
        {
            # What nobody here knows is shown and never run: whatever it holds
            name: _read_input(
                known_action.form.base_fields.get(name), value, f"{which}, “{_shorten(name)}”"
            )
            if known_action
            else value
            for name, value in typed.items()
        },
        _read_options(mapping, which),
    )


def _read_input(field: forms.Field | None, value: Any, which: str) -> Any:
    """Check one field: rows where the form has rows, else a single value."""
    if not isinstance(value, dict | list):
        return _read_scalar(value, which)
    if not isinstance(field, forms.JSONField | RowsField):
        raise NotReadable(f"{which} holds more than one value.")
    if isinstance(value, list) or isinstance(field, RowsField):
        return [_read_cells(row, which) for row in value]
    return _read_condition(value, which) if "rows" in value else _read_cells(value, which)


def _read_cells(row: Any, which: str) -> dict[str, Any]:
    return {key: _read_scalar(cell, which) for key, cell in _read_mapping(row, which).items()}


def _read_options(step: Mapping[str, Any], which: str) -> dict[str, Any]:
    """Pass the options through the form that edits them, so that they are stored as the builder
    does.
    """
    fields: dict[str, Any] = {}
    if step.get("only_if") is not None:
        fields["only_if"] = _read_condition(step["only_if"], f"{which}: its condition")
    fields["for_each"] = _read_scalar(step.get("for_each", ""), f"{which}: its list")
    on_error = _read_mapping(step.get("on_error", {}), f"{which}: what it does on failure")
    for name in ("then", "times", "seconds"):
        fields[name] = _read_scalar(on_error.get(name), f"{which}: what it does on failure")
    limits = _read_mapping(step.get("guard", {}), f"{which}: its limits")
    guard = guards.as_stored(
        {key: _read_scalar(value, f"{which}: its limits") for key, value in limits.items()}
    )
    return step_options.as_stored(fields) | ({"guard": guard} if guard else {})


def _read_condition(value: Any, which: str) -> dict[str, Any]:
    condition = _read_mapping(value, which)
    rows = condition.get("rows")
    if not isinstance(rows, list):
        raise NotReadable(f"{which} has no rows.")
    return {
        "match": _read_scalar(condition.get("match"), which),
        "rows": [_read_cells(row, which) for row in rows],
    }


def _read_mapping(value: Any, which: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotReadable(f"{which} is not there, or is not an object.")
    return value


def _read_text(value: Any, which: str, longest: int) -> str:
    if not isinstance(value, str) or not value.strip() or len(value.strip()) > longest:
        raise NotReadable(f"{which} is not a text of 1 to {longest} characters.")
    return value.strip()


def _read_scalar(value: Any, which: str) -> str | bool:
    match value:
        case bool():
            return value
        case None:
            return ""
        case str() | int() | Decimal():
            return str(value)
        case _:
            raise NotReadable(f"{which} holds more than one value.")


def _shorten(value: Any) -> str:
    return step_options.shorten_text(value, 40)
