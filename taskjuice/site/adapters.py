"""allauth's adapters, changed where its texts or choices do not suit the product."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from taskjuice.site import xero_proof
from taskjuice.workspaces import addresses
from taskjuice.workspaces.models import User

NO_ADDRESS = "0.0.0.0"  # noqa: S104 - listens nowhere: it stands for a client whose address nobody knows


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth publishes no types
    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address that limits are counted by; clients without a known one share theirs.

        allauth's own reading refuses the sign-in where a proxy writes a port or `unknown`.
        """
        return addresses.address_of(request) or NO_ADDRESS

    def unstash_verified_email(self, request: HttpRequest) -> str | None:
        """Return the address that an invitation's e-mail has proved, if the person signs up with
        it.

        Another address is verified by an e-mail of its own, and the account is not given the
        invited one as well.
        """
        proved: str | None = super().unstash_verified_email(request)
        typed = request.POST.get("email", "").strip().lower()
        return proved if proved == typed else None

    def get_reauthentication_methods(self, user: User | AnonymousUser) -> list[dict[str, Any]]:
        """Return allauth's methods, and Xero for people who sign in with it."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        return methods + (xero_proof.methods_of(user) if isinstance(user, User) else [])


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth publishes no types
    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        """Return the name of a new key that the person has not named: Key 1, Key 2 …"""
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return f"Key {number}"
