"""allauth's forms that ask for an e-mail address, in our words."""

from typing import Any

from allauth.account import forms as account
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest


class Worded:
    """The field of the address is called as everywhere else in the product, without a second name
    inside it.
    """

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
        """For an address that has an account nothing is made; the time it takes must not tell that."""
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])
        return super().try_save(request)


class ResetPasswordForm(Worded, account.ResetPasswordForm):  # type: ignore[misc]
    pass


class AddEmailForm(Worded, account.AddEmailForm):  # type: ignore[misc]
    pass
