"""`/metrics`: off without a token, closed to a wrong one, Prometheus text for the right one."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

import taskjuice
from connections.models import Delivery, DeliveryState
from taskjuice import environment
from taskjuice.queue import heartbeat
from taskjuice.site.metrics import METRICS
from taskjuice.workspaces.models import Agency, Workspace
from tests.factories import make_activation, make_connection, make_delivery, make_workflow

pytestmark = pytest.mark.django_db
TOKEN = "a-token-of-more-than-twenty-letters"
LINE = re.compile(r'[a-z_]+(\{[a-z]+="[^"\n]*"\})? -?\d+(\.\d+)?(e[-+]?\d+)?')


def ask(token: str = TOKEN) -> Any:
    return Client().get("/metrics", headers={"authorization": f"Bearer {token}"})


def test_without_a_token_there_is_no_such_page() -> None:
    assert ask("").status_code == 404


def test_wrong_token_is_refused(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert (ask("wrong").status_code, Client().get("/metrics").status_code) == (401, 401)


def test_figures_are_prometheus_text(settings: Any, agency: Agency, workspace: Workspace) -> None:
    settings.METRICS_TOKEN = TOKEN
    link = make_connection(workspace)
    make_activation(make_workflow(agency, link), link)
    late = make_delivery(answer_ms=3.5, state=DeliveryState.WAITING)
    Delivery.objects.filter(pk=late.pk).update(received_at=timezone.now() - timedelta(minutes=11))
    make_delivery(answer_ms=3.5, state=DeliveryState.DONE)
    heartbeat.record_heartbeat('host "one"')
    answer = ask()
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.content.decode().splitlines()
    wrong = [
        line
        for line in lines
        if not line.startswith("# ") and not LINE.fullmatch(line.replace('\\"', ""))
    ]
    assert wrong == []
    assert {name for name, *_ in METRICS} <= {
        line.split()[2] for line in lines if line.startswith("# TYPE")
    }
    for expected in (
        f'taskjuice_info{{version="{taskjuice.__version__}"}} 1.0',
        "taskjuice_database_up 1.0",
        'taskjuice_database_pool{state="waited_for"} 0.0',
        "taskjuice_deliveries_waiting 1.0",
        'taskjuice_delivery_answer_milliseconds{quantile="0.95"} 3.5',
        'taskjuice_activations_open{state="ready"} 1.0',
        'taskjuice_activations_last_hour{state="ready"} 1.0',
        'taskjuice_connections{state="active"} 1.0',
        'taskjuice_workflows{state="published"} 1.0',
        'taskjuice_worker_restarts_total{node="host \\"one\\""} 0.0',
        'taskjuice_outcomes_overdue{kind="delivery"} 1.0',
    ):
        assert expected in lines


def test_scraper_may_come_to_the_nodes_own_address(settings: Any) -> None:
    settings.METRICS_TOKEN, settings.ALLOWED_HOSTS = TOKEN, ["app.example.com"]
    answer = Client(SERVER_NAME="10.0.0.7").get(
        "/metrics", headers={"authorization": f"Bearer {TOKEN}"}
    )
    assert answer.status_code == 200


def test_figures_come_without_a_database_too(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.METRICS_TOKEN = TOKEN

    def fail(*_: Any) -> None:
        raise OperationalError("server secret.example is away")

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", fail)
    lines = ask().content.decode().splitlines()
    assert "taskjuice_database_up 0.0" in lines
    assert [
        line
        for line in lines
        if "secret.example" in line or line.startswith("taskjuice_connections")
    ] == []


def test_short_token_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_TOKEN", "short")
    with pytest.raises(ImproperlyConfigured):
        environment.read_metrics_token()
