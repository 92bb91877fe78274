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
        cautions = [
            caution
            for position in range(len(draft.steps))
            for caution in _check_step(draft, position)
        ]
    return list(dict.fromkeys(cautions))


def _check_step(draft: Draft, position: int) -> Iterator[Problem]:
    step = draft.steps[position]
    if step.known_action is None:
        return
    for field, message in step.known_action.cautions(step.input):
        yield Problem(position, message, field)
    filled_paths = {_format_path(path) for path in _list_filled_paths(draft.steps, position)}
    for field, text in _list_texts(step, step.known_action):
        for path in _read_required(text):
            if message := _check_path(draft, position, path, filled_paths):
                yield Problem(position, message, field)


def _list_texts(step: Step, action: Action) -> Iterator[tuple[str, str]]:
    """List (field, text) of the texts with expressions whose values the step needs."""
    for name, value in step.input.items():
        form_field = action.form.base_fields.get(name)
        if isinstance(form_field, Templated) and isinstance(value, str):
            value = form_field.parts(value)
        yield from ((name, text) for text in iterate_texts(_compared_rows(value)))
    yield from (
        (f"{OPTION}only_if", text)
        for text in iterate_texts(_compared_rows(step.options.get("only_if")))
    )
    yield from ((f"{OPTION}for_each", text) for text in iterate_texts(step.for_each))


def _compared_rows(value: Any) -> Any:
    """Return the rows of a condition that need their values; return any other value unchanged."""
    rows = value.get("rows") if isinstance(value, Mapping) else None
    if not isinstance(rows, list):
        return value
    for_emptiness = {"is-empty", "is-not-empty"}
    return [
        row for row in rows if isinstance(row, Mapping) and row.get("operator") not in for_emptiness
    ]


def _list_filled_paths(steps: Sequence[Step], position: int) -> Iterator[Path]:
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
                yield from _read_paths(str(row.get("field", "")))


def _read_paths(text: str) -> list[list[Any]]:
    try:
        return list_paths(text)
    except ExpressionError:  # validation.py reports it
        return []


def _read_required(text: str) -> list[list[Any]]:
    try:
        return list_required_paths(text)
    except ExpressionError:
        return []


def _check_path(draft: Draft, position: int, path: Path, filled_paths: set[str]) -> str:
    words = _format_path(path)
    if not words or any(
        words == filled or words.startswith(f"{filled}.") for filled in filled_paths
    ):
        return ""
    whole = _expand_item(draft.steps[position], path)
    if len(whole) < 2 or whole[0] != "steps" or not isinstance(whole[1], str):
        return ""
    source = next((step for step in draft.steps[:position] if step.name == whole[1]), None)
    if source is None or source.known_action is None:
        return ""
    if path[0] == "steps" and _may_be_skipped(source, draft.steps[position]):
        return SKIPPED.format(words, source.name)
    rest = whole[2:]
    if source.for_each:  # its output is a list of outputs
        rest = rest[1:] if rest and (isinstance(rest[0], int) or rest[0] == LISTED) else []
    return MISSING.format(words) if _may_be_missing(source.known_action, rest) else ""


def _may_be_skipped(source: Step, reader: Step) -> bool:
    on_error = source.options.get("on_error")
    if isinstance(on_error, Mapping) and on_error.get("then") == "continue":
        return True
    condition = source.options.get("only_if")
    return bool(condition) and condition != reader.options.get("only_if")


def _expand_item(step: Step, path: Path) -> list[Any]:
    """Return the path with `item` replaced by its list: steps.invoice.LineItems[].Code."""
    if not path or path[0] != "item":
        return list(path)
    lists = _read_paths(step.for_each)
    return [*lists[0], LISTED, *path[1:]] if len(lists) == 1 else []


def _may_be_missing(action: Action, rest: Path) -> bool:
    """Check whether the action's output may lack a part of the path, as far as it declares."""
    if action.always is None:
        return False
    prefix = ""
    for part in rest:
        if part in {"first", "last", "size"}:  # of a list
            return part != "size" and f"{prefix}{LISTED}" not in action.always
        if isinstance(part, int) or part == LISTED:
            prefix += LISTED
            if part == LISTED:  # one that is there
                continue
        elif isinstance(part, str):
            prefix = f"{prefix}.{part}" if prefix else part
        else:
            return False  # computed; judged when it runs
        if prefix not in action.always:
            return True
    return False


def _format_path(path: Path) -> str:
    """Return the path as typed, steps.invoice.Payments[0].Date; "" where a part is computed."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        elif isinstance(part, str):
            written += f".{part}" if written else part
        else:
            return ""
    return written
