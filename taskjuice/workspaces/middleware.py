"""Middleware for a person's sessions, time zone and address, and for the gate's exceptions."""

from collections.abc import Callable
from datetime import timedelta

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from taskjuice.workspaces import addresses, proof
from taskjuice.workspaces.gate import SignInRequired
from taskjuice.workspaces.two_step import TwoStepRequired

SEEN_EVERY = timedelta(minutes=1)


class SessionMiddleware:
    """A replacement of allauth's, which writes at every request; the page of sessions lags a
    minute.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if (
            request.user.is_authenticated
            and request.session.session_key
            and not self._was_seen(request)
        ):
            UserSession.objects.create_from_request(request)
        return self.get_response(request)

    @staticmethod
    def _was_seen(request: HttpRequest) -> bool:
        """Return whether this browser was seen at this address within the last minute."""
        longest = UserSession._meta.get_field("user_agent").max_length
        seen: bool = UserSession.objects.filter(
            session_key=request.session.session_key,
            user=request.user.pk,
            ip=get_adapter().get_client_ip(request),
            user_agent=request.headers.get("User-Agent", "")[:longest],
            last_seen_at__gt=timezone.now() - SEEN_EVERY,
        ).exists()
        return seen


class PersonMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with addresses.remembered(request):
            return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> None:
        if request.user.is_authenticated and proof.is_too_old(request):
            logout(request)
        if request.user.is_authenticated:
            timezone.activate(request.user.timezone)
        else:
            timezone.deactivate()

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        if isinstance(exception, SignInRequired | TwoStepRequired):
            return exception.response(request)
        return None
