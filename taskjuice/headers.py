"""Answers that browsers and proxies must not keep."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

HttpHandler = Callable[[HttpRequest], HttpResponseBase]


# What routes call the part of an address that opens something by itself.
KEYS = frozenset({"token", "key", "stop", "consent"})


class NoStoreMiddleware:
    """Pages of a signed-in person are not kept: the back button after signing out shows the sign-in
    page.

    Neither are those whose address is a key, whoever looks.
    """

    def __init__(self, get_response: HttpHandler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        # Only where the view looked who asks; the webhook receiver never loads a session.
        match = request.resolver_match
        is_key = match is not None and not KEYS.isdisjoint(match.kwargs)
        if is_key or (request.session.accessed and request.user.is_authenticated):
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response
