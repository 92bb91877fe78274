"""Warnings about drafts that can be published and may still fail when they run."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connections.integrations import Action
from workflows.definition.drafts import Draft, Step
from workflows.definition.evaluation_budget import evaluation_budget
from workflows.definition.expressions import ExpressionError, list_paths, list_required_paths
from workflows.definition.template_fields import Templated
from workflows.definition.validation import OPTION, Problem, iterate_texts

MISSING = (
    "“{0}” may be left out, and then this step fails. Say what to use instead, {{{{ {0} | default: '…' }}}},"
    " or run the step only if it is not empty."
)
SKIPPED = (
    "“{0}” is not there where the step “{1}” was skipped or failed, and then this step fails. Say what to use"
    " instead, {{{{ {0} | default: '…' }}}}, or run this step under the same condition."
)
LISTED = "[]"  # any element of a list
Path = Sequence[Any]


def list_cautions(draft: Draft) -> list[Problem]:
    """List each caution once, in the order of the steps."""
    with evaluation_budget():
        found = [one for position in range(len(draft.steps)) for one in _of_step(draft, position)]
    return list(dict.fromkeys(found))


def _of_step(draft: Draft, position: int) -> Iterator[Problem]:
    step = draft.steps[position]
    if step.known_action is None:
        return
    for field, message in step.known_action.cautions(step.input):
        yield Problem(position, message, field)
    asked = {_words(path) for path in _asked_before(draft.steps, position)}
    for field, text in _texts_of(step, step.known_action):
        for path in _required(text):
            if message := _about(draft, position, path, asked):
                yield Problem(position, message, field)


def _texts_of(step: Step, action: Action) -> Iterator[tuple[str, str]]:
    """List (field, text) of the texts with expressions whose values the step needs."""
    for name, value in step.input.items():
        asked = action.form.base_fields.get(name)
        if isinstance(asked, Templated) and isinstance(value, str):
            value = asked.parts(value)
        yield from ((name, text) for text in iterate_texts(_compared(value)))
    yield from (
        (f"{OPTION}only_if", text) for text in iterate_texts(_compared(step.options.get("only_if")))
    )
    yield from ((f"{OPTION}for_each", text) for text in iterate_texts(step.for_each))


def _compared(value: Any) -> Any:
    """Return the rows of a condition that need their values; return any other value unchanged."""
    rows = value.get("rows") if isinstance(value, Mapping) else None
    if not isinstance(rows, list):
        return value
    return [row for row in rows if isinstance(row, Mapping) and not _asks_for_emptiness(row)]


def _asks_for_emptiness(row: Mapping[str, Any]) -> bool:
    return row.get("operator") in {"is-empty", "is-not-empty"}


def _asked_before(steps: Sequence[Step], position: int) -> Iterator[Path]:
    """List the paths that are known to be filled, by the step's own condition or an earlier
    filter.
    """
    conditions = [steps[position].options.get("only_if")]
    conditions += [
        step.input.get("condition") for step in steps[:position] if step.action == "core/filter"
    ]
    for condition in conditions:
        if not isinstance(condition, Mapping) or condition.get("match") == "any":
            continue
        for row in condition.get("rows") or []:
            if isinstance(row, Mapping) and row.get("operator") == "is-not-empty":
                yield from _paths(str(row.get("field", "")))


def _paths(text: str) -> list[list[Any]]:
    try:
        return list_paths(text)
    except ExpressionError:  # problems.py says so
        return []


def _required(text: str) -> list[list[Any]]:
    try:
        return list_required_paths(text)
    except ExpressionError:
        return []


def _about(draft: Draft, position: int, path: Path, asked: set[str]) -> str:
    words = _words(path)
    if not words or any(words == one or words.startswith(f"{one}.") for one in asked):
        return ""
    whole = _of_item(draft.steps[position], path)
    if len(whole) < 2 or whole[0] != "steps" or not isinstance(whole[1], str):
        return ""
    source = next((step for step in draft.steps[:position] if step.name == whole[1]), None)
    if source is None or source.known_action is None:
        return ""
    if path[0] == "steps" and _may_be_passed_over(source, draft.steps[position]):
        return SKIPPED.format(words, source.name)
    rest = whole[2:]
    if source.for_each:  # its output is a list of outputs
        rest = rest[1:] if rest and (isinstance(rest[0], int) or rest[0] == LISTED) else []
    return MISSING.format(words) if _may_be_left_out(source.known_action, rest) else ""


def _may_be_passed_over(source: Step, reader: Step) -> bool:
    on_error = source.options.get("on_error")
    if isinstance(on_error, Mapping) and on_error.get("then") == "continue":
        return True
    condition = source.options.get("only_if")
    return bool(condition) and condition != reader.options.get("only_if")


def _of_item(step: Step, path: Path) -> list[Any]:
    """Return the path with `item` replaced by its list: steps.invoice.LineItems[].Code."""
    if not path or path[0] != "item":
        return list(path)
    lists = _paths(step.for_each)
    return [*lists[0], LISTED, *path[1:]] if len(lists) == 1 else []


def _may_be_left_out(action: Action, rest: Path) -> bool:
    """Check whether the action's output may lack a part of the path, as far as it declares."""
    if action.always is None:
        return False
    place = ""
    for part in rest:
        if part in {"first", "last", "size"}:  # of a list
            return part != "size" and f"{place}{LISTED}" not in action.always
        if isinstance(part, int) or part == LISTED:
            place += LISTED
            if part == LISTED:  # one that is there
                continue
        elif isinstance(part, str):
            place = f"{place}.{part}" if place else part
        else:
            return False  # computed; judged when it runs
        if place not in action.always:
            return True
    return False


def _words(path: Path) -> str:
    """Return the path as typed, steps.invoice.Payments[0].Date; "" where a part is computed."""
    found = ""
    for part in path:
        if isinstance(part, int):
            found += f"[{part}]"
        elif isinstance(part, str):
            found += f".{part}" if found else part
        else:
            return ""
    return found
