"""Forms about connections and deliveries."""

from collections.abc import Iterable
from typing import Any

from django import forms

from connections.models import Connection
from connections.providers import Tenant
from connections.webhooks.queries import VERDICTS
from taskjuice.workspaces.models import Workspace

MOMENTS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
NO_MOMENT = {"invalid": "Choose a day and a time.", "required": "Choose a day and a time."}


def _datetime_input() -> forms.DateTimeInput:
    return forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class ConnectionFilterForm(forms.Form):
    """The filters of the connection list, taken from the address. Invalid values count as no
    filter.
    """

    STATES = ("connected", "attention", "pending", "disconnected")

    state = forms.ChoiceField(choices=[(name, name) for name in STATES], required=False)
    q = forms.CharField(max_length=100, required=False)
    page = forms.CharField(max_length=10, required=False)


class DeliveryFilterForm(forms.Form):
    """The filters of the delivery list, taken from the address. Invalid values count as no filter."""

    verdict = forms.ChoiceField(choices=[(name, name) for name in VERDICTS], required=False)
    before = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)


class ReplayWindowForm(forms.Form):
    """A period of time, in the time zone of the person who types it."""

    since = forms.DateTimeField(
        label="From", widget=_datetime_input(), input_formats=MOMENTS, error_messages=NO_MOMENT
    )
    until = forms.DateTimeField(
        label="Until", widget=_datetime_input(), input_formats=MOMENTS, error_messages=NO_MOMENT
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("since") and data.get("until") and data["since"] >= data["until"]:
            self.add_error("until", "This is not after the beginning.")
        return data


class StartForm(forms.Form):
    """The client for which an organisation is to be connected."""

    workspace = forms.ModelChoiceField(
        Workspace.objects.none(),
        label="Client",
        to_field_name="slug",
        empty_label="Choose a client",
        error_messages={"invalid_choice": "Choose a client of the list."},
    )

    def __init__(self, *args: Any, workspaces: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["workspace"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = workspaces


class ChooseForm(forms.Form):
    """The organisations of a consent to connect; one is ticked already only where it is the only
    one.
    """

    tenants = forms.MultipleChoiceField(
        required=False, error_messages={"invalid_choice": "Choose organisations of the list."}
    )
    tenant_id = forms.UUIDField(
        required=False,
        label="Tenant ID",
        help_text="If the organisation is missing above, paste its tenant ID; it is checked with the provider.",
        error_messages={
            "invalid": "This is not a tenant ID. It looks like 12345678-abcd-1234-abcd-123456789012."
        },
    )

    def __init__(self, *args: Any, free: Iterable[Tenant], **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["tenants"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(str(tenant.tenant_id), tenant.name) for tenant in free]
        self.ticked = (
            set(self["tenants"].value() or ()) if self.is_bound else self._only_one(field.choices)
        )

    @staticmethod
    def _only_one(choices: Any) -> set[str]:
        values = [value for value, _ in choices]
        return set(values) if len(values) == 1 else set()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors and not data.get("tenants") and not data.get("tenant_id"):
            raise forms.ValidationError("Choose at least one organisation.")
        return data


class DisconnectForm(forms.Form):
    """The organisation's name, typed as a safeguard against disconnecting by mistake."""

    name = forms.CharField(max_length=254, label="Name of the organisation", strip=True)

    def __init__(self, *args: Any, connection: Connection, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connection = connection
        self.fields["name"].help_text = f"Type {connection.name} to confirm."
        self.fields["name"].widget.attrs["autocomplete"] = "off"

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if " ".join(name.split()).casefold() != " ".join(self.connection.name.split()).casefold():
            raise forms.ValidationError("This is not the organisation's name.")
        return name
