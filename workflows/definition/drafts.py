"""Workflows before they are published: a trigger with its settings, and steps."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connections.integrations import Action, Data, registry
from taskjuice.form_sizes import MOST_STEPS
from workflows.models import Version

MAX_STEPS = MOST_STEPS
NAME_SHAPE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")


def named_values(stored: Any) -> dict[str, Any]:
    """Return a step's named values in their order.

    They are stored as rows {"name", "value"}, or as a mapping by earlier releases.
    """
    if isinstance(stored, Mapping):
        return dict(stored)
    rows = stored if isinstance(stored, list) else []
    return {
        str(row.get("name", "")): row.get("value", "") for row in rows if isinstance(row, Mapping)
    }


@dataclass(frozen=True, slots=True)
class Step:
    """One step as typed.

    `input` holds the raw values of its action's form, `options` everything else that the engine
    reads.
    """

    name: str
    action: str
    input: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Step":
        options = {
            key: option for key, option in stored.items() if key not in {"name", "action", "input"}
        }
        return cls(stored["name"], stored["action"], stored.get("input") or {}, options)

    def as_stored(self) -> dict[str, Any]:
        return {"name": self.name, "action": self.action, "input": dict(self.input)} | dict(
            self.options
        )

    @property
    def known_action(self) -> Action | None:
        return registry.actions.get(self.action)

    @property
    def title(self) -> str:
        return self.known_action.title if self.known_action else self.action

    @property
    def for_each(self) -> str:
        """Return the expression of the list that the step runs over; "" where it runs once."""
        return str(self.options.get("for_each") or "")

    @property
    def sample(self) -> Data | list[Data]:
        """Return a sample output for later steps: a list where the step runs once per element."""
        return [self.sample_of_one] if self.for_each else self.sample_of_one

    @property
    def sample_of_one(self) -> Data:
        """Return the sample output of a single run; values that a step names are their own
        sample.
        """
        if self.action == "core/set-values":
            return named_values(self.input.get("values"))
        return self.known_action.sample if self.known_action else {}


@dataclass(frozen=True, slots=True)
class Draft:
    trigger: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: Sequence[Step] = ()

    @classmethod
    def of(cls, version: Version) -> "Draft":
        steps = [Step.of(step) for step in version.steps]
        return cls(version.trigger, version.trigger_settings, steps)

    def steps_as_stored(self) -> list[dict[str, Any]]:
        return [step.as_stored() for step in self.steps]


def choose_step_name(action_key: str, taken: Sequence[str]) -> str:
    """Choose a name for a new step: `invoice` for xero/get-invoice, then `invoice_2`."""
    base = action_key.rpartition("/")[2].rpartition("-")[2] or "step"
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def blank_draft() -> Draft:
    return Draft(trigger=next(iter(registry.triggers), ""))
