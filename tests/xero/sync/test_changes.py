"""What becomes of invoices starts workflows: once per change, only what is listened for, with exact
figures.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from connections.models import Connection, Event
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection, make_workflow
from tests.xero.ledger.test_queries import invoice
from workflows.models import Activation, Workflow
from xero.models import Change, Ledger
from xero.sync import changes, overdue, upsert

pytestmark = pytest.mark.django_db

STEP = {"name": "note", "action": "core/set-values", "input": {"values": {"a": "b"}}}
IDS = {"InvoiceID": "d3b1c1f4-6d0e-4a53-9f0c-2f7d5f1b2a10"}


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    found = make_connection(workspace)
    Ledger.objects.create(connection=found, workspace=workspace, first_finished_at=timezone.now())
    return found


@pytest.fixture
def take(connection: Connection) -> Callable[..., None]:
    """Bring a newer state of one invoice, as whoever reads it does."""
    start, count = timezone.now() - timedelta(hours=1), iter(range(1000))

    def taken(**fields: Any) -> None:
        at = int((start + timedelta(seconds=next(count))).timestamp() * 1000)
        body = invoice("INV-0042") | IDS | {"UpdatedDateUTC": f"/Date({at}+0000)/"}
        upsert.store_records(connection, "invoices", [body | fields])

    return taken


def listening(
    connection: Connection, trigger: str, *, since: datetime | None = None, **settings: Any
) -> Workflow:
    workflow = make_workflow(
        connection.agency, connection, trigger=trigger, steps=[STEP], published=False
    )
    workflow.versions.update(
        trigger_settings=settings, live=True, published_at=since or timezone.now()
    )
    Workflow.objects.filter(pk=workflow.pk).update(state="published")
    return workflow


def started() -> list[tuple[str, Any, Any]]:
    changes.announce_changes()
    rows = Activation.objects.order_by("id")
    return [(a.subject, a.trigger_data["status"], a.trigger_data["amount_due"]) for a in rows]


def test_payment_of_an_invoice_starts_once_with_its_figures(
    connection: Connection, take: Callable[..., None]
) -> None:
    listening(connection, "xero/invoice-paid", documents="ACCREC", over=None)
    take(Status="AUTHORISED", Total=Decimal("1200.10"), AmountDue=Decimal("1200.10"))
    assert started() == []
    take(Status="PAID", Total=Decimal("1200.10"), AmountDue=0)
    assert started() == [("INV-0042", "PAID", Decimal("0.00"))]
    data = Activation.objects.get().trigger_data
    assert (data["previous_status"], data["previous_amount_due"], data["total"], data["kind"]) == (
        "AUTHORISED",
        Decimal("1200.10"),
        Decimal("1200.10"),
        "sales invoice",
    )
    take(Status="PAID", Total=Decimal("1200.10"), AmountDue=0, Reference="only this")
    assert len(started()) == 1
    assert Change.objects.count() == 0


def test_change_offered_twice_starts_once(
    connection: Connection, take: Callable[..., None]
) -> None:
    listening(connection, "xero/invoice-paid")
    take(Status="PAID", AmountDue=0)
    kept = Change.objects.values().get()
    assert changes.announce_changes() == 1
    Change.objects.create(
        **kept
    )  # a worker died between the events and its commit is the same seen from here
    assert changes.announce_changes() == 0
    assert Activation.objects.count() == 1


@pytest.mark.parametrize(
    ("trigger", "settings", "expected"),
    [
        ("xero/invoice-paid", {}, [4]),
        ("xero/invoice-paid", {"documents": "ACCPAY"}, []),
        ("xero/invoice-paid", {"over": Decimal(1000)}, []),
        ("xero/invoice-paid", {"over": Decimal("999.99")}, [4]),
        ("xero/invoice-approved", {}, [2]),
        ("xero/amount-due-changed", {}, [3, 4, 5]),
        ("xero/invoice-status", {"status": "any"}, [1, 2, 4, 5, 6]),
        ("xero/invoice-status", {"status": "DRAFT"}, [1]),
        ("xero/invoice-status", {"status": "VOIDED", "documents": "ACCREC"}, [6]),
    ],
)
def test_each_trigger_knows_its_changes(
    connection: Connection,
    take: Callable[..., None],
    trigger: str,
    settings: dict[str, Any],
    expected: list[int],
) -> None:
    listening(connection, trigger, **settings)
    life = [
        ("DRAFT", 1000),
        ("AUTHORISED", 1000),
        ("AUTHORISED", 400),
        ("PAID", 0),
        ("AUTHORISED", 400),
        ("VOIDED", 0),
    ]
    found = []
    for number, (status, due) in enumerate(life, start=1):
        take(Status=status, Total=1000, AmountDue=due)
        before = Activation.objects.count()
        changes.announce_changes()
        found += [number] * (Activation.objects.count() - before)
    assert found == expected


def test_first_read_of_a_ledger_starts_nothing(
    connection: Connection, take: Callable[..., None]
) -> None:
    Ledger.objects.update(first_finished_at=None)
    listening(connection, "xero/invoice-status", status="any")
    take(Status="PAID", AmountDue=0)
    assert (Change.objects.count(), started()) == (0, [])


def test_what_nobody_listens_for_becomes_no_event(
    connection: Connection, take: Callable[..., None]
) -> None:
    paused = listening(connection, "xero/invoice-paid")
    Workflow.objects.filter(pk=paused.pk).update(state="paused")
    listening(connection, "xero/invoice-event", change="any")
    take(Status="PAID", AmountDue=0)
    assert (changes.announce_changes(), Event.objects.count(), Change.objects.count()) == (0, 0, 0)


def test_draft_starts_nothing_but_has_events_to_be_tested_on(
    connection: Connection, take: Callable[..., None]
) -> None:
    draft = make_workflow(
        connection.agency, connection, trigger="xero/invoice-paid", steps=[STEP], published=False
    )
    take(Status="PAID", AmountDue=0)
    assert (started(), Event.objects.count()) == ([], 1)
    Workflow.objects.filter(pk=draft.pk).update(state="archived")
    take(Status="AUTHORISED", AmountDue=5)
    assert (started(), Event.objects.count()) == ([], 1)


@pytest.mark.parametrize("days", ["", "x", "0", "-1", "366", "9" * 50, None, "²", 1.5])
def test_unfinished_draft_does_not_disturb_the_sweep(connection: Connection, days: Any) -> None:
    draft = make_workflow(
        connection.agency, connection, trigger=overdue.TRIGGER, steps=[STEP], published=False
    )
    draft.versions.update(trigger_settings={"days": days})
    assert overdue.announce_overdue() == 0


def test_change_found_very_late_starts_nothing(
    connection: Connection, take: Callable[..., None]
) -> None:
    listening(connection, "xero/invoice-paid")
    take(Status="PAID", AmountDue=0)
    Change.objects.update(at=timezone.now() - timedelta(days=8))
    assert started() == []


def test_other_connections_workflow_hears_nothing(
    connection: Connection, take: Callable[..., None], other_workspace: Workspace
) -> None:
    listening(make_connection(other_workspace), "xero/invoice-paid")
    listening(connection, "xero/invoice-paid")
    take(Status="PAID", AmountDue=0)
    started()
    assert [a.connection_id for a in Activation.objects.all()] == [connection.pk]


# -- overdue --

AUCKLAND = ZoneInfo("Pacific/Auckland")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> Callable[[str], int]:
    """Run the sweep at a moment in the client's zone; how many events it made."""
    Workspace.objects.filter(pk=workspace.pk).update(timezone="Pacific/Auckland")

    def run(moment: str) -> int:
        now = datetime.fromisoformat(moment).replace(tzinfo=AUCKLAND).astimezone(UTC)
        monkeypatch.setattr("xero.sync.overdue.timezone.now", lambda: now)
        return overdue.announce_overdue()

    return run


