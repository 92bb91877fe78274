"""What is shipped for an operator's monitoring names figures that exist and pages that are there."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.test import Client

from tests.environment import ROOT

FOLDER = ROOT / "deploy" / "monitoring"
TOKEN = "a-token-of-more-than-twenty-letters"


def alert_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in alert_rules())
    for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


@pytest.mark.django_db
def test_alerts_and_dashboard_ask_for_figures_that_are_given(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    answer = Client().get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    given = set(re.findall(r"^# TYPE (\w+)", answer.content.decode(), re.MULTILINE))
    asked = {name for text in expressions() for name in re.findall(r"\btaskjuice_\w+", text)}
    assert len(asked) > 15
    assert sorted(asked - given) == []


def test_each_alarm_has_its_runbook_page_and_each_page_its_alarm() -> None:
    pages = {rule["annotations"]["runbook_url"]: rule["alert"] for rule in alert_rules()}
    titles = {
        str(path.relative_to(ROOT)): path.read_text().splitlines()[0].removeprefix("# ")
        for path in (ROOT / "docs" / "runbooks").glob("*.md")
    }
    assert pages == titles
