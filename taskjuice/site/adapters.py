"""Where allauth's own words or choices are not ours."""

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.http import HttpRequest

from taskjuice.workspaces.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth publishes no types
    def unstash_verified_email(self, request: HttpRequest) -> str | None:
        """The address that an invitation's letter has proved, if the person signs up with that one.

        Another address is verified by a letter of its own, and the account is not given the invited one as well.
        """
        proved: str | None = super().unstash_verified_email(request)
        typed = request.POST.get("email", "").strip().lower()
        return proved if proved == typed else None


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth publishes no types
    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        """What a new key is called unless the person names it: Key 1, Key 2 …"""
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return f"Key {number}"
