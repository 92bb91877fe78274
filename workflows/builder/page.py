"""The builder's page as a value: read from a draft or a POST, changed by buttons, drawn again.

Fields of the POST, all optional unless marked:

    name                            name of the workflow (required)
    connections                     id of a connection that it listens to; repeated
    trigger                         key of the trigger, for example xero/invoice-event
    trigger-<field>                 the trigger's own form, for example trigger-change=any
    step                            handle of a step (1–12 letters and digits); repeated, in order
    step-<handle>-action            key of its action
    called-<handle>                 the name by which later steps refer to it
    step-<handle>-<field>           the action's own form; see widgets.py for rows and for colleagues
    step-<handle>-options-<field>   the step's options (step_options.py)
    step-<handle>-guard-<field>     the limits on its writes (guards.py)
    stamp                           of the content that the editor began with (lifecycle.Content)
    template                        key of a template, used where trigger and steps are absent
    event                           id of a recent event to test on
    at                              handle of the step to add the next one after; default: the last
    do                              save (default), publish, test:<handle>, or a change of the page:
                                    again, add:<action>, at:<handle>, copy:<handle>,
                                    remove:<handle>, up:<handle>, down:<handle>, drop:<row>
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from connections.integrations import Action, Trigger, registry
from workflows.activations import timeline
from workflows.builder.choices import BuilderChoices
from workflows.builder.step_tests import StepTestResult
from workflows.builder.widgets import editor_widget, read_text
from workflows.definition import drafts, guards, step_options
from workflows.definition.cost_estimate import Estimate, estimate_cost
from workflows.definition.drafts import MAX_STEPS, Draft, Step
from workflows.definition.evaluation_budget import evaluation_budget
from workflows.definition.guards import GuardForm
from workflows.definition.step_options import OptionsForm
from workflows.definition.templates import STARTING_POINTS
from workflows.definition.validation import CALLED, CONNECTIONS, GUARD, OPTION, TRIGGER, Problem

NO_FILES: "MultiValueDict[str, UploadedFile[Any]]" = MultiValueDict()
NOTHING = BuilderChoices()  # reading what was typed needs none
HANDLE = re.compile(r"[a-z0-9]{1,12}")


@dataclass(frozen=True)
class Card:
    """A step with the handle that its form fields are named by."""

    handle: str
    step: Step
    choices: BuilderChoices
    problems: Sequence[Problem] = ()
    trial: StepTestResult | None = None
    cautions: Sequence[Problem] = ()

    @property
    def prefix(self) -> str:
        return f"step-{self.handle}"

    @property
    def form(self) -> forms.Form | None:
        """Return the action's form with the raw values and their problems."""
        action = self.step.known_action
        if action is None:
            return None
        form = action.form(
            initial=dict(self.step.input), prefix=self.prefix, use_required_attribute=False
        )
        _set_editors(form, self.choices)
        _add_errors(form, self.problems)
        return form

    @property
    def options_form(self) -> forms.Form:
        form = OptionsForm(
            initial=step_options.as_fields(self.step.options),
            prefix=self.options_prefix,
            use_required_attribute=False,
        )
        _set_editors(form, self.choices)
        _add_errors(form, self.problems, OPTION)
        return form

    @property
    def options_prefix(self) -> str:
        return f"{self.prefix}-options"

    @property
    def guard_form(self) -> forms.Form | None:
        """Return the form of the step's limits; None for steps that only read."""
        action = self.step.known_action
        if action is None or not guards.can_guard(action):
            return None
        form = GuardForm(
            initial=guards.as_fields(self.step.options.get("guard")),
            prefix=self.guard_prefix,
            action=action,
            use_required_attribute=False,
        )
        _set_editors(form, self.choices)
        _add_errors(form, self.problems, GUARD)
        return form

    @property
    def guard_prefix(self) -> str:
        return f"{self.prefix}-guard"

    @property
    def guard_in_words(self) -> list[str]:
        return guards.in_words(self.step.options.get("guard"))

    @property
    def has_guard_problems(self) -> bool:
        return any(problem.field.startswith(GUARD) for problem in self.problems)

    @property
    def options_in_words(self) -> list[str]:
        without = {key: option for key, option in self.step.options.items() if key != "guard"}
        return step_options.in_words(without)

    @property
    def has_option_problems(self) -> bool:
        return any(problem.field.startswith(OPTION) for problem in self.problems)

    @property
    def told_problems(self) -> list[str]:
        """Return the messages for the list at the top, with the label of their field."""
        return [_label_message(problem, self._label(problem)) for problem in self.problems]

    def _label(self, problem: Problem) -> str:
        if problem.field == CALLED:
            return "Later steps call it"
        for before, form in ((OPTION, self.options_form), (GUARD, self.guard_form)):
            if form is not None and problem.field.startswith(before):
                return str(form.fields[problem.field.removeprefix(before)].label)
        action = self.step.known_action
        form_field = action.form.base_fields.get(problem.field) if action else None
        return str(form_field.label) if form_field else ""

    @property
    def told_cautions(self) -> list[str]:
        return [_label_message(caution, self._label(caution)) for caution in self.cautions]

    @property
    def name_problems(self) -> list[str]:
        return [problem.message for problem in self.problems if problem.field == CALLED]

    @property
    def other_problems(self) -> list[str]:
        return [problem.message for problem in self.problems if not problem.field]


