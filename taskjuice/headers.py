"""Cache headers for answers that browsers and proxies must not keep."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

HttpHandler = Callable[[HttpRequest], HttpResponseBase]


# The names that routes give to the part of an address that grants access by itself.
KEYS = frozenset({"token", "key", "stop", "consent"})


class NoStoreMiddleware:
    """Keep pages of signed-in people, and pages whose address is a key, out of every cache.

    So the back button after signing out shows the sign-in page.
    """

    def __init__(self, get_response: HttpHandler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        # Only where the view used the session: the webhook receiver never loads one.
        match = request.resolver_match
        is_key = match is not None and not KEYS.isdisjoint(match.kwargs)
        if is_key or (request.session.accessed and request.user.is_authenticated):
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response
