"""URLs that machines call thousands of times a minute: answered before sessions, people and pages
come in.

Measured: the other middleware costs such a request more than all of its own work.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, URLResolver, get_resolver

View = Callable[[HttpRequest], HttpResponse]


def for_machines(view: View) -> View:
    """Mark a view, whose addresses have no parameters, as one that needs neither session nor
    person.
    """
    view.for_machines = True  # type: ignore[attr-defined]  # a mark on a function
    return view


class MachineMiddleware:
    """Right after the security headers. Only the very addresses of marked views go this way."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        view = _views().get(request.path_info)
        return self.get_response(request) if view is None else view(request)


@cache
def _views() -> dict[str, View]:
    return dict(_marked(get_resolver().url_patterns, "/"))


def _marked(
    patterns: Iterable[URLPattern | URLResolver], prefix: str
) -> Iterator[tuple[str, View]]:
    for pattern in patterns:
        address = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from _marked(pattern.url_patterns, address)
        elif getattr(pattern.callback, "for_machines", False):
            yield address, pattern.callback
