"""Every error code has its own advice, and only failures that may change are tried again."""

import re

import pytest
from django.test import Client

from connections import errors
from taskjuice.workspaces.models import Workspace
from tests.environment import ROOT
from tests.factories import make_activation, make_connection, make_workflow
from workflows.engine import lanes, runner
from workflows.engine.error_advice import ADVICE, NAMES, OTHER, advice_for, name_for
from workflows.models import Activation, StepRun

CODES = re.compile(r'(?:\bFailed|StepError|\.fail)\(\s*\n?\s*"([a-z-]+)"')
NO_OUTCOMES = {
    "unknown-outcome",
    "try-later",
}  # of errors: they become other outcomes, with codes of their own


def codes_in_the_source() -> set[str]:
    files = [
        path
        for folder in ("connections", "workflows", "xero")
        for path in (ROOT / folder).rglob("*.py")
        if "sandbox" not in path.parts
    ]
    found = {code for path in files for code in CODES.findall(path.read_text())}
    kinds = [errors.ProviderError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return found | {kind.code for kind in kinds} | {"not-done", "credentials", "unknown-outcome"}


def test_each_code_has_its_advice() -> None:
    found = codes_in_the_source()
    assert {"address", "not-permitted", "gave-up", "expression", "held"} <= found
    assert sorted(found - ADVICE.keys()) == []
    assert NAMES.keys() == ADVICE.keys()


def test_unheard_of_code_has_words_too() -> None:
    assert advice_for("something-new") == OTHER
    assert name_for("something-new") == "something-new"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "secret", "code"),
    [
        ("https://10.0.0.1/in", "", "address"),
        ("https://api.example.com/in", "gone", "secret"),
    ],
)
def test_refused_address_and_missing_secret_are_not_tried_again(
    workspace: Workspace, url: str, secret: str, code: str
) -> None:
    connection = make_connection(workspace)
    headers = [{"name": "Authorization", "value": "Bearer", "secret": secret}] if secret else []
    given = {"method": "POST", "url": url, "json": "{}", "headers": headers}
    step = {"name": "call", "action": "core/http-request", "input": given}
    step["on_error"] = {"then": "stop", "times": 3, "seconds": 10}
    activation = make_activation(
        make_workflow(connection.agency, connection, steps=[step]), connection
    )
    lanes.wake_lanes([connection.pk])
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, StepRun.objects.count()) == ("failed", 1)
    assert activation.error_code in {code, "input"}


@pytest.mark.django_db
def test_missing_right_in_xero_is_told_as_such_with_reconnect(
    as_member: Client, workspace: Workspace
) -> None:
    connection = make_connection(workspace, name="Harbour Café Limited")
    activation = make_activation(make_workflow(connection.agency, connection, steps=[]), connection)
    Activation.objects.filter(pk=activation.pk).update(
        state="failed", error_code="not-permitted", error="payment: The role does not allow this."
    )
    page = as_member.get(f"/northwind/harbour-cafe/activations/{activation.pk}/").content.decode()
    assert "reconnect as somebody whose role allows it" in page
    assert (
        f'href="/northwind/harbour-cafe/connections/{connection.pk}/">Reconnect Harbour Café Limited'
        in page
    )
    assert "Correct the record in Xero" not in page