def owed(take: Callable[..., None], due: date, **fields: Any) -> None:
    take(
        **(
            {
                "Status": "AUTHORISED",
                "AmountDue": 50,
                "DueDateString": f"{due.isoformat()}T00:00:00",
            }
            | fields
        )
    )


def chasing(connection: Connection, days: int, since: date) -> None:
    published = datetime(since.year, since.month, since.day, tzinfo=AUCKLAND)
    listening(connection, overdue.TRIGGER, since=published, days=days, documents="ACCREC")


def test_overdue_invoice_starts_once_in_the_clients_morning(
    connection: Connection, take: Callable[..., None], at: Callable[[str], int]
) -> None:
    chasing(connection, 7, date(2026, 11, 1))
    owed(take, date(2026, 11, 10))
    assert at("2026-11-17 07:59") == 0
    assert [
        at("2026-11-17 08:01"),
        at("2026-11-17 08:03"),
        at("2026-11-18 09:00"),
    ] == [1, 0, 0]
    data = Activation.objects.get().trigger_data
    assert (data["days"], data["amount_due"], data["due_date"]) == (
        7,
        Decimal("50.00"),
        "2026-11-10",
    )


def test_due_date_moved_on_counts_anew(
    connection: Connection, take: Callable[..., None], at: Callable[[str], int]
) -> None:
    chasing(connection, 1, date(2026, 11, 1))
    owed(take, date(2026, 11, 10))
    assert at("2026-11-11 09:00") == 1
    owed(take, date(2026, 11, 20))
    assert [at("2026-11-12 09:00"), at("2026-11-21 09:00")] == [0, 1]


@pytest.mark.parametrize(
    "fields",
    [
        {"Status": "PAID", "AmountDue": 0},
        {"Status": "DRAFT"},
        {"Status": "VOIDED"},
        {"AmountDue": 0},
        {"Type": "ACCPAY"},
        {"DueDateString": None, "DueDate": None},
    ],
)
def test_what_is_not_owed_is_not_chased(
    fields: dict[str, Any],
    connection: Connection,
    take: Callable[..., None],
    at: Callable[[str], int],
) -> None:
    chasing(connection, 7, date(2026, 11, 1))
    owed(take, date(2026, 11, 10), **fields)
    at("2026-11-17 09:00")
    assert Activation.objects.count() == 0


def test_what_was_overdue_before_publishing_is_left_alone_and_missed_days_are_made_up(
    connection: Connection, take: Callable[..., None], at: Callable[[str], int]
) -> None:
    chasing(connection, 7, date(2026, 11, 18))
    owed(take, date(2026, 11, 10))
    assert at("2026-11-19 09:00") == 0
    owed(take, date(2026, 11, 12))
    assert at("2026-11-22 09:00") == 1  # nothing ran on the 19th, 20th and 21st
