"""The filter forms of the lists, filled from the query string. A field that does not validate is
shown with its error and not applied.
"""

from typing import Any

from django import forms
from django.http import QueryDict

DATES = ["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d %b %Y"]
LONGEST_SEARCH = 100


class _SearchField(forms.CharField):
    def __init__(self, placeholder: str) -> None:
        widget = forms.TextInput(
            attrs={"type": "search", "placeholder": placeholder, "aria-label": placeholder}
        )
        super().__init__(required=False, max_length=LONGEST_SEARCH, widget=widget)


class DateInputField(forms.DateField):
    def __init__(self, label: str) -> None:
        widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        super().__init__(label=label, required=False, input_formats=DATES, widget=widget)


class _AmountField(forms.DecimalField):
    def __init__(self, label: str) -> None:
        widget = forms.TextInput(attrs={"inputmode": "decimal"})
        super().__init__(
            label=label, required=False, max_digits=15, decimal_places=4, widget=widget
        )


class ListForm(forms.Form):
    """The fields that all lists share: a search, a tab, an order, a page."""

    q = _SearchField("Search")
    tab = forms.CharField(required=False, max_length=20)
    sort = forms.CharField(required=False, max_length=20)
    page = forms.IntegerField(required=False, min_value=1)
    narrowing: tuple[str, ...] = ("q",)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, label_suffix="")

    def read_filters(self) -> dict[str, Any]:
        """Return the cleaned values and `narrow`; fields that did not validate are missing."""
        self.is_valid()
        return self.cleaned_data | {"narrow": self.is_narrow()}

    def is_narrow(self) -> bool:
        """Return True if more than the tab filters the list."""
        return any(self.cleaned_data.get(name) not in (None, "") for name in self.narrowing)


class DocumentListForm(ListForm):
    """The filters of invoices and bills. `on` names the date that `since` and `until` apply to."""

    q = _SearchField("Number, reference, contact or amount")
    on = forms.ChoiceField(
        label="Date", required=False, choices=[("date", "Issued"), ("due", "Due")]
    )
    since = DateInputField("From")
    until = DateInputField("To")
    least = _AmountField("At least")
    most = _AmountField("At most")
    contact = forms.UUIDField(required=False, widget=forms.HiddenInput)
    narrowing = ("q", "since", "until", "least", "most", "contact")


class PaymentListForm(ListForm):
    q = _SearchField("Invoice number, reference, contact or amount")
    since = DateInputField("From")
    until = DateInputField("To")
    least = _AmountField("At least")
    most = _AmountField("At most")
    narrowing = ("q", "since", "until", "least", "most")


class ContactListForm(ListForm):
    q = _SearchField("Name, person or email address")


class AccountListForm(ListForm):
    q = _SearchField("Code or name")


class ItemListForm(ListForm):
    q = _SearchField("Code, name or description")
