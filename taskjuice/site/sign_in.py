"""Sign in with Xero, by allauth's OpenID Connect provider (README: Sign in with Xero)."""

from typing import Any

import requests
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.core.cache import cache
from django.http import HttpRequest
from django.utils import timezone

from taskjuice.site import xero_proof
from taskjuice.workspaces.models import User


class Remembering(requests.Session):
    """A provider that keeps Xero's configuration for a day, with timeouts on each call.

    Xero's firewall refuses clients that request it often.
    """

    WELL_KNOWN = "/.well-known/openid-configuration"
    FOR = 24 * 3600
    TIMEOUT = (5, 20)  # to connect, to answer

    def request(
        self, method: str | bytes, url: str | bytes, *args: Any, **options: Any
    ) -> requests.Response:
        options.setdefault("timeout", self.TIMEOUT)
        address = url if isinstance(url, str) else url.decode()
        if str(method).upper() != "GET" or not address.endswith(self.WELL_KNOWN):
            return super().request(method, url, *args, **options)
        name = f"sign-in:{address}"
        if (kept := cache.get(name)) is not None:
            return _answer(kept)
        response = super().request(method, url, *args, **options)
        if response.status_code == 200:
            cache.set(name, response.content, self.FOR)
        return response


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth publishes no types
    """An adapter by which a Xero identity opens the account linked to it, or a new one."""

    def get_requests_session(self) -> requests.Session:
        return Remembering()

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        xero_proof.take(request, sociallogin)

    def new_user(self, request: HttpRequest, sociallogin: SocialLogin) -> User:
        """Return the new user with every value set: allauth keeps it in the session before it is
        stored.
        """
        user: User = super().new_user(request, sociallogin)
        user.date_joined = timezone.now()
        return user

    def populate_user(
        self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]
    ) -> User:
        user: User = super().populate_user(request, sociallogin, data)
        names = [str(data.get(part) or "") for part in ("first_name", "last_name")]
        user.name = " ".join(filter(None, names))[:100]
        return user


def _answer(content: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content = 200, content
    return response
