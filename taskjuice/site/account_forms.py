"""allauth's forms that ask for an e-mail address, in our words."""

from typing import Any

from allauth.account import forms as account


class Worded:
    """The field of the address is called as everywhere else in the product, without a second name inside it."""

    fields: dict[str, Any]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["login" if "login" in self.fields else "email"]
        field.label = "E-mail address"
        field.widget.attrs.pop("placeholder", None)


class LoginForm(Worded, account.LoginForm):  # type: ignore[misc]  # allauth publishes no types
    pass


class SignupForm(Worded, account.SignupForm):  # type: ignore[misc]
    pass


class ResetPasswordForm(Worded, account.ResetPasswordForm):  # type: ignore[misc]
    pass


class AddEmailForm(Worded, account.AddEmailForm):  # type: ignore[misc]
    pass
