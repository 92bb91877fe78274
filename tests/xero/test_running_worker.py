"""A running worker against the sandbox: it sets off nothing by its own writes, and finds all that
was withheld.
"""

import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from django.test import override_settings
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from connections.models import Call, Connection, Delivery, Event
from connections.webhooks import receiver
from taskjuice.workspaces.models import Workspace
from tests.factories import make_agency, make_user, make_workflow, make_workspace
from tests.queue.fresh import fresh_database, worker
from tests.sandbox_process import SandboxProcess
from tests.xero.books import read_all
from tests.xero.linked import link
from tests.xero.test_webhooks import body_of, event
from workflows.models import Activation, Workflow
from xero.models import Contact, Invoice, Ledger, Part, SequenceGap, Stale
from xero.sync import schedule as sync_schedule

pytestmark = pytest.mark.processes

PATIENCE = 240.0  # seconds for each thing to happen, on a busy machine
WITHHELD = 12
LOCKED = (
    "/Date(1735603200000+0000)/"  # 2024-12-31: before all documents, which the other tests change
)


class Place:
    def __init__(
        self, sandbox: SandboxProcess, connection: Connection, environment: dict[str, str]
    ) -> None:
        self.sandbox, self.connection, self.environment = sandbox, connection, environment

    def at_xero(self, invoice: UUID, **changed: str) -> None:
        """A person changes it there."""
        self.sandbox.xero("POST", str(self.connection.tenant_id), f"Invoices/{invoice}", changed)

    def by_hand(self, what: str, **fields: str) -> None:
        """What a person can only do there."""
        self.sandbox.api("POST", f"organisations/{self.connection.tenant_id}/{what}", fields)

    def tell(self, record: UUID, category: str = "INVOICE") -> None:
        """Xero's webhook of just now, as the receiver keeps it."""
        told = event(
            tenantId=str(self.connection.tenant_id),
            resourceId=str(record),
            eventCategory=category,
            eventDateUtc=f"{timezone.now():%Y-%m-%dT%H:%M:%S.%f}"[:-3],
        )
        receiver.store_delivery("xero", body_of(told))


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
            agency = make_agency("Northwind Books", owner=make_user("owner@northwind.example"))
            connection = link(sandbox, make_workspace(agency, "Harbour Café"))
            connection.connected_at = timezone.now() - timedelta(
                days=30
            )  # nothing from before that is recovered
            connection.save(update_fields=["connected_at"])
            sync_schedule.start_reading(connection)
            read_all(connection)
            place = Place(sandbox, connection, environment | xero)
            with worker(place.environment, tmp_path_factory.mktemp("worker") / "worker.log"):
                yield place


