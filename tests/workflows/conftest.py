"""A made-up action that tests control."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pytest
from django import forms

from connections.integrations import Action, ActionContext, Data, Outcome, registry
from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection


class NumberForm(forms.Form):
    number = forms.DecimalField()


class Look(Action):
    """An action that returns its number, notes the sizes of its waves, and does what `behave`
    says.
    """

    key = "test/look"
    title = "Look"
    description = "Look."
    form = NumberForm
    waves: ClassVar[list[int]] = []
    seen: ClassVar[list[Any]] = []
    behave: Any = None

    def run_many(self, calls: Sequence[ActionContext], rows: Sequence[Data]) -> list[Outcome]:
        self.waves.append(len(rows))
        return super().run_many(calls, rows)

    def run(self, call: ActionContext, data: Data) -> Data:
        self.seen.append(data["number"])
        if self.behave is not None:
            self.behave(data)
        return {"number": data["number"]}


class Effect(Look):
    key = "test/effect"
    effects = True


@pytest.fixture
def look() -> Iterator[Look]:
    action = Look()
    action.waves.clear()
    action.seen.clear()
    registry.add(actions=[action, Effect()])
    yield action
    for key in (Look.key, Effect.key):
        del registry.actions[key]


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace)
