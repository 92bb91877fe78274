"""Forms about connect links."""

from typing import Any

from django import forms

from connections.models import Connection
from taskjuice.text_fields import LongTextField
from taskjuice.workspaces.models import Workspace


class LinkFilterForm(forms.Form):
    """The filters of the list, taken from the address. Invalid values count as no filter."""

    state = forms.ChoiceField(
        choices=[(name, name) for name in ("open", "connected", "ended")], required=False
    )
    q = forms.CharField(max_length=100, required=False)


class LinkForm(forms.Form):
    """The client, the recipient, and the organisation where one that is connected is to be
    reconnected.
    """

    workspace = forms.ModelChoiceField(
        Workspace.objects.none(),
        label="Client",
        to_field_name="slug",
        empty_label="Choose a client",
        error_messages={"invalid_choice": "Choose a client of the list."},
    )
    email = forms.EmailField(
        label="E-mail address",
        required=False,
        max_length=254,
        help_text="Of the person who may connect apps in the client’s Xero. Left empty, you get a link to copy.",
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    reconnects = forms.ModelChoiceField(
        Connection.objects.none(),
        label="Which organisation",
        required=False,
        empty_label="A new one",
        error_messages={"invalid_choice": "Choose an organisation of the list."},
    )

    def __init__(
        self, *args: Any, workspaces: Any, workspace: Workspace | None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        if workspace is None:
            self._narrow("workspace", workspaces)
            del self.fields["reconnects"]
        else:
            self._narrow("reconnects", workspace.connections.order_by("name", "pk"))
            del self.fields["workspace"]

    def _narrow(self, name: str, rows: Any) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = rows


class DeclineForm(forms.Form):
    """The reason for not connecting, in the recipient's own words."""

    reason = LongTextField(
        max_length=300,
        required=False,
        label="Why not?",
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class ReconnectForm(forms.Form):
    """One address per broken connection. No e-mail is sent where it is left empty.

    `known` are the suggested addresses by connection, `asked` the recipients who have an open link
    about it and are not suggested again.
    """

    def __init__(
        self,
        *args: Any,
        connections: list[Connection],
        known: dict[int, str],
        asked: dict[int, str],
    ) -> None:
        super().__init__(*args)
        self.connections = connections
        for connection in connections:
            waited_for = asked.get(connection.pk)
            self.fields[self.name_of(connection)] = forms.EmailField(
                required=False,
                max_length=254,
                label=f"{connection.workspace.name}: {connection.name}",
                initial="" if waited_for else known.get(connection.pk, ""),
                help_text=f"{waited_for} has an open link for it." if waited_for else "",
                widget=forms.EmailInput(attrs={"autocomplete": "off"}),
            )

    def settle(self, connection: Connection) -> None:
        """Remove a connection whose e-mail is out, so that only the others are shown from now on."""
        self.connections = [each for each in self.connections if each != connection]
        del self.fields[self.name_of(connection)]

    @staticmethod
    def name_of(connection: Connection) -> str:
        return f"email-{connection.pk}"

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors and not any(data.values()):
            raise forms.ValidationError("Give at least one e-mail address.")
        return data

    @property
    def wanted(self) -> list[tuple[Connection, str]]:
        """Return the connections with the addresses to write to, after validation."""
        found = ((each, self.cleaned_data[self.name_of(each)]) for each in self.connections)
        return [(connection, email) for connection, email in found if email]
