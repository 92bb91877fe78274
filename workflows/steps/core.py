"""The built-in actions."""

from typing import Any, ClassVar

from django import forms

from connections.integrations import Action, Call, Data, Done, Failed, Outcome, Stopped
from taskjuice.text_fields import LongTextField
from workflows.definition import conditions
from workflows.definition.drafts import named_values
from workflows.definition.expressions import ExpressionError
from workflows.definition.json_field import ExactJsonField

CONDITION_SHAPE = 'Give {"match": "all" or "any", "rows": [{"field": …, "operator": …, "value": …}]}.'


class ConditionField(ExactJsonField):
    """A condition as the builder saves it. Fields and values are evaluated when it runs, not before."""

    def to_python(self, value: Any) -> Any:
        found = super().to_python(value)
        if found in self.empty_values:
            return found
        if not isinstance(found, dict) or found.get("match") not in ("all", "any"):
            raise forms.ValidationError(CONDITION_SHAPE)
        rows = found.get("rows")
        if not isinstance(rows, list) or not 1 <= len(rows) <= 20:
            raise forms.ValidationError("Give between 1 and 20 conditions.")
        for row in rows:
            self._check_row(row)
        return found

    def _check_row(self, row: Any) -> None:
        if not isinstance(row, dict) or not str(row.get("field", "")).strip():
            raise forms.ValidationError("Each condition needs a field to look at.")
        if row.get("operator") not in list(conditions.OPERATORS):
            raise forms.ValidationError("Choose one of the operators.")
        if row["operator"] not in conditions.WITHOUT_VALUE and not str(row.get("value", "")).strip():
            raise forms.ValidationError("Each condition needs a value to compare with.")


class FilterForm(forms.Form):
    condition = ConditionField(label="Go on only if")


class Filter(Action):
    """Stops the activation unless its condition holds."""

    key = "core/filter"
    title = "Stop unless"
    description = (
        "Goes on only if the condition holds; otherwise the activation stops here, and that is fine."
    )
    form = FilterForm
    raw = True  # the condition evaluates its own fields, so that emptiness can be asked about
    together = 1  # each may take its whole budget: a turn of the lane ends between two of them
    sample: ClassVar[Data] = {"passed": True}

    def outcome(self, call: Call, data: Data) -> Outcome:
        try:
            good, reason = conditions.holds(data["condition"], call.context)
        except ExpressionError as error:
            return Failed("expression", str(error))
        return Done({"passed": True}) if good else Stopped(reason[:300], {"passed": False})


class ValuesField(ExactJsonField):
    """Rows {"name", "value"}, or a mapping as older versions hold them; cleaned to a mapping in their order."""

    def to_python(self, value: Any) -> Any:
        found = super().to_python(value)
        if found in self.empty_values:
            return found
        values = named_values(found)
        if not 1 <= len(values) <= 50:
            raise forms.ValidationError("Give between 1 and 50 names with their values.")
        if isinstance(found, list) and len(found) != len(values):
            raise forms.ValidationError("A name is given twice.")
        if not all(name.isidentifier() and len(name) <= 60 for name in values):
            raise forms.ValidationError(
                "A name is letters, digits and underscores, and does not begin with a digit."
            )
        return values


class NoteForm(forms.Form):
    text = LongTextField(
        label="Note",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For example: Checked for {{ trigger.organisation }}. It stands on the activation and in the list.",
    )

    def clean_text(self) -> str:
        """One line, as it stands in the list."""
        return " ".join(self.cleaned_data["text"].split())


class Note(Action):
    """Puts a text on the activation."""

    key = "core/note"
    title = "Note"
    description = "Puts a text on the activation, for whoever looks at it and in the list."
    form = NoteForm
    sample: ClassVar[Data] = {"note": "INV-0042 is over 1,000"}

    def outcome(self, call: Call, data: Data) -> Outcome:
        return Done({"note": data["text"]}, note=data["text"])


class SetValuesForm(forms.Form):
    values = ValuesField(label="Values")


class SetValues(Action):
    """Names values for later steps."""

    key = "core/set-values"
    title = "Set values"
    description = "Works values out and names them for later steps."
    form = SetValuesForm
    free = True
    sample: ClassVar[Data] = {"total": "1150.00"}

    def run(self, call: Call, data: Data) -> Data:
        return dict(data["values"])
