"""Step tests in a process of their own, so that no test holds the web process's interpreter.

The web process sends the request as JSON and waits without working; the process
(step_test_process.py) has limits of time, processor time and memory, and is killed beyond them. An
agency has one test at a time, and a web process few, so that its threads stay free for others. Why
not the queue: docs/decisions/0013-step-tests.md.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.cache import cache

from taskjuice import exact_json
from taskjuice.workspaces.models import Agency, User
from workflows.builder.step_tests import StepTestResult, find_event, try_all, try_out
from workflows.definition.drafts import Draft, Step

AT_ONCE = 2  # of one web process, which has eight threads
WALL_SECONDS = 45.0  # one slow call of a step and what comes before it
CLAIM_SECONDS = 60  # longer than a test can last, should its web process die

BUSY = StepTestResult(
    "later", "Another test of your agency is running. Try it again when that one is through."
)
CROWDED = StepTestResult(
    "later", "Several tests are running at the moment. Try it again in a few seconds."
)
STOPPED = StepTestResult(
    "failed",
    "The test took too long, or too much memory, and was stopped. Test it on less, or split the step.",
)
_free = threading.BoundedSemaphore(AT_ONCE)


class NotTested(Exception):
    """No result for the steps; `trial` says why, for a person."""

    def __init__(self, trial: StepTestResult) -> None:
        super().__init__(trial.message)
        self.trial = trial


def run_step_test(
    draft: Draft,
    position: int,
    event: str,
    connections: Sequence[int],
    *,
    agency: Agency,
    user: User,
) -> StepTestResult:
    """Test the step at this position on the event, which must be of one of these connections."""
    try:
        return _request_results(draft, position, event, connections, agency, user)[0]
    except NotTested as error:
        return error.trial


def run_all_steps(
    draft: Draft, event: str, connections: Sequence[int], *, agency: Agency, user: User
) -> list[StepTestResult]:
    """Test each step on the event, up to the one that would end the run. Raise NotTested."""
    return _request_results(draft, None, event, connections, agency, user)


def _request_results(
    draft: Draft,
    position: int | None,
    event: str,
    connections: Sequence[int],
    agency: Agency,
    user: User,
) -> list[StepTestResult]:
    request = {
        "trigger": draft.trigger,
        "settings": dict(draft.settings),
        "steps": draft.steps_as_stored(),
        "position": position,
        "event": event,
        "connections": list(connections),
        "user": user.pk,
    }
    if not _free.acquire(blocking=False):
        raise NotTested(CROWDED)
    try:
        with _claim_test(agency) as is_ours:
            if not is_ours:
                raise NotTested(BUSY)
            return _read_results(ask_process(exact_json.dumps(request).encode()))
    finally:
        _free.release()


def answer_request(request: bytes) -> bytes:
    """Test one step or all of them, in the process, and return the results as JSON."""
    parameters = exact_json.loads(request)
    draft = Draft(
        parameters["trigger"],
        parameters["settings"],
        [Step.of(step) for step in parameters["steps"]],
    )
    event = find_event(parameters["connections"], draft.trigger, parameters["event"])
    if event is None:  # gone since the page was drawn
        results = [StepTestResult("failed", "This event is not there any more. Choose another.")]
    else:
        user = User.objects.get(pk=parameters["user"])
        if parameters["position"] is None:
            results = try_all(draft, event, user)
        else:
            results = [try_out(draft, parameters["position"], event, user)]
    return exact_json.dumps([asdict(trial) for trial in results]).encode()


def _run_process(request: bytes) -> bytes:
    """Return the process's output; empty where it was stopped or died of its limits."""
    command = [sys.executable, "-m", "workflows.builder.step_test_process"]
    environment = {**os.environ, "DATABASE_POOL": "false"}
    try:
        done = subprocess.run(
            command,
            input=request,
            stdout=subprocess.PIPE,
            cwd=settings.BASE_DIR,
            env=environment,
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return b""
    return done.stdout if done.returncode == 0 else b""


ask_process: Callable[[bytes], bytes] = _run_process


@contextmanager
def _claim_test(agency: Agency) -> Iterator[bool]:
    """Claim the agency's one test, in the cache that all web processes share; yield False if
    taken.
    """
    key = f"step-test-{agency.pk}"
    is_ours = bool(cache.add(key, True, CLAIM_SECONDS))
    try:
        yield is_ours
    finally:
        if is_ours:
            cache.delete(key)


def _read_results(answered: bytes) -> list[StepTestResult]:
    if not answered:
        raise NotTested(STOPPED)
    return [_read_result(result) for result in exact_json.loads(answered)]


def _read_result(stored: dict[str, Any]) -> StepTestResult:
    pairs = {
        name: [(str(path), str(text)) for path, text in stored[name]]
        for name in ("input", "output")
    }
    calls = stored["calls"]
    return replace(
        StepTestResult(**stored | pairs), calls=None if calls is None else Decimal(str(calls))
    )