@dataclass(frozen=True, slots=True)
class Source:
    """Values that expressions can use: of the trigger or a step, as (expression, sample) pairs."""

    number: int  # of the step, from 1; 0 for the trigger
    title: str
    name: str
    values: list[tuple[str, str]]


@dataclass(frozen=True)
class Builder:
    trigger_key: str
    settings: dict[str, Any]
    cards: Sequence[Card]
    choices: BuilderChoices
    problems: Sequence[Problem] = field(default=())
    at: str = ""  # handle of the step that the next one is put behind; "": the last

    @classmethod
    def of(
        cls, draft: Draft, choices: BuilderChoices, problems: Sequence[Problem] = ()
    ) -> "Builder":
        handles = _number_handles()
        cards = [Card(next(handles), step, choices) for step in draft.steps]
        return cls(draft.trigger, dict(draft.settings), cards, choices).with_problems(problems)

    @classmethod
    def posted(
        cls,
        data: QueryDict,
        choices: BuilderChoices,
        before: Draft | None = None,
        *,
        address: str = "",
    ) -> "Builder":
        """Read the page from a POST.

        `before` is the draft that was edited; options that the page does not show are kept from it.
        `address` is the recipient for a template's e-mails that have none.
        """
        point = STARTING_POINTS.get(data.get("template", ""))
        if point is not None and "trigger" not in data and "step" not in data:
            return cls.of(point.draft_for(address), choices)
        trigger = read_text(data, "trigger")
        handles = [
            handle for handle in dict.fromkeys(data.getlist("step")) if HANDLE.fullmatch(handle)
        ]
        cards = [_read_card(data, handle, choices) for handle in handles[: MAX_STEPS + 1]]
        earlier = (
            {(step.name, step.action): step.options for step in before.steps} if before else {}
        )
        kept = [_read_options(data, card, earlier) for card in cards]
        return cls(trigger, _read_settings(data, trigger), kept, choices, at=read_text(data, "at"))

    @property
    def draft(self) -> Draft:
        return Draft(self.trigger_key, self.settings, [card.step for card in self.cards])

    def with_problems(self, problems: Sequence[Problem]) -> "Builder":
        cards = [
            replace(card, problems=[problem for problem in problems if problem.where == position])
            for position, card in enumerate(self.cards)
        ]
        return replace(self, cards=cards, problems=problems)

    def with_cautions(self, cautions: Sequence[Problem]) -> "Builder":
        cards = [
            replace(card, cautions=[caution for caution in cautions if caution.where == position])
            for position, card in enumerate(self.cards)
        ]
        return replace(self, cards=cards)

    def changed(self, do: str) -> "Builder":
        """Return the page after a press of a button that changes it."""
        verb, _, what = do.partition(":")
        if verb == "add":
            return self._with_new(what)
        if verb == "at":
            return replace(self, at=what)
        places = [position for position, card in enumerate(self.cards) if card.handle == what]
        if not places:
            return self
        cards, position_of_card = list(self.cards), places[0]
        card = cards.pop(position_of_card)
        if verb in {"up", "down"}:
            cards.insert(max(0, position_of_card + (1 if verb == "down" else -1)), card)
        elif verb == "copy" and len(self.cards) < MAX_STEPS:
            cards[position_of_card:position_of_card] = [card, self._copy_of(card)]
        elif verb != "remove":
            return self
        return replace(self, cards=cards)

    def tested(self, handle: str, test: Callable[[Draft, int], StepTestResult]) -> "Builder":
        """Return the page with the result of testing the step of this handle."""
        cards = [
            replace(card, trial=test(self.draft, position)) if card.handle == handle else card
            for position, card in enumerate(self.cards)
        ]
        return replace(self, cards=cards)

    @property
    def adds_last(self) -> bool:
        """Check whether the next step is added at the end."""
        return all(card.handle != self.at for card in self.cards[:-1])

    @property
    def cost(self) -> Estimate:
        return estimate_cost(self.draft)

    @property
    def trigger(self) -> Trigger | None:
        return registry.triggers.get(self.trigger_key)

    @property
    def trigger_form(self) -> forms.Form | None:
        if self.trigger is None:
            return None
        form = self.trigger.form(
            initial=self.settings, prefix="trigger", use_required_attribute=False
        )
        _add_errors(form, [problem for problem in self.problems if problem.where == TRIGGER])
        return form

    @property
    def trigger_problems(self) -> list[str]:
        fields = self.trigger.form.base_fields if self.trigger else {}
        problems = [problem for problem in self.problems if problem.where == TRIGGER]
        return [
            _label_message(
                problem, str(fields[problem.field].label) if problem.field in fields else ""
            )
            for problem in problems
        ]

    @property
    def connection_problems(self) -> list[str]:
        return [problem.message for problem in self.problems if problem.where == CONNECTIONS]

    @property
    def triggers(self) -> list[Trigger]:
        return list(registry.triggers.values())

    @property
    def actions(self) -> list[Action]:
        return list(registry.actions.values())

    @property
    def sources(self) -> list[Source]:
        with evaluation_budget():
            return self._sources()

    def _sources(self) -> list[Source]:
        sources = []
        if self.trigger is not None:
            values = _list_values("trigger", self.trigger.sample)
            sources.append(Source(0, self.trigger.title, "trigger", values))
        samples: dict[str, Any] = {
            "trigger": self.trigger.sample if self.trigger else {},
            "steps": {},
        }
        for number, card in enumerate(self.cards, start=1):
            step = card.step
            if step.for_each:
                item = step_options.sample_element(step.for_each, samples)
                title = f"each element, inside {step.name}"
                sources.append(
                    Source(
                        number, title, "item", _list_values("item", "" if item is None else item)
                    )
                )
            sources.append(
                Source(
                    number, step.title, step.name, _list_values(f"steps.{step.name}", step.sample)
                )
            )
            samples["steps"][step.name] = step.sample
        return sources

    def _copy_of(self, card: Card) -> Card:
        """Return the same step under a handle and a name of its own."""
        name = drafts.choose_step_name(card.step.action, [other.step.name for other in self.cards])
        return Card(self._free_handle(), replace(card.step, name=name), self.choices)

    def _free_handle(self) -> str:
        taken = {card.handle for card in self.cards}
        return next(handle for handle in _number_handles() if handle not in taken)

    def _with_new(self, action_key: str) -> "Builder":
        action = registry.actions.get(action_key)
        if action is None or len(self.cards) >= MAX_STEPS:
            return self
        name = drafts.choose_step_name(action_key, [card.step.name for card in self.cards])
        card = Card(
            self._free_handle(), Step(name, action_key, self._defaults(action)), self.choices
        )
        behind = next(
            (n for n, other in enumerate(self.cards, start=1) if other.handle == self.at),
            len(self.cards),
        )
        return replace(self, cards=[*self.cards[:behind], card, *self.cards[behind:]], at="")

    def _defaults(self, action: Action) -> dict[str, Any]:
        """Return default values for the action's IDs.

        They are most often the ones that the trigger gives: its record's, or its contact's.
        """
        sample = self.trigger.sample if self.trigger else {}
        ids = {name: f"{{{{ trigger.{name} }}}}" for name in sample}
        if self.trigger is not None and "resource_id" in sample:
            record = self.trigger.category.split()[0].lower()  # INVOICE, INVOICE STATE, CONTACT
            ids[f"{record}_id"] = "{{ trigger.resource_id }}"
        fields = action.form.base_fields.items()
        return {
            name: ids[name]
            for name, form_field in fields
            if isinstance(form_field, forms.UUIDField) and name in ids
        }


