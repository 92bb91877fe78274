"""Each sweep, flag and timer does its work in a running worker, on a database made by `migrate`
alone.

Every case leaves what a lost wake-up, a killed process or a passed time leaves behind, and nothing
else. Then one worker runs, and each must come to its end.
"""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psutil
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.test import override_settings
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from connections import organisation_time
from connections.models import (
    Call,
    CallState,
    Connection,
    ConnectLink,
    Delivery,
    DeliveryState,
    Event,
    Grant,
    Refusal,
)
from connections.models import Consent as ConsentRow
from connections.oauth import grants
from connections.providers import providers
from taskjuice.notifications.models import Incident, Reader, Told
from taskjuice.queue import invariants, sweeping
from taskjuice.queue.models import Heartbeat
from taskjuice.workspaces.models import Agency, DataExport, Deletion, User, Workspace
from tests.conftest import signed_in
from tests.factories import (
    make_activation,
    make_agency,
    make_approval,
    make_call,
    make_consent,
    make_data_export,
    make_delivery,
    make_event,
    make_link,
    make_user,
    make_workflow,
    make_workspace,
)
from tests.queue.fresh import fresh_database, worker
from tests.sandbox_process import SandboxProcess
from tests.xero.books import read_all
from tests.xero.linked import link
from workflows.engine import lanes
from workflows.models import Activation, Approval, OrganisationPause, WorkflowConnection
from xero.models import Account, Change, Invoice, Ledger, SequenceWatch
from xero.sync import overdue
from xero.sync import schedule as sync_schedule

pytestmark = pytest.mark.processes

PATIENCE = 150.0  # seconds until everything has ended, on a busy machine
IsDone = Callable[[], bool]
HERE = "/northwind/harbour-cafe"


@dataclass(frozen=True)
class Place:
    """What is there before the worker: an agency, a client with a connected organisation whose
    ledger was read.
    """

    sandbox: SandboxProcess
    environment: dict[str, str]
    owner: User
    agency: Agency
    workspace: Workspace
    connection: Connection
    log: Path


