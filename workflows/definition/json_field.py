"""The form field behind rows of conditions, values, headers: a JSON document, read exactly."""

from typing import Any

from django import forms

from taskjuice import exact_json


class ExactJsonField(forms.JSONField):
    """Django's own lets more than a wrong letter through as an exception: too deep, a number of 5,000 digits."""

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str) or value in self.empty_values:
            return super().to_python(value)
        try:
            return exact_json.loads(value)
        except ValueError as error:
            raise forms.ValidationError("This is not JSON.", code="invalid") from error
