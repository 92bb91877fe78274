"""Problems that keep a draft from being published, each with the card it belongs to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms

from connections.integrations import Action, registry
from connections.models import Connection, ConnectionState
from taskjuice.row_fields import RowsField
from taskjuice.workspaces.models import Agency
from workflows.definition import guards, step_options, type_checks
from workflows.definition.drafts import MAX_STEPS, NAME_SHAPE, Draft, Step
from workflows.definition.evaluation_budget import evaluation_budget
from workflows.definition.expressions import ExpressionError, has_expression, list_paths
from workflows.definition.template_fields import Templated

TRIGGER, CONNECTIONS = "trigger", "connections"
CALLED = "called"  # a field of every card, and of no action: what later steps call it
OPTION = "options."  # before the name of a field of OptionsForm
GUARD = "guard."  # before the name of a field of GuardForm


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem.

    `where` is `trigger`, `connections` or a step's position from 0; `field` is a field of the form
    there, or "".
    """

    where: str | int
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class RunScope:
    """The agency and the organisations that a draft is to run at."""

    agency: Agency
    connections: Sequence[Connection]

    @property
    def disconnected(self) -> list[str]:
        """Return the names of the organisations that are no longer connected."""
        return [
            connection.name
            for connection in self.connections
            if connection.state == ConnectionState.REVOKED
        ]


def list_problems(draft: Draft, scope: RunScope | None = None) -> list[Problem]:
    """List everything that keeps the draft from being published, in the order of its cards.

    With `place` it includes what is missing there: an organisation, a secret value, a colleague, an
    account.
    """
    with evaluation_budget():
        return _collect_problems(draft, scope)


def _collect_problems(draft: Draft, scope: RunScope | None) -> list[Problem]:
    problems = list(_check_trigger(draft))
    if not draft.steps:
        problems.append(Problem(TRIGGER, "Add at least one step."))
    elif len(draft.steps) > MAX_STEPS:
        problems.append(Problem(TRIGGER, f"A workflow has at most {MAX_STEPS} steps."))
    for position in range(len(draft.steps)):
        problems += _check_step(draft, position)
        problems += _check_at_scope(draft.steps[position], position, scope) if scope else []
    return problems + (_check_connections(scope) if scope else [])


def _check_trigger(draft: Draft) -> Iterator[Problem]:
    trigger = registry.triggers.get(draft.trigger)
    if trigger is None:
        yield Problem(TRIGGER, "Choose what starts the workflow.")
        return
    form = trigger.form(data=dict(draft.settings))
    for name, errors in form.errors.items():
        yield from (Problem(TRIGGER, str(error), name) for error in errors)


def _check_step(draft: Draft, position: int) -> Iterator[Problem]:
    step = draft.steps[position]
    yield from (
        Problem(position, message, CALLED) for message in _check_name(draft.steps, position)
    )
    if step.known_action is None:
        yield Problem(position, f"This version of TaskJuice has no action {step.action}.")
        return
    for name, message in list_form_errors(step.known_action, step.input):
        yield Problem(position, message, name)
    for name, message in type_checks.list_mismatches(draft, position):
        yield Problem(position, message, name)
    yield from _check_options(draft, position)
    for name, value in step.input.items():
        form_field = step.known_action.form.base_fields.get(name)
        if isinstance(form_field, Templated) and isinstance(value, str):
            value = form_field.parts(value)
        for message in _check_references(draft, position, value):
            yield Problem(position, message, name)
        yield from (Problem(position, message, name) for message in _check_condition(value))


def _check_at_scope(step: Step, position: int, scope: RunScope) -> list[Problem]:
    if step.known_action is None:
        return []
    living = [
        connection
        for connection in scope.connections
        if connection.state != ConnectionState.REVOKED
    ]
    messages = step.known_action.wrong_for(scope.agency, living, step.input)
    return [Problem(position, message, name) for name, message in messages]


def _check_connections(scope: RunScope) -> list[Problem]:
    """Check that at least one of the organisations can send events."""
    if not scope.connections:
        return [Problem(CONNECTIONS, "Choose at least one organisation.")]
    if len(scope.disconnected) == len(scope.connections):
        return [Problem(CONNECTIONS, "None of the chosen organisations is connected any more.")]
    return []


def _check_options(draft: Draft, position: int) -> Iterator[Problem]:
    """Check the step's options.

    Condition and list are read before the step runs for an element, so neither may use `item`.
    """
    step = draft.steps[position]
    for name, message in step_options.list_errors(step.action, step.options):
        yield Problem(position, message, OPTION + name)
    if step.known_action is not None and step.options.get("guard"):
        for name, message in guards.list_errors(step.known_action, step.options["guard"]):
            yield Problem(position, message, GUARD + name)
    for name in ("only_if", "for_each"):
        value = step.options.get(name)
        for message in _check_references(draft, position, value, knows_item=False):
            yield Problem(position, message, OPTION + name)
        yield from (
            Problem(position, message, OPTION + name) for message in _check_condition(value)
        )