def _label_message(problem: Problem, label: str) -> str:
    return f"{label}: {problem.message}" if label else problem.message


def _number_handles() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"s{number}"


def _read_card(data: QueryDict, handle: str, choices: BuilderChoices) -> Card:
    prefix = f"step-{handle}"
    action = registry.actions.get(read_text(data, f"{prefix}-action"))
    values: dict[str, Any] = {}
    if action is not None:
        for name, form_field in action.form.base_fields.items():
            values[name] = _read_raw(form_field, data, f"{prefix}-{name}")
    step = Step(read_text(data, f"called-{handle}"), read_text(data, f"{prefix}-action"), values)
    return Card(handle, step, choices)


def _read_options(
    data: QueryDict, card: Card, earlier: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Card:
    """Read the options that the page sent; others are kept from the draft that was edited."""
    kept = dict(earlier.get((card.step.name, card.step.action), {}))
    form = card.options_form
    if f"{card.options_prefix}-for_each" in data:
        typed = {
            name: _read_raw(form_field, data, form.add_prefix(name))
            for name, form_field in form.fields.items()
        }
        kept = {key: option for key, option in kept.items() if key not in step_options.KEYS}
        kept |= step_options.as_stored(typed)
    limits = card.guard_form
    if limits is not None and f"{card.guard_prefix}-per_hour" in data:
        typed = {
            name: _read_raw(form_field, data, limits.add_prefix(name))
            for name, form_field in limits.fields.items()
        }
        kept.pop("guard", None)
        kept |= {"guard": guard} if (guard := guards.as_stored(typed)) else {}
    return replace(card, step=replace(card.step, options=kept))


def _read_raw(form_field: forms.Field, data: QueryDict, name: str) -> Any:
    raw = editor_widget(form_field, NOTHING).value_from_datadict(data, NO_FILES, name)
    return raw.replace("\x00", "").strip() if isinstance(raw, str) else raw


def _read_settings(data: QueryDict, trigger_key: str) -> dict[str, Any]:
    """Read the trigger's settings as typed; missing ones are initial.

    An unticked box is no setting.
    """
    trigger = registry.triggers.get(trigger_key)
    if trigger is None:
        return {}
    values = {}
    for name, form_field in trigger.form.base_fields.items():
        omitted = form_field.widget.value_omitted_from_data(data, NO_FILES, f"trigger-{name}")
        values[name] = (
            form_field.initial
            if omitted
            else form_field.widget.value_from_datadict(data, NO_FILES, f"trigger-{name}")
        )
    return {name: value for name, value in values.items() if value is not False}


def _set_editors(form: forms.Form, choices: BuilderChoices) -> None:
    for form_field in form.fields.values():
        form_field.widget = editor_widget(form_field, choices)


def _add_errors(form: forms.Form, problems: Sequence[Problem], before: str = "") -> None:
    """Add the problems to the form's fields; `before` is the prefix of their names."""
    form.cleaned_data = {}
    for problem in problems:
        name = problem.field.removeprefix(before)
        if problem.field.startswith(before) and name in form.fields:
            form.add_error(name, problem.message)


def _list_values(path: str, sample: Any) -> list[tuple[str, str]]:
    return [(f"{{{{ {name} }}}}", shown) for name, shown in timeline.flatten_values(sample, path)]
