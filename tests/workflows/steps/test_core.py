"""The built-in actions that wait and send e-mails."""

import smtplib
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db.models import F
from django.utils import timezone

from connections.models import Connection
from tests.factories import make_activation, make_workflow
from workflows.engine import lanes, runner
from workflows.models import Activation, StepRun
from workflows.steps.delay import DelayForm
from workflows.steps.send_email import SendEmailForm

pytestmark = pytest.mark.django_db


def run(connection: Connection, action: str, given: dict[str, Any], **trigger: Any) -> Activation:
    steps = [
        {"name": "it", "action": action, "input": given},
        {"name": "then", "action": "core/set-values", "input": {"values": {"x": "on"}}},
    ]
    workflow = make_workflow(connection.agency, connection, steps=steps)
    activation = make_activation(workflow, connection, trigger_data=trigger)
    lanes.wake_lanes([connection.pk])
    return again(activation)


def again(activation: Activation) -> Activation:
    runner.run_lane(activation.connection_id)
    activation.refresh_from_db()
    return activation


def test_delay_rests_and_goes_on(connection: Connection) -> None:
    before = timezone.now()
    activation = run(connection, "core/delay", {"length": "2", "unit": "hours"})
    assert (activation.state, activation.position) == ("ready", 1)
    assert timedelta(hours=2) <= activation.next_at - before < timedelta(hours=2, minutes=1)
    assert again(activation).state == "ready"
    Activation.objects.update(next_at=F("created_at"))
    assert again(activation).state == "succeeded"
    assert list(StepRun.objects.order_by("id").values_list("name", flat=True)) == ["it", "then"]


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("2099-12-01", None),  # more than a year away
        ("{{ trigger.due }}", "day"),
        ("2001-01-01", "past"),
    ],
)
def test_delay_until_a_day_means_its_morning_at_the_clients(
    connection: Connection, until: str, expected: str | None
) -> None:
    connection.workspace.timezone = "Pacific/Auckland"
    connection.workspace.save()
    day = (timezone.now() + timedelta(days=40)).date()
    activation = run(connection, "core/delay", {"until": until}, due=day.isoformat())
    if expected is None:
        assert (activation.state, activation.error_code) == ("failed", "input")
    elif expected == "past":
        assert activation.state == "succeeded"
    else:
        morning = datetime(day.year, day.month, day.day, 9, tzinfo=ZoneInfo("Pacific/Auckland"))
        assert (activation.state, activation.next_at) == ("ready", morning)


DELAYS = {
    "length": ({"length": "1.5", "unit": "days"}, True),
    "until with time": ({"until": "2026-12-01T14:30"}, True),
    "neither": ({}, False),
    "both": ({"length": "1", "until": "2026-12-01"}, False),
    "negative": ({"length": "-1"}, False),
    "not a number": ({"length": "NaN"}, False),
    "unknown unit": ({"length": "1", "unit": "fortnights"}, False),
    "not a date": ({"until": "soon"}, False),
    "no such day": ({"until": "2026-02-30"}, False),
}


@pytest.mark.parametrize(("given", "good"), DELAYS.values(), ids=DELAYS.keys())
def test_delay_form(given: dict[str, str], good: bool) -> None:
    assert DelayForm(data=given).is_valid() is good


def test_delay_counts_days_unless_told_otherwise() -> None:
    form = DelayForm(data={"length": "3"})
    assert form.is_valid()
    assert (form.cleaned_data["length"], form.cleaned_data["unit"]) == (Decimal(3), "days")


MAIL = {
    "to": "owner@example.com, books@example.com",
    "subject": "{{ trigger.number }} paid",
    "body": "Hello.",
}


def test_email_is_sent(connection: Connection) -> None:
    activation = run(connection, "core/send-email", MAIL, number="INV-0042")
    assert activation.state == "succeeded"
    (message,) = mail.outbox
    assert (message.to, message.subject, message.body) == (
        ["owner@example.com", "books@example.com"],
        "INV-0042 paid",
        "Hello.",
    )


def test_line_breaks_in_data_begin_no_new_header(connection: Connection) -> None:
    run(connection, "core/send-email", MAIL, number="INV\r\nBcc: everyone@example.com")
    assert mail.outbox[0].subject == "INV Bcc: everyone@example.com paid"
    assert mail.outbox[0].recipients() == ["owner@example.com", "books@example.com"]


TROUBLE = {
    "away": (ConnectionRefusedError(), "ready", "waiting"),
    "for now": (smtplib.SMTPResponseException(451, b"later"), "ready", "waiting"),
    "for good": (smtplib.SMTPResponseException(550, b"no"), "failed", "invalid"),
    "no recipient": (smtplib.SMTPRecipientsRefused({}), "failed", "invalid"),
}


@pytest.mark.parametrize(("error", "state", "code"), TROUBLE.values(), ids=TROUBLE.keys())
def test_trouble_with_the_mail_server(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str, code: str
) -> None:
    def refuse(*_: Any) -> int:
        raise error

    monkeypatch.setattr(EmailBackend, "send_messages", refuse)
    activation = run(connection, "core/send-email", MAIL, number="INV-0042")
    assert (activation.state, activation.error_code) == (state, code)


@pytest.mark.parametrize(
    "to", ["", "nobody", "a@example.com, nobody", ",".join(["a@example.com"] * 21)]
)
def test_email_form_refuses_wrong_addresses(to: str) -> None:
    form = SendEmailForm(data=MAIL | {"to": to})
    assert not form.is_valid()
    assert list(form.errors) == ["to"]