def _check_name(steps: Sequence[Step], position: int) -> Iterator[str]:
    name = steps[position].name
    if not NAME_SHAPE.fullmatch(name):
        yield "A name is letters, digits and underscores, and does not begin with a digit."
    elif name in {step.name for step in steps[:position]}:
        yield f"Another step is called {name} already."


def list_form_errors(action: Action, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """List (field, message) of the action's own form; values of expressions are checked at run
    time.
    """
    form = action.form(data=dict(values))
    open_fields = {
        name
        for name, value in values.items()
        if has_expression(value) and _is_checked_at_run(action.form.base_fields.get(name), value)
    }
    for name in sorted(open_fields):
        form_field = action.form.base_fields.get(name)
        if isinstance(form_field, RowsField) and isinstance(values[name], list):
            yield from (
                (name, message) for message in form_field.problems(values[name], has_expression)
            )
    for name, errors in form.errors.items():
        if name in open_fields or (name == "__all__" and open_fields):
            continue
        for error in errors:
            yield ("" if name == "__all__" else name), str(error)


def _is_checked_at_run(form_field: forms.Field | None, value: Any) -> bool:
    """Check whether the field's expressions leave its check to the run.

    Fields that are cleaned with their expressions in them are checked now.
    """
    return isinstance(form_field, RowsField) or (
        isinstance(value, str) and not isinstance(form_field, Templated)
    )


def _check_references(
    draft: Draft, position: int, value: Any, *, knows_item: bool = True
) -> Iterator[str]:
    for text in iterate_texts(value):
        try:
            paths = list_paths(text)
        except ExpressionError as error:
            yield f"{error} In “{_shorten(text)}”."
            continue
        for path in paths:
            if message := _check_path(draft, position, path, knows_item):
                yield message


def _check_path(draft: Draft, position: int, path: Sequence[Any], knows_item: bool) -> str:
    """Return what is wrong with a path such as ["steps", "invoice", "Total"]; "" when nothing
    is.
    """
    root, name, *rest = [*path, ""][:2] + list(path[2:])
    if not (isinstance(root, str) and isinstance(name, str)):
        return ""  # computed; judged when it runs
    if root == "item":
        return _check_item(draft.steps[position], knows_item)
    if root == "trigger":
        return _check_trigger_value(draft, name)
    if root != "steps":
        return f"There is no “{root}” here; expressions begin with trigger or steps."
    earlier = {step.name: step for step in draft.steps[:position]}
    if name in earlier:
        return _check_output(earlier[name], rest)
    if name in {step.name for step in draft.steps[position:]}:
        return f"The step “{name}” does not come before this one, so its output is not there yet."
    return (
        f"No earlier step is called “{name}”."
        if name
        else "Name the step as well: steps.invoice, for example."
    )


def _check_item(step: Step, is_known: bool) -> str:
    if not step.for_each:
        return "There is no “item” here: the step does not run once per element of a list."
    return (
        "" if is_known else "“item” is known only while the step runs for an element, not before."
    )


def _check_trigger_value(draft: Draft, name: str) -> str:
    trigger = registry.triggers.get(draft.trigger)
    if trigger is None or name in trigger.sample:
        return ""
    return f"The trigger gives {', '.join(trigger.sample)}" + (
        f"; there is no “{name}”." if name else ": name one."
    )


def _check_output(step: Step, rest: Sequence[Any]) -> str:
    """Check a path into a step's output.

    Only names that a step sets itself are certain; a provider may send more than its sample shows.
    """
    first = rest[0] if rest else None
    if not isinstance(first, str):
        return ""
    if step.for_each:
        of_lists = {"first", "last", "size"}
        return (
            ""
            if first in of_lists
            else f"“{step.name}” gives a list: one output per element it ran for."
        )
    if step.action != "core/set-values" or first in step.sample_of_one:
        return ""
    sets = ", ".join(step.sample_of_one) or "nothing"
    return f"The step “{step.name}” sets {sets}; there is no “{first}”."


def _check_condition(value: Any) -> Iterator[str]:
    """List messages about names without braces, which would be compared as plain words."""
    rows = value.get("rows") if isinstance(value, dict) else None
    for row in rows if isinstance(rows, list) else ():
        left = str(row.get("field", "")).strip() if isinstance(row, dict) else ""
        if left and "{{" not in left:
            yield f"“{_shorten(left)}” is only a word. Values are written in braces: {{{{ steps.invoice.Total }}}}."


def iterate_texts(value: Any) -> Iterator[str]:
    match value:
        case str() if has_expression(value):
            yield value
        case list():
            for element in value:
                yield from iterate_texts(element)
        case dict():
            yield from iterate_texts(list(value.values()))


def _shorten(text: str) -> str:
    return f"{text[:40]}…" if len(text) > 40 else text