def until(happens: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < ends, "it does not happen"
        time.sleep(0.2)


def bills_on_approval(connection: Connection, name: str, *, own: bool) -> Workflow:
    """Approved → create an approved bill: what sets itself off where nobody looks."""
    bill = {
        "type": "ACCPAY",
        "contact_name": "Wharf Supplies",
        "due_date": "+30",
        "status": "AUTHORISED",
        "lines": [
            {"description": name, "quantity": "1", "unit_amount": "10", "account_code": "400"}
        ],
    }
    steps = [{"name": "bill", "action": "xero/create-invoice", "input": bill}]
    workflow = make_workflow(
        connection.agency,
        connection,
        trigger="xero/invoice-approved",
        steps=steps,
        published=False,
        name=name,
    )
    settings = {"documents": "any", "over": None, "own": own}
    workflow.versions.update(trigger_settings=settings, live=True, published_at=timezone.now())
    Workflow.objects.filter(pk=workflow.pk).update(state="published")
    return workflow


def ended(workflow: Workflow) -> int:
    return Activation.objects.filter(workflow=workflow, state="succeeded").count()


def states_of(call: Call) -> list[bool]:
    """Whether each event of what became of the document this call made is our own."""
    assert call.record_id is not None
    found = Event.objects.filter(category="INVOICE STATE", resource_id=call.record_id)
    return list(found.values_list("ours", flat=True))


def test_bill_approved_by_a_workflow_starts_no_circle(place: Place) -> None:
    plain = bills_on_approval(place.connection, "plain", own=False)
    chained = [bills_on_approval(place.connection, name, own=True) for name in ("first", "second")]
    draft = Invoice.objects.filter(type="ACCREC", status="DRAFT", total__gt=0).first()
    assert draft is not None
    place.at_xero(draft.xero_id, Status="AUTHORISED")
    place.tell(draft.xero_id)
    # What a person approved starts all three; their bills start the chained ones that did not lead
    # to them.
    until(lambda: ended(plain) == 1 and all(ended(workflow) == 4 for workflow in chained))
    calls = list(Call.objects.filter(activation_id__isnull=False))
    assert len(calls) == 9
    until(lambda: all(states_of(call) for call in calls))
    assert {mark for call in calls for mark in states_of(call)} == {True}
    for call in calls:
        assert call.record_id is not None
        place.tell(call.record_id)  # Xero tells of our own writes too
    until(
        lambda: not Stale.objects.exists() and not Delivery.objects.filter(state="waiting").exists()
    )
    until(lambda: not Activation.objects.filter(state__in=["ready", "running"]).exists())
    assert Activation.objects.count() == 9
    for workflow in (plain, *chained):
        workflow.versions.update(live=False)


def test_what_people_change_in_xero_is_followed(place: Place) -> None:
    """An organisation's settings within 45 minutes, no webhook tells of them; a merged contact's
    documents at once.
    """
    connection, ledger = place.connection, Ledger.objects.filter(pk=place.connection.pk)
    open_ = Invoice.objects.filter(status="AUTHORISED", contact_xero_id__isnull=False).order_by(
        "pk"
    )[0]
    assert open_.contact_xero_id is not None
    gone = Contact.objects.get(xero_id=open_.contact_xero_id)
    kept = Contact.objects.filter(status="ACTIVE").exclude(pk=gone.pk).order_by("pk")[0]
    settings = {
        "Name": "Renamed Trading",
        "LegalName": "Renamed Trading Limited",
        "BaseCurrency": "NZD",
    }
    place.by_hand("details", **settings, Timezone="EASTERNSTANDARDTIME", PeriodLockDate=LOCKED)
    place.by_hand("merge", contact=str(gone.xero_id), into=str(kept.xero_id))
    place.tell(gone.xero_id, "CONTACT")
    open_ones = Invoice.objects.filter(pk=open_.pk)
    until(lambda: open_ones.filter(contact_xero_id=kept.xero_id, contact_name=kept.name).exists())
    assert (
        Connection.objects.get(pk=connection.pk).name != "Renamed Trading"
    )  # nobody has asked yet
    # As the clock would: 46 minutes since the organisation was read, and the next round is due
    earlier = timezone.now() - timedelta(minutes=46)
    Part.objects.filter(ledger=connection.pk, kind="organisation").update(finished_at=earlier)
    ledger.update(due_at=timezone.now())
    until(lambda: Connection.objects.filter(pk=connection.pk, name="Renamed Trading").exists())
    details = Connection.objects.get(pk=connection.pk).details
    assert (details["legal_name"], details["timezone"]) == (
        "Renamed Trading Limited",
        "America/New_York",
    )
    assert Workspace.objects.get(pk=connection.workspace_id).timezone == "America/New_York"
    assert ledger.get().period_lock_date == date(2024, 12, 31)


def test_withheld_events_of_a_busy_organisation_are_recovered(place: Place) -> None:
    """What changes until the moment at which the gap is noticed is found, though the first read is
    too early.
    """
    kinds = {"type": "ACCREC", "status__in": ["DRAFT", "SUBMITTED"]}
    withheld = list(Invoice.objects.filter(**kinds).values_list("xero_id", flat=True)[:WITHHELD])
    for invoice in withheld:
        place.at_xero(invoice, Url=f"https://example.com/{uuid4()}")
    for first, last, minutes_ago in ((1, 3, 6), (3 + 1 + WITHHELD, 4 + WITHHELD, 2)):
        body = body_of(event(tenantId=str(uuid4()))).replace(
            b'Sequence": 1', b'Sequence": %d' % first, 1
        )
        body = body.replace(b'"lastEventSequence": 1', b'"lastEventSequence": %d' % last)
        at = timezone.now() - timedelta(minutes=minutes_ago)
        Delivery.objects.create(
            provider="xero",
            body=body,
            sha256=b"0" * 32,
            state="done",
            verdict="valid",
            received_at=at,
        )
    until(lambda: SequenceGap.objects.filter(caught_up_at__isnull=False).exists())
    marked = Ledger.objects.filter(pk=place.connection.pk)
    read = timezone.now()
    until(lambda: marked.filter(finished_at__gt=read, started_at=None).exists())
    assert marked.filter(recover_since__isnull=False).exists()  # what is that new may still be told
    # Two minutes in earnest: rows set back by hand would be read anew by the round that follows.
    until(lambda: not marked.filter(recover_since__isnull=False).exists())
    found = Event.objects.filter(recovered=True, resource_id__in=withheld)
    assert set(found.values_list("resource_id", flat=True)) == set(withheld)
