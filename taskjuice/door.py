"""A limit on the requests that are worked on at once, so that `/healthz` always finds a thread.

Fewer requests are admitted than the server has threads. Where all admitted ones are stuck (a
database that hangs, bodies that drip), no request queues up behind them.
"""

import threading
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

PLACES = 8  # of the server's ten threads (`--blocking-threads`, see deploy/)
PATIENCE_SECONDS = 0.5  # to wait for a place while requests inside make progress
STUCK_SECONDS = 2.0


class Door:
    """A number of places; each request inside takes one."""

    def __init__(self, places: int = PLACES) -> None:
        self._free = threading.Semaphore(places)
        self._places = places
        self._inside: dict[int, float] = {}  # thread → when it came in

    def enter(self) -> bool:
        """Take a place and return True, or return False where none is free; `leave` gives it back."""
        patience = 0.0 if self._is_stuck() else PATIENCE_SECONDS
        if not self._free.acquire(timeout=patience):
            return False
        self._inside[threading.get_ident()] = time.monotonic()
        return True

    def leave(self) -> None:
        self._inside.pop(threading.get_ident(), None)
        self._free.release()

    def _is_stuck(self) -> bool:
        """Return whether all places have been taken for long."""
        since = list(self._inside.values())
        return len(since) >= self._places and max(since) < time.monotonic() - STUCK_SECONDS


class DoorMiddleware:
    """The middleware right after the security headers. `/healthz` needs no place."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.door = Door()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path == "/healthz":
            return self.get_response(request)
        if not self.door.enter():
            busy = "Busy. Please try again in a moment."
            return HttpResponse(
                busy, status=503, content_type="text/plain", headers={"Retry-After": "2"}
            )
        try:
            return self.get_response(request)
        finally:
            self.door.leave()
