"""What the pages of connections say about the local copy and about missing webhooks."""

import pytest
from django.test import Client
from django.utils import timezone

from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection, make_event, make_ledger
from xero.models import Ledger, Part, SequenceGap
from xero.sync import schedule as sync_schedule

pytestmark = pytest.mark.django_db


def test_connection_says_how_the_first_read_goes(as_admin: Client, workspace: Workspace) -> None:
    connection = make_connection(workspace)
    sync_schedule.start_reading(connection)
    ledger = Ledger.objects.get(pk=connection.pk)
    Part.objects.create(ledger=ledger, kind="invoices", running=True, done=3000, total=10000)
    listed = as_admin.get("/northwind/harbour-cafe/connections/").content.decode()
    page = as_admin.get(f"/northwind/harbour-cafe/connections/{connection.pk}/").content.decode()
    assert "reading invoices: 3,000 of 10,000" in listed
    assert "3,000 of 10,000" in page
    assert "not yet" in page


def test_connection_is_synced_from_its_page(as_member: Client, workspace: Workspace) -> None:
    connection = make_connection(workspace)
    make_ledger(connection)
    here = f"/northwind/harbour-cafe/connections/{connection.pk}/"
    page = as_member.get(here).content.decode()
    refresh = f"/northwind/harbour-cafe/ledger/{connection.pk}/refresh/"
    assert f'action="{refresh}"' in page
    assert as_member.post(refresh, {"back": here})["Location"] == here
    assert Ledger.objects.get(pk=connection.pk).asked_at is not None


def test_connection_tells_what_was_recovered(as_member: Client, workspace: Workspace) -> None:
    connection = make_connection(workspace)
    make_ledger(connection)
    make_event(connection, recovered=True)
    make_event(connection)
    Ledger.objects.update(recover_since=timezone.now())
    page = as_member.get(f"/northwind/harbour-cafe/connections/{connection.pk}/").content.decode()
    assert "1 change of the last 30 days came by no webhook" in page
    assert "Webhooks may be missing" in page


def test_webhooks_page_lists_gaps_and_what_healed_them(as_member: Client) -> None:
    now = timezone.now()
    SequenceGap.objects.create(first=5, last=5, since=now)
    SequenceGap.objects.create(first=7, last=9, since=now, caught_up_at=now)
    SequenceGap.objects.create(first=20, last=21, since=now, caught_up_at=now, closed_at=now)
    page = " ".join(as_member.get("/northwind/connections/webhooks/").content.decode().split())
    assert [page.count(text) for text in ("Waits to be read", "Read instead", "Came late")] == [
        1,
        1,
        1,
    ]
    assert [text in page for text in ("7–9", "3 events", "20–21", "1 event<")] == [True] * 4
