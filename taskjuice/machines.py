"""URLs that machines call thousands of times a minute, answered before sessions and users.

Measured: the other middleware costs such a request more than all of its own work.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, URLResolver, get_resolver

View = Callable[[HttpRequest], HttpResponse]


def mark_for_machines(view: View) -> View:
    """Mark a view as one that needs neither session nor user. Its address has no parameters."""
    view.for_machines = True  # type: ignore[attr-defined]  # a mark on a function
    return view


class MachineMiddleware:
    """The middleware right after the security headers that calls marked views directly."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        view = _views_by_path().get(request.path_info)
        return self.get_response(request) if view is None else view(request)


@cache
def _views_by_path() -> dict[str, View]:
    return dict(_list_marked(get_resolver().url_patterns, "/"))


def _list_marked(
    patterns: Iterable[URLPattern | URLResolver], prefix: str
) -> Iterator[tuple[str, View]]:
    for pattern in patterns:
        address = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from _list_marked(pattern.url_patterns, address)
        elif getattr(pattern.callback, "for_machines", False):
            yield address, pattern.callback
