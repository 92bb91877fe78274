"""The built-in actions without effects: filter, note and named values."""

from typing import ClassVar

from django import forms

from connections.integrations import Action, ActionContext, Data, Done, Failed, Outcome, Stopped
from taskjuice.text_fields import LongTextField
from workflows.definition import conditions
from workflows.definition.expressions import ExpressionError
from workflows.definition.fields import ConditionField, ValuesField


class FilterForm(forms.Form):
    condition = ConditionField(label="Go on only if")


class Filter(Action):
    """An action that stops the activation unless its condition holds."""

    key = "core/filter"
    title = "Stop unless"
    description = "Goes on only if the condition holds; otherwise the activation stops here, and that is fine."
    form = FilterForm
    raw = True  # the condition evaluates its own fields, so that emptiness can be asked about
    together = 1  # each may take its whole budget: a turn of the lane ends between two of them
    sample: ClassVar[Data] = {"passed": True}

    def outcome(self, call: ActionContext, data: Data) -> Outcome:
        try:
            good, reason = conditions.check_condition(data["condition"], call.context)
        except ExpressionError as error:
            return Failed("expression", str(error))
        return Done({"passed": True}) if good else Stopped(reason[:300], {"passed": False})


class NoteForm(forms.Form):
    text = LongTextField(
        label="Note",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For example: Checked for {{ trigger.organisation }}. It stands on the activation and in the list.",
    )

    def clean_text(self) -> str:
        """Return the text on one line, as the list shows it."""
        return " ".join(self.cleaned_data["text"].split())


class Note(Action):
    """An action that adds a text to the activation."""

    key = "core/note"
    title = "Note"
    description = "Puts a text on the activation, for whoever looks at it and in the list."
    form = NoteForm
    sample: ClassVar[Data] = {"note": "INV-0042 is over 1,000"}

    def outcome(self, call: ActionContext, data: Data) -> Outcome:
        return Done({"note": data["text"]}, note=data["text"])


class SetValuesForm(forms.Form):
    values = ValuesField(label="Values")


class SetValues(Action):
    """An action that names values for later steps."""

    key = "core/set-values"
    title = "Set values"
    description = "Works values out and names them for later steps."
    form = SetValuesForm
    free = True
    sample: ClassVar[Data] = {"total": "1150.00"}

    def run(self, call: ActionContext, data: Data) -> Data:
        return dict(data["values"])
