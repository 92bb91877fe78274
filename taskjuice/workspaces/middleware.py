"""The person's time zone and address, and the pages about signing in where the gate asks for them."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from taskjuice.workspaces import addresses
from taskjuice.workspaces.gate import SignInRequired
from taskjuice.workspaces.two_step import TwoStepRequired


class PersonMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with addresses.remembered(request):
            return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> None:
        if request.user.is_authenticated:
            timezone.activate(request.user.timezone)
        else:
            timezone.deactivate()

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        if isinstance(exception, SignInRequired | TwoStepRequired):
            return exception.response(request)
        return None
