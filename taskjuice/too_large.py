"""The answer to a form that is larger than any page lets a person fill in."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

FORM_TYPE = "application/x-www-form-urlencoded"


class TooLargeMiddleware:
    """The middleware before the check of CSRF tokens, which is what reads a form first.

    Bodies other than forms are read by their views.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, *_: Any) -> HttpResponse | None:
        if request.content_type != FORM_TYPE or getattr(view, "csrf_exempt", False):
            return None
        try:
            request.POST  # noqa: B018 - it is read and parsed here
        except (RequestDataTooBig, TooManyFieldsSent):
            request._mark_post_parse_error()  # type: ignore[attr-defined]  # so that it is not parsed again
        else:
            return None
        is_part = request.headers.get("HX-Request") == "true"
        return render(request, "_too_large.html" if is_part else "413.html", status=413)
