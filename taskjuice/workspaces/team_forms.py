"""Forms about an agency's people."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from taskjuice.workspaces.models import Agency, InvitedRole, Membership, Role

ROLE_WORDS = {
    InvitedRole.MEMBER: "Member: works with all clients",
    InvitedRole.ADMIN: "Admin: also manages clients, connections and people",
}


class InviteForm(forms.Form):
    """The invitation of a client user: only the address."""

    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "name@example.com"}),
    )

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        return email.lower()

    def role(self) -> str:
        return InvitedRole.CLIENT


class StaffInviteForm(InviteForm):
    """The invitation of a colleague, in one of the roles that this person may give."""

    as_role = forms.ChoiceField(label="Role")

    def __init__(self, *args: Any, roles: tuple[str, ...], **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["as_role"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            (role, ROLE_WORDS[InvitedRole(role)]) for role in roles if role in ROLE_WORDS
        ]

    def role(self) -> str:
        return str(self.cleaned_data["as_role"])


class RoleForm(forms.Form):
    """A change of role. Owner is no choice: ownership is transferred."""

    role = forms.ChoiceField(choices=[(Role.ADMIN, "Admin"), (Role.MEMBER, "Member")])


class TwoStepForm(forms.Form):
    required = forms.ChoiceField(choices=[("yes", "Required"), ("no", "Optional")])


class HeirField(forms.ModelChoiceField):  # type: ignore[type-arg]  # the class takes no arguments at run time
    def label_from_instance(self, heir: Membership) -> str:
        return f"{heir.user.name} ({heir.user.email})" if heir.user.name else heir.user.email


class TransferForm(forms.Form):
    """The new owner, and the agency's name typed, so that no agency is transferred by a slip."""

    to = HeirField(
        label="New owner", queryset=Membership.objects.none(), empty_label="Choose a colleague"
    )
    name = forms.CharField(
        label="Name of the agency",
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(
        self, *args: Any, agency: Agency, heirs: "QuerySet[Membership]", **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.agency = agency
        field = self.fields["to"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = heirs
        self.fields["name"].help_text = f"Type {agency.name} to confirm."

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if " ".join(name.split()).casefold() != self.agency.name.casefold():
            raise forms.ValidationError("This is not the agency’s name.")
        return name
