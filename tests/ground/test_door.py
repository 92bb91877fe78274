"""The door: some threads stay free, whatever holds up the others."""

import threading
import time

import pytest
from django.http import HttpRequest, HttpResponse

from taskjuice import door
from taskjuice.door import Door, DoorMiddleware


def test_healthz_is_answered_while_all_places_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE_SECONDS", 0.05)
    inside, let_go = threading.Semaphore(0), threading.Event()

    def hang(request: HttpRequest) -> HttpResponse:
        if request.path == "/slow":
            inside.release()
            assert let_go.wait(10)
        return HttpResponse(request.path)

    middleware = DoorMiddleware(hang)
    threads = [
        threading.Thread(target=middleware, args=(_request("/slow"),)) for _ in range(door.PLACES)
    ]
    for thread in threads:
        thread.start()
        assert inside.acquire(timeout=10)
    assert middleware(_request("/healthz")).status_code == 200
    refused = middleware(_request("/"))
    assert (refused.status_code, refused["Retry-After"]) == (503, "2")
    let_go.set()
    for thread in threads:
        thread.join()
    assert middleware(_request("/")).status_code == 200


def test_nobody_waits_for_a_place_among_those_that_are_stuck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "PATIENCE_SECONDS", 30.0)
    monkeypatch.setattr(door, "STUCK_SECONDS", 0.0)
    one = Door(places=1)
    assert one.enter()
    began = time.monotonic()
    assert not one.enter()
    assert time.monotonic() - began < 5
    one.leave()
    assert one.enter()


def _request(path: str) -> HttpRequest:
    request = HttpRequest()
    request.path = path
    return request
