"""When and from where a session was last used, for the list of sessions. Noted once in a while, not at each request.

allauth's own middleware writes two rows per request, and pages that keep themselves fresh ask every few seconds.
"""

from allauth.usersessions.middleware import UserSessionsMiddleware
from django.core.cache import caches
from django.http import HttpRequest, HttpResponseBase

NOTED_SECONDS = 300  # the list says when a session was last seen; nobody needs that to the second


class SessionActivityMiddleware(UserSessionsMiddleware):  # type: ignore[misc]  # allauth publishes no types
    """Each process notes a session every five minutes, and at once when its address or browser changes."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        noted, seen = caches["process"], _seen(request)
        if seen is None or noted.get(seen[0]) == seen[1]:
            response: HttpResponseBase = self.get_response(request)
            return response
        response = super().__call__(request)
        noted.set(*seen, NOTED_SECONDS)
        return response


def _seen(request: HttpRequest) -> tuple[str, tuple[str, str, int]] | None:
    """(key of the session, what of this request the list would show); None where nobody is signed in."""
    if not request.user.is_authenticated or not request.session.session_key:
        return None
    address = str(request.META.get("REMOTE_ADDR", "")), str(request.META.get("HTTP_X_FORWARDED_FOR", ""))
    agent = str(request.META.get("HTTP_USER_AGENT", ""))
    return f"session-{request.session.session_key}", (*address, hash((agent, request.user.pk)))
