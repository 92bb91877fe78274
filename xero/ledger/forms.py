"""What the lists take from their addresses. A field that makes no sense is shown with its error and
not applied.
"""

from typing import Any

from django import forms
from django.http import QueryDict

DATES = ["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d %b %Y"]
LONGEST_SEARCH = 100


class _Search(forms.CharField):
    def __init__(self, placeholder: str) -> None:
        widget = forms.TextInput(
            attrs={"type": "search", "placeholder": placeholder, "aria-label": placeholder}
        )
        super().__init__(required=False, max_length=LONGEST_SEARCH, widget=widget)


class Day(forms.DateField):
    def __init__(self, label: str) -> None:
        widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        super().__init__(label=label, required=False, input_formats=DATES, widget=widget)


class _Amount(forms.DecimalField):
    def __init__(self, label: str) -> None:
        widget = forms.TextInput(attrs={"inputmode": "decimal"})
        super().__init__(
            label=label, required=False, max_digits=15, decimal_places=4, widget=widget
        )


class ListForm(forms.Form):
    """What all lists have: a search, an order, a page, a tab."""

    q = _Search("Search")
    tab = forms.CharField(required=False, max_length=20)
    sort = forms.CharField(required=False, max_length=20)
    page = forms.IntegerField(required=False, min_value=1)
    narrowing: tuple[str, ...] = ("q",)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, label_suffix="")

    def wanted(self) -> dict[str, Any]:
        """The cleaned values, and whether they are `narrow`; those of wrong fields are missing."""
        self.is_valid()
        return self.cleaned_data | {"narrow": self.is_narrow()}

    def is_narrow(self) -> bool:
        """Whether more than the tab filters the list."""
        return any(self.cleaned_data.get(name) not in (None, "") for name in self.narrowing)


class DocumentForm(ListForm):
    """Invoices and bills. `on` says which date the range is about."""

    q = _Search("Number, reference, contact or amount")
    on = forms.ChoiceField(
        label="Date", required=False, choices=[("date", "Issued"), ("due", "Due")]
    )
    since = Day("From")
    until = Day("To")
    least = _Amount("At least")
    most = _Amount("At most")
    contact = forms.UUIDField(required=False, widget=forms.HiddenInput)
    narrowing = ("q", "since", "until", "least", "most", "contact")


class PaymentForm(ListForm):
    q = _Search("Invoice number, reference, contact or amount")
    since = Day("From")
    until = Day("To")
    least = _Amount("At least")
    most = _Amount("At most")
    narrowing = ("q", "since", "until", "least", "most")


class ContactForm(ListForm):
    q = _Search("Name, person or email address")


class AccountForm(ListForm):
    q = _Search("Code or name")


class ItemForm(ListForm):
    q = _Search("Code, name or description")
