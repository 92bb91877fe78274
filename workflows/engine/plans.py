"""Plans of frozen versions for the engine, prepared once per process."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from connections.integrations import Action, Data, registry
from workflows.definition import conditions
from workflows.definition.expressions import ExpressionError, evaluate_text, fill_values
from workflows.definition.template_fields import Templated
from workflows.models import Version


class StepError(Exception):
    """A step cannot run with its values; `code` is short and stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnknownAction(StepError):
    """The step's action is not in this release: it belongs to an older or a newer one."""


@dataclass(frozen=True, slots=True)
class StepPlan:
    name: str
    action_key: str
    action: Action | None  # None: this code no longer knows the action
    input: Mapping[str, Any]
    cleaned: Data | None = (
        None  # ready where the action reads its input raw: one cleaning serves all
    )
    only_if: Mapping[str, Any] | None = None
    for_each: str = ""
    goes_on: bool = False  # a failure is noted, and the activation goes on behind the step
    retries: int = 0  # how often a failure is tried again
    retry_seconds: int = 60
    guard: Mapping[str, Any] = field(default_factory=dict)  # as definition/guards.py stores it

    def prepare(self, context: Mapping[str, Any]) -> tuple[Data, Data]:
        """Return the input with its expressions evaluated, and the input cleaned by the action's
        form.

        Raises StepError.
        """
        action = self.known_action()
        if self.cleaned is not None:
            return dict(self.input), self.cleaned
        if action.raw:
            return dict(self.input), clean_input(action, self.input)
        try:
            filled = {
                name: self._filled(action, name, value, context)
                for name, value in self.input.items()
            }
        except ExpressionError as error:
            raise StepError("expression", str(error)) from error
        return filled, clean_input(action, filled)

    def _filled(self, action: Action, name: str, value: Any, context: Mapping[str, Any]) -> Any:
        form_field = action.form.base_fields.get(name)
        if isinstance(form_field, Templated) and isinstance(value, str):
            return form_field.fill(value, context)
        return fill_values(value, context)

    def applies(self, context: Mapping[str, Any]) -> tuple[bool, str]:
        """Check the step's condition, and say what did not hold; raise StepError."""
        if not self.only_if:
            return True, ""
        try:
            return conditions.check_condition(self.only_if, context)
        except ExpressionError as error:
            raise StepError("expression", str(error)) from error

    def elements(self, context: Mapping[str, Any]) -> list[Any] | None:
        """Return the elements that the step runs over; None where it runs once. Raise StepError."""
        if not self.for_each:
            return None
        try:
            elements = evaluate_text(self.for_each, context)
        except ExpressionError as error:
            raise StepError("expression", str(error)) from error
        if not isinstance(elements, list):
            raise StepError("expression", f"{self.for_each} is not a list.")
        return elements

    def known_action(self) -> Action:
        if self.action is None:
            raise UnknownAction(
                "unknown-action",
                f"This version of TaskJuice has no action {self.action_key}; it waits for one.",
            )
        return self.action


def clean_input(action: Action, data: Mapping[str, Any]) -> Data:
    """Clean the input with the action's form; raise StepError that names the fields."""
    form = action.form(data=dict(data), label_suffix="")  # else Django translates one for each
    if form.is_valid():
        return form.cleaned_data
    raise StepError("input", "; ".join(_messages(form)))


def _messages(form: Any) -> list[str]:
    messages = []
    for name, errors in form.errors.items():
        label = form.fields[name].label if name in form.fields else ""
        messages += [
            f"{label or name}: {error}" if name != "__all__" else str(error) for error in errors
        ]
    return messages


@lru_cache(maxsize=1024)
def load_plan(version_id: int) -> tuple[StepPlan, ...]:
    """Return the steps of a published version. It is frozen, so a process may keep them."""
    steps = Version.objects.values_list("steps", flat=True).get(
        pk=version_id, published_at__isnull=False
    )
    return tuple(build_plan(step) for step in steps)


def build_plan(step: Mapping[str, Any]) -> StepPlan:
    """Return the plan of one step as a version stores it."""
    action = registry.actions.get(step["action"])
    raw_input = step.get("input") or {}
    on_error = step.get("on_error") or {}
    plan = StepPlan(
        name=step["name"],
        action_key=step["action"],
        action=action,
        input=raw_input,
        only_if=step.get("only_if"),
        for_each=step.get("for_each") or "",
        goes_on=on_error.get("then") == "continue",
        retries=int(on_error.get("times") or 0),
        retry_seconds=int(on_error.get("seconds") or 60),
        guard=step.get("guard") or {},
    )
    return replace(plan, cleaned=_clean_raw(plan))


def _clean_raw(step: StepPlan) -> Data | None:
    """Clean raw input once for all runs.

    Other input may depend on the day when it is cleaned (`+30`).
    """
    if step.action is None or not step.action.raw:
        return None
    try:
        return clean_input(step.action, step.input)
    except StepError:  # said again, per activation, when it runs
        return None
