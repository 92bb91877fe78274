"""What a frozen version asks of the engine, prepared once per process."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from connections.integrations import Action, Data, registry
from workflows.expressions import ExpressionError, fill, has_expression
from workflows.models import Version


class StepError(Exception):
    """A step cannot run with what it was given; `code` is short and stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class StepPlan:
    name: str
    action_key: str
    action: Action | None  # None: this code no longer knows the action
    input: Mapping[str, Any]
    cleaned: Data | None  # ready where the input holds no expression: one cleaning serves all

    def prepare(self, context: Mapping[str, Any]) -> tuple[Data, Data]:
        """(input as it reads with the values in, input cleaned by the action's form); raises StepError."""
        action = self.known_action()
        if self.cleaned is not None:
            return dict(self.input), self.cleaned
        try:
            filled = fill(dict(self.input), context)
        except ExpressionError as error:
            raise StepError("expression", str(error)) from error
        return filled, clean(action, filled)

    def known_action(self) -> Action:
        if self.action is None:
            raise StepError("unknown-action", f"This version of TaskJuice has no action {self.action_key}.")
        return self.action


def clean(action: Action, data: Mapping[str, Any]) -> Data:
    """Cleaned by the action's form; raises StepError that names the fields."""
    form = action.form(data=dict(data))
    if form.is_valid():
        return form.cleaned_data
    raise StepError("input", "; ".join(_messages(form)))


def _messages(form: Any) -> list[str]:
    found = []
    for name, errors in form.errors.items():
        label = form.fields[name].label if name in form.fields else ""
        found += [f"{label or name}: {error}" if name != "__all__" else str(error) for error in errors]
    return found


@lru_cache(maxsize=1024)
def plan(version_id: int) -> tuple[StepPlan, ...]:
    """The steps of a published version. It is frozen, so the plan of a process never goes stale."""
    steps = Version.objects.values_list("steps", flat=True).get(pk=version_id, published_at__isnull=False)
    return tuple(_step(step) for step in steps)


def _step(step: Mapping[str, Any]) -> StepPlan:
    action = registry.actions.get(step["action"])
    given = step.get("input") or {}
    fixed = action is not None and (action.raw or not has_expression(given))
    try:
        cleaned = clean(action, given) if action is not None and fixed else None
    except StepError:  # said again, per activation, when it runs
        cleaned = None
    return StepPlan(step["name"], step["action"], action, given, cleaned)
