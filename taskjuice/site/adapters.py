"""Where allauth's own words or choices are not ours."""

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator

from taskjuice.workspaces.models import User


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth publishes no types
    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        """What a new key is called unless the person names it: Key 1, Key 2 …"""
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return f"Key {number}"
