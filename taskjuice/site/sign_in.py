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
    """Xero's firewall refuses those who ask for its configuration often, so it is kept for a day.
    No call hangs.
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
    """A Xero identity opens the account that its owner linked while signed in, or a new one. Never
    another's.
    """

    def get_requests_session(self) -> requests.Session:
        return Remembering()

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        xero_proof.take(request, sociallogin)

    def new_user(self, request: HttpRequest, sociallogin: SocialLogin) -> User:
        """allauth keeps it in the session while the password is asked for: no value may be left to
        the database.
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
