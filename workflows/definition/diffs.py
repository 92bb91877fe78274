"""The differences between two versions of a workflow, in words."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflows.definition import guards, step_options
from workflows.definition.descriptions import (
    in_order,
    setting_in_words,
    setting_labels,
    trigger_title,
    value_in_words,
)
from workflows.definition.drafts import Draft, Step

NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs; `nothing` stands for a value that is or was not set."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class StepChange:
    """One difference.

    `kind` is added, removed, moved, renamed or changed. `number` counts steps from 1 and is 0 for
    the trigger.
    """

    kind: str
    number: int
    title: str
    name: str = ""
    note: str = ""
    fields: list[FieldChange] = field(default_factory=list)


def list_changes(before: Draft, after: Draft) -> list[StepChange]:
    """List the changes in the order of the later version's steps, removed steps last."""
    pairs = _match_steps(before.steps, after.steps)
    stayed = _find_unmoved([pairs[new] for new in sorted(pairs)])
    listed = list(_compare_triggers(before, after))
    for new, step in enumerate(after.steps):
        old = pairs.get(new)
        if old is None:
            fields = [FieldChange(label, "", text) for label, text in _describe_step(step)]
            listed.append(StepChange("added", new + 1, step.title, step.name, fields=fields))
            continue
        listed += _compare_steps(before.steps[old], step, old, new, moved=old not in stayed)
    removed = [old for old in range(len(before.steps)) if old not in pairs.values()]
    steps = [(old, before.steps[old]) for old in removed]
    return listed + [StepChange("removed", old + 1, step.title, step.name) for old, step in steps]


def _match_steps(before: Sequence[Step], after: Sequence[Step]) -> dict[int, int]:
    """Match the steps of both versions, by new position, and return the old one of each.

    Name and action decide first; the content then finds steps that were renamed.
    """
    pairs: dict[int, int] = {}
    for is_same in (_has_same_name, _has_same_content):
        for new, step in enumerate(after):
            free = (old for old in range(len(before)) if old not in pairs.values())
            match = next((old for old in free if is_same(before[old], step)), None)
            if new not in pairs and match is not None:
                pairs[new] = match
    return pairs


def _has_same_name(step: Step, other: Step) -> bool:
    return (step.name, step.action) == (other.name, other.action)


def _has_same_content(step: Step, other: Step) -> bool:
    return (step.action, step.input, step.options) == (other.action, other.input, other.options)


def _find_unmoved(olds: Sequence[int]) -> set[int]:
    """Return the longest run of old positions that is still in order; every other step moved."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for number, old in enumerate(olds):
        index = bisect_left(tails, old)
        tails[index : index + 1] = [old]
        ends[index : index + 1] = [number]
        before.append(ends[index - 1] if index else -1)
    run, number = set(), ends[-1] if ends else -1
    while number >= 0:
        run.add(olds[number])
        number = before[number]
    return run


def _compare_triggers(before: Draft, after: Draft) -> Iterator[StepChange]:
    fields = []
    if before.trigger != after.trigger:
        fields.append(
            FieldChange("What happens", trigger_title(before.trigger), trigger_title(after.trigger))
        )
    labels = setting_labels(before.trigger) | setting_labels(after.trigger)
    for name, label in labels.items():
        old, new = setting_in_words(before, name), setting_in_words(after, name)
        if old != new:
            fields.append(FieldChange(label, old or NOTHING, new or NOTHING))
    if fields:
        yield StepChange("changed", 0, "Starts when", fields=fields)


def _compare_steps(
    before: Step, after: Step, old: int, new: int, *, moved: bool
) -> Iterator[StepChange]:
    if moved:
        yield StepChange("moved", new + 1, after.title, after.name, f"it was step {old + 1}")
    if before.name != after.name:
        yield StepChange(
            "renamed", new + 1, after.title, after.name, f"it was called {before.name}"
        )
    if fields := list(_compare_fields(before, after)):
        yield StepChange("changed", new + 1, after.title, after.name, fields=fields)


def _compare_fields(before: Step, after: Step) -> Iterator[FieldChange]:
    old, new = dict(_describe_step(before)), dict(_describe_step(after))
    for label in [*new, *(label for label in old if label not in new)]:
        if old.get(label) != new.get(label):
            yield FieldChange(label, old.get(label, NOTHING), new.get(label, NOTHING))


def _describe_step(step: Step) -> Iterator[tuple[str, str]]:
    """List (label, text) of the step's whole input and options."""
    for name, value in in_order(step):
        for label, text in value_in_words(step, name, value):
            if text:
                yield label, text
    yield from _describe_options(step.options)


def _describe_options(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    condition = options.get("only_if")
    if isinstance(condition, Mapping) and condition.get("rows"):
        yield "Only if", " ".join(step_options.condition_in_words(condition))
    if options.get("for_each"):
        yield "Once for each element of", step_options.shorten_text(options["for_each"])
    for line in step_options.in_words({"on_error": options.get("on_error")}):
        label, _, text = line.partition(": ")
        yield label, text
    yield from guards.describe_limits(options.get("guard"))
