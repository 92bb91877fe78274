"""allauth's forms that take an e-mail address, with the product's own labels."""

from typing import Any

from allauth.account import forms as account
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest


class Worded:
    """A form whose address field has the product's label, without a second name inside it."""

    fields: dict[str, Any]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["login" if "login" in self.fields else "email"]
        field.label = "E-mail address"
        field.widget.attrs.pop("placeholder", None)


class LoginForm(Worded, account.LoginForm):  # type: ignore[misc]  # allauth publishes no types
    pass


class SignupForm(Worded, account.SignupForm):  # type: ignore[misc]
    def try_save(self, request: HttpRequest) -> Any:
        """Save the account, or nothing where the address has one, in the same time in both cases."""
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])
        return super().try_save(request)


class ResetPasswordForm(Worded, account.ResetPasswordForm):  # type: ignore[misc]
    pass


class AddEmailForm(Worded, account.AddEmailForm):  # type: ignore[misc]
    pass