@pytest.fixture(scope="module")
def place(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    with SandboxProcess(minute_limit=6000) as sandbox:
        xero = {f"XERO_{name}_URL": sandbox.base_url for name in ("LOGIN", "IDENTITY", "API")}
        xero |= {"XERO_CLIENT_ID": sandbox.client_id, "XERO_CLIENT_SECRET": sandbox.client_secret}
        with (
            override_settings(**xero),
            django_db_blocker.unblock(),
            fresh_database() as environment,
        ):
            folder = tmp_path_factory.mktemp("worker")
            yield _furnished(sandbox, environment | xero, folder / "worker.log")


def _furnished(sandbox: SandboxProcess, environment: dict[str, str], log: Path) -> Place:
    owner = make_user("owner@northwind.example", name="Olivia Owner", timezone=_past_eight())
    agency = make_agency("Northwind Books", slug="northwind", owner=owner)
    workspace = make_workspace(agency, "Harbour Café", slug="harbour-cafe")
    connection = link(sandbox, workspace)
    sync_schedule.start_reading(connection)
    read_all(connection)
    database.cursor().execute("DELETE FROM django_q_ormq")  # every wake-up until now is lost
    return Place(sandbox, environment, owner, agency, workspace, connection, log)


def _past_eight() -> str:
    """A time zone in which digests are due now."""
    zones = (f"Etc/GMT{hours:+}" for hours in range(-12, 13))
    return next(zone for zone in zones if 9 <= datetime.now(ZoneInfo(zone)).hour < 22)


def ago(**passed: float) -> datetime:
    return timezone.now() - timedelta(**passed)


# -- one case for each sweep: what it leaves behind, and how its end is seen
# -----------------------------------


def waiting_deliveries(place: Place) -> IsDone:
    delivery = make_delivery(
        state="waiting", verdict="", body=b'{"events": []}', received_at=ago(minutes=1)
    )
    return lambda: Delivery.objects.get(pk=delivery.pk).state != DeliveryState.WAITING


def events_that_a_write_may_have_caused(place: Place) -> IsDone:
    event = make_event(place.connection, undecided=True)
    return lambda: not Event.objects.get(pk=event.pk).undecided


def idle_grants(place: Place) -> IsDone:
    mine = Grant.objects.filter(connections=place.connection)
    mine.update(refreshed_at=ago(days=8))
    version = mine.get().version
    return lambda: mine.get().version > version


def ended_connections(place: Place) -> IsDone:
    ended = link(place.sandbox, make_workspace(place.agency), 1)
    token = grants.get_access_token(ended.grant) if ended.grant else ""
    listed = {tenant.tenant_id: tenant.id for tenant in providers["xero"].tenants(token)}
    Connection.objects.filter(pk=ended.pk).update(
        state="revoked", provider_connection_id=listed[ended.tenant_id]
    )
    return lambda: Connection.objects.get(pk=ended.pk).provider_connection_id is None


def untold_connect_links(place: Place) -> IsDone:
    outcome: dict[str, Any] = {"declined_at": ago(minutes=2), "untold_since": ago(minutes=2)}
    told = make_link(place.workspace, sent_by=place.owner, **outcome)
    return lambda: ConnectLink.objects.get(pk=told.pk).untold_since is None


def unchosen_consents(place: Place) -> IsDone:
    grant, created_at = place.connection.grant, ago(minutes=31)
    consent = make_consent(
        place.workspace, place.owner, grant=grant, tenants=[], created_at=created_at
    )
    return lambda: ConsentRow.objects.get(pk=consent.pk).finished_at is not None


def tenants_at_the_provider(place: Place) -> IsDone:
    mine = Grant.objects.filter(connections=place.connection)
    mine.update(listed_at=None)
    return lambda: mine.get().listed_at is not None


def waiting_ledgers(place: Place) -> IsDone:
    mine = Ledger.objects.filter(pk=place.connection.pk)
    mine.update(due_at=ago(minutes=1), woken_at=None)
    finished = mine.get().finished_at
    return lambda: mine.get().finished_at != finished


def changes_of_invoices(place: Place) -> IsDone:
    change = Change.objects.create(
        connection=place.connection, xero_id=uuid4(), at=timezone.now(), is_new=False, details={}
    )
    return lambda: not Change.objects.filter(pk=change.pk).exists()


def overdue_invoices(place: Place) -> IsDone:
    workflow = make_workflow(
        place.agency, place.connection, trigger=overdue.TRIGGER, published=False, state="published"
    )
    workflow.versions.update(trigger_settings={"days": 2}, live=True, published_at=ago(days=9))
    invoice = Invoice.objects.filter(type="ACCREC", status="AUTHORISED", amount_due__gt=0).latest(
        "date"
    )
    Invoice.objects.filter(pk=invoice.pk).update(due_date=ago(days=5).date())
    return lambda: Event.objects.filter(
        category=overdue.CATEGORY, resource_id=invoice.xero_id
    ).exists()


def webhook_sequence(place: Place) -> IsDone:
    delivery = make_delivery(received_at=ago(minutes=2))
    return lambda: SequenceWatch.objects.filter(last_delivery__gte=delivery.pk).exists()


def forgotten_lanes(place: Place) -> IsDone:
    activation = make_activation(make_workflow(place.agency, place.connection), place.connection)
    database.cursor().execute(lanes.OPEN, {"ids": [place.connection.pk]})
    return lambda: Activation.objects.get(pk=activation.pk).state == "succeeded"


def schedules(place: Place) -> IsDone:
    workflow = make_workflow(
        place.agency, place.connection, trigger="core/schedule", published=False, state="published"
    )
    workflow.versions.update(
        trigger_settings={"every": "day", "at": "09:00"}, live=True, published_at=ago(days=9)
    )
    WorkflowConnection.objects.filter(workflow=workflow).update(
        due_at=ago(minutes=1),
        due_zone=organisation_time.name_zone(Connection.objects.get(pk=place.connection.pk)),
    )
    return lambda: Activation.objects.filter(workflow=workflow).exists()


def pauses_that_are_over(place: Place) -> IsDone:
    pause = OrganisationPause.objects.create(
        agency=place.agency,
        workflow=make_workflow(place.agency, place.connection),
        connection=place.connection,
        until=ago(minutes=1),
    )
    return lambda: not OrganisationPause.objects.filter(pk=pause.pk).exists()


def overlooked_decisions(place: Place) -> IsDone:
    later = timezone.now() + timedelta(days=1)
    activation = make_activation(
        make_workflow(place.agency, place.connection), place.connection, next_at=later
    )
    make_approval(activation, state="approved", decided_at=timezone.now())
    resting = make_activation(
        make_workflow(place.agency, place.connection), place.connection, next_at=later
    )
    untold = make_approval(resting, told=["owner@northwind.example"], asked_at=ago(minutes=2))
    return lambda: (
        Activation.objects.get(pk=activation.pk).state == "succeeded"
        and Approval.objects.get(pk=untold.pk).told_at is not None
    )


def data_exports(place: Place) -> IsDone:
    export = make_data_export(place.workspace, finished_at=None, expires_at=None)
    return lambda: DataExport.objects.get(pk=export.pk).finished_at is not None


def deletions(place: Place) -> IsDone:
    gone = make_workspace(place.agency, deleting_at=timezone.now(), archived_at=timezone.now())
    Deletion.objects.create(agency=place.agency, workspace_id=gone.pk, name=gone.name)
    return lambda: not Workspace.objects.filter(pk=gone.pk).exists()


def pruning(place: Place) -> IsDone:
    old = Refusal.objects.create(provider="xero", minute=ago(days=600), count=1)
    return lambda: not Refusal.objects.filter(pk=old.pk).exists()


def incidents(place: Place) -> IsDone:
    call = make_call(place.connection, state="unknown")
    return lambda: Incident.objects.filter(key=f"call:{call.pk}").exists()


def notices_by_email(place: Place) -> IsDone:
    call = make_call(place.connection, state="unknown")
    return lambda: Told.objects.filter(incident__key=f"call:{call.pk}", user=place.owner).exists()


def daily_digests(place: Place) -> IsDone:
    return lambda: Reader.objects.filter(user=place.owner, digest_on__isnull=False).exists()


def calls_nobody_came_back_to(place: Place) -> IsDone:
    """The first entry of the list: a payment from its page, whose answer Xero loses."""
    invoice = Invoice.objects.filter(
        type="ACCREC", status="AUTHORISED", amount_due__gt=100, amount_paid=0, currency="NZD"
    ).latest("date")
    account = Account.objects.filter(type="BANK", status="ACTIVE", currency="NZD")[0]
    place.sandbox.api(
        "POST", "faults", {"kind": "error_503_before", "remaining": 1, "method": "PUT"}
    )
    data = {
        "form_key": str(uuid4()),
        "invoice": str(invoice.xero_id),
        "account_id": str(account.xero_id),
        "amount": "60.50",
        "date": "2026-11-20",
        "reference": "from the bank",
    }
    began = timezone.now()
    answer = signed_in(place.owner).post(f"{HERE}/payments/new/", data)
    call = Call.objects.get(form_key=data["form_key"])
    assert (answer["Location"], call.state) == (f"{HERE}/calls/{call.pk}/", CallState.SENT)

    def is_done() -> bool:
        current = Call.objects.get(pk=call.pk)
        if current.state != CallState.CONFIRMED:
            return False
        assert current.settled_at is not None
        assert current.settled_at - began < timedelta(minutes=2)  # Xero knows the key for six
        paid = place.sandbox.xero(
            "GET", str(place.connection.tenant_id), f"Invoices/{invoice.xero_id}"
        )
        return [Decimal(str(one["Amount"])) for one in paid["Invoices"][0]["Payments"]] == [
            Decimal("60.5")
        ]

    return is_done


CASES: dict[str, Callable[[Place], IsDone]] = {
    "waiting deliveries": waiting_deliveries,
    "events that a write may have caused": events_that_a_write_may_have_caused,
    "idle grants": idle_grants,
    "ended connections": ended_connections,
    "untold connect links": untold_connect_links,
    "unchosen consents": unchosen_consents,
    "tenants at the provider": tenants_at_the_provider,
    "calls nobody came back to": calls_nobody_came_back_to,
    "waiting ledgers": waiting_ledgers,
    "changes of invoices": changes_of_invoices,
    "overdue invoices": overdue_invoices,
    "webhook sequence": webhook_sequence,
    "forgotten lanes": forgotten_lanes,
    "schedules": schedules,
    "pauses that are over": pauses_that_are_over,
    "overlooked decisions": overlooked_decisions,
    "data exports": data_exports,
    "deletions": deletions,
    "pruning": pruning,
    "incidents": incidents,
    "notices by e-mail": notices_by_email,
    "daily digests": daily_digests,
}


def test_every_sweep_has_a_case_here() -> None:
    assert {sweep.name for sweep in sweeping.SWEEPS} == set(CASES)


def database_connections() -> int:
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        (count,) = cursor.fetchone()
    return int(count)


def test_sigterm_to_all_its_processes_at_once_drains_it(place: Place) -> None:
    """As service managers and container runtimes send it."""
    deadline = time.monotonic() + PATIENCE
    with worker(place.environment, place.log) as process:
        began = timezone.now()
        while not Heartbeat.objects.filter(canary_ran_at__gt=began).exists():
            assert process.poll() is None, place.log.read_text()[-3000:]
            assert time.monotonic() < deadline, place.log.read_text()[-3000:]
            time.sleep(0.2)
        call_command("worker", "--is-alive", skip_checks=True)
        assert 4 < database_connections() <= settings.WORKER_PROCESSES + 4  # as docs/deploy.md says
        root = psutil.Process(process.pid)
        tree = [root, *root.children(recursive=True)]
        assert len(tree) > 5  # the node, the cluster, its sentinel, workers, monitor and pusher
        for each in tree:
            each.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert [each.pid for each in tree[1:] if each.is_running()] == []
    with pytest.raises(CommandError, match="No worker node of this machine"):
        call_command("worker", "--is-alive", skip_checks=True)


def test_each_is_done_by_a_running_worker(place: Place) -> None:
    open_cases = {name: leave_behind(place) for name, leave_behind in CASES.items()}
    deadline = time.monotonic() + PATIENCE
    with worker(place.environment, place.log) as process:
        while open_cases and time.monotonic() < deadline:
            assert process.poll() is None, place.log.read_text()[-3000:]
            open_cases = {name: is_done for name, is_done in open_cases.items() if not is_done()}
            time.sleep(0.2)
    assert sorted(open_cases) == [], place.log.read_text()[-3000:]
    assert [overdue.kind for overdue in invariants.list_overdue_outcomes()] == []
