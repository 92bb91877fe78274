"""Two organisations of one client in two time zones: each has its own day, on every page, in steps
and in schedules.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from connections import organisation_time
from connections.models import Connection, Event
from taskjuice.queue import clock
from taskjuice.workspaces.models import Agency, Workspace
from tests.factories import (
    make_activation,
    make_client_user,
    make_connection,
    make_grant,
    make_user,
    make_workflow,
)
from tests.xero.ledger.test_queries import invoice
from tests.xero.ledger.test_records import HERE, page
from tests.xero.sync.test_changes import listening
from workflows.engine import lanes, runner
from workflows.models import StepRun, WorkflowConnection
from workflows.triggers import runner as trigger_runner
from xero.models import Ledger
from xero.sync import overdue, upsert
from xero.sync import schedule as sync_schedule

pytestmark = pytest.mark.django_db

# In Auckland it is the morning of the 30th, in New York the afternoon of the 29th.
NOW = datetime(2026, 11, 29, 21, 24, 32, tzinfo=UTC)
EASTERN = ZoneInfo("America/New_York")


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def auckland(workspace: Workspace) -> Connection:
    workspace.timezone = "Pacific/Auckland"
    workspace.save()
    return organisation(workspace, "First", "Pacific/Auckland")


@pytest.fixture
def new_york(auckland: Connection) -> Connection:
    return organisation(auckland.workspace, "Second", "America/New_York")


def organisation(workspace: Workspace, name: str, zone: str) -> Connection:
    grant = make_grant(
        scopes=["accounting.transactions", "accounting.contacts", "accounting.settings"]
    )
    found = make_connection(
        workspace, name=name, grant=grant, details={"currency": "NZD", "timezone": zone}
    )
    sync_schedule.start_reading(found)
    Ledger.objects.filter(pk=found.pk).update(
        base_currency="NZD", finished_at=NOW, first_finished_at=NOW
    )
    return found


def due_yesterday_in_new_york(connection: Connection) -> dict[str, Any]:
    body = invoice(str(uuid4())[:8], DueDateString="2026-11-28T00:00:00")
    upsert.store_records(connection, "invoices", [body])
    return body


def test_day_is_the_organisations_and_the_clients_where_its_own_is_not_known(
    auckland: Connection, new_york: Connection
) -> None:
    assert organisation_time.today_in(auckland) == date(2026, 11, 30)
    assert organisation_time.today_in(new_york) == date(2026, 11, 29)
    for unknown in (
        {},
        {"timezone": ""},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../etc"},
        {"timezone": 7},
    ):
        new_york.details = unknown
        assert organisation_time.today_in(new_york) == date(2026, 11, 30)


def test_new_document_is_offered_the_organisations_day(
    as_member: Client, auckland: Connection, new_york: Connection
) -> None:
    for path in ("invoices", "bills"):
        offered = [
            page(as_member, f"{path}/new/?organisation={one.pk}").partition('name="date"')[2][:200]
            for one in (auckland, new_york)
        ]
        assert ['value="2026-11-30"' in offered[0], 'value="2026-11-29"' in offered[1]] == [
            True,
            True,
        ]


def test_new_payment_is_offered_the_organisations_day(
    as_member: Client, new_york: Connection
) -> None:
    body = due_yesterday_in_new_york(new_york)
    text = page(as_member, f"payments/new/?invoice={body['InvoiceID']}")
    assert 'value="2026-11-29"' in text


def test_days_overdue_are_the_organisations_whoever_looks(
    auckland: Connection, new_york: Connection, agency: Agency
) -> None:
    """The person who looks lives in Auckland."""
    reader = make_client_user(auckland.workspace, user=make_user(timezone="Pacific/Auckland"))
    browser = Client()
    browser.force_login(reader)
    for connection, days in ((auckland, "2 days overdue"), (new_york, "1 day overdue")):
        body = due_yesterday_in_new_york(connection)
        assert days in page(browser, f"invoices/{body['InvoiceID']}/")
        assert days in page(browser, f"invoices/?organisation={connection.pk}")
        assert days in page(browser, f"contacts/{contact_of(connection, body)}/")


def contact_of(connection: Connection, body: dict[str, Any]) -> str:
    contact = body["Contact"] | {"UpdatedDateUTC": body["UpdatedDateUTC"]}
    upsert.store_records(connection, "contacts", [contact])
    return str(contact["ContactID"])


@pytest.mark.parametrize("query", ["by=invoice", "by=invoice&on=2026-11-30", "by=contact"])
def test_receivables_age_each_organisation_by_its_own_day(
    as_member: Client, auckland: Connection, new_york: Connection, query: str
) -> None:
    for connection in (auckland, new_york):
        due_yesterday_in_new_york(connection)
    context = as_member.get(f"{HERE}/receivables/?{query}").context
    found = {row.organisation.name: row.late_days for row, _ in context["rows"]}
    assert found == {"First": 2, "Second": 1}
    assert context["ageing"].on == date(2026, 11, 30)


def test_what_is_due_today_is_not_overdue_where_it_is_still_today(
    as_member: Client, auckland: Connection, new_york: Connection
) -> None:
    for connection in (auckland, new_york):
        body = invoice(str(uuid4())[:8], DueDateString="2026-11-29T00:00:00")
        upsert.store_records(connection, "invoices", [body])
    context = as_member.get(f"{HERE}/receivables/?by=invoice").context
    assert {row.organisation.name: row.overdue for row, _ in context["rows"]} == {
        "First": Decimal(115),
        "Second": Decimal(0),
    }
    assert {row.due for row, _ in context["rows"]} == {date(2026, 11, 29)}
    narrowed = as_member.get(f"{HERE}/receivables/?organisation={new_york.pk}").context
    assert narrowed["ageing"].on == date(2026, 11, 29)


def test_overdue_trigger_waits_for_the_organisations_morning(
    auckland: Connection, new_york: Connection
) -> None:
    """In New York it is the afternoon of the first day overdue, in Auckland the morning of the
    second.
    """
    for connection in (auckland, new_york):
        listening(
            connection, overdue.TRIGGER, since=NOW - timedelta(days=9), days=2, documents="ACCREC"
        )
        due_yesterday_in_new_york(connection)
    overdue.announce_overdue()
    assert list(Event.objects.values_list("connection__name", flat=True)) == ["First"]


def test_today_in_an_expression_is_the_organisations(
    auckland: Connection, new_york: Connection
) -> None:
    values = {"day": "{{ 'today' | date: '%Y-%m-%d' }}"}
    step = {"action": "core/set-values", "name": "set", "input": {"values": values}}
    for connection, day in ((auckland, "2026-11-30"), (new_york, "2026-11-29")):
        workflow = make_workflow(connection.agency, connection, steps=[step])
        activation = make_activation(workflow, connection)
        lanes.wake_lanes([connection.pk])
        runner.run_lane(connection.pk)
        assert StepRun.objects.get(activation=activation).output == {"day": day}


def test_schedule_goes_by_the_organisations_clock_and_follows_a_new_zone(
    new_york: Connection,
) -> None:
    listening(new_york, "core/schedule", every="day", at="09:00")
    trigger_runner.start_due()
    application = WorkflowConnection.objects.get(connection=new_york)
    assert application.due_at == datetime(2026, 11, 30, 9, tzinfo=EASTERN)
    new_york.details = {"timezone": "Europe/London"}
    new_york.save()
    trigger_runner.start_due()
    application.refresh_from_db()
    assert application.due_at == datetime(2026, 11, 30, 9, tzinfo=ZoneInfo("Europe/London"))
