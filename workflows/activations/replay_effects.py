"""The effects that a replay of several activations may have, shown before it begins."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from connections.integrations import registry
from workflows.models import Activation, ActivationState, Version


@dataclass(frozen=True, slots=True)
class ReplayLine:
    """One activation, with the titles of the steps that would write and of those that would
    send.
    """

    activation: Activation
    writes: list[str]
    sends: list[str]


@dataclass(frozen=True, slots=True)
class Outlook:
    """The effects of all of them, oldest first."""

    lines: list[ReplayLine]

    @property
    def writing(self) -> int:
        return sum(bool(line.writes) for line in self.lines)

    @property
    def sending(self) -> int:
        return sum(bool(line.sends) for line in self.lines)

    @property
    def by_step(self) -> list[tuple[str, int]]:
        """Count the activations that would run each such step, by its title, most first."""
        titles = Counter(title for line in self.lines for title in {*line.writes, *line.sends})
        return titles.most_common()


def predict_effects(activations: Sequence[Activation]) -> Outlook:
    """Predict the steps that write or send when these are replayed from where they ended.

    Conditions may still skip a step.
    """
    versions = Version.objects.in_bulk(
        {activation.version_id for activation in activations if activation.version_id}
    )
    return Outlook(
        [
            _build_line(activation, versions.get(activation.version_id or 0))
            for activation in activations
        ]
    )


def _build_line(activation: Activation, version: Version | None) -> ReplayLine:
    begin = 0 if activation.state == ActivationState.SUCCEEDED else activation.position
    writes, sends = [], []
    for step in version.steps[begin:] if version else []:
        action = registry.actions.get(step["action"])
        if action is not None and action.writes:
            writes.append(action.title)
        elif action is not None and action.effects:
            sends.append(action.title)
    return ReplayLine(activation, writes, sends)
