"""Pages of deliveries: an agency sees what concerns its clients, and a replay starts nothing twice."""

import json
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from connections.models import Connection, Delivery, Event, Grant
from connections.webhooks import fan_out, receiver
from taskjuice.workspaces import deletions
from taskjuice.workspaces.models import Agency, AuditEntry, Deletion, User, Workspace
from tests.factories import make_connection, make_delivery, make_event, make_ledger, make_workflow
from workflows.models import Activation
from xero.models import Ledger, SequenceGap

pytestmark = pytest.mark.django_db


def deliver(*connections: Connection) -> Delivery:
    events = [
        {
            "resourceId": str(uuid4()),
            "tenantId": str(connection.tenant_id),
            "eventCategory": "INVOICE",
            "eventType": "UPDATE",
            "eventDateUtc": f"{timezone.now():%Y-%m-%dT%H:%M:%S}.198",
        }
        for connection in connections
    ]
    receiver.store_delivery("xero", json.dumps({"events": events, "entropy": "ENTROPY"}).encode())
    fan_out.fan_out()
    return Delivery.objects.latest("pk")


def listed(answer: Any) -> list[int]:
    return [row.delivery.pk for row in answer.context["page"].rows]


def test_list_shows_deliveries_of_the_agencys_clients_only(
    as_member: Client,
    workspace: Workspace,
    other_workspace: Workspace,
    foreign_workspace: Workspace,
) -> None:
    ours, other = deliver(make_connection(workspace)), deliver(make_connection(other_workspace))
    deliver(make_connection(foreign_workspace))
    assert listed(as_member.get("/northwind/deliveries/")) == [other.pk, ours.pk]
    assert listed(as_member.get("/northwind/harbour-cafe/deliveries/")) == [ours.pk]


def test_checks_of_the_address_show_at_the_agency(as_member: Client, workspace: Workspace) -> None:
    check = deliver()
    assert listed(as_member.get("/northwind/deliveries/")) == [check.pk]
    assert listed(as_member.get("/northwind/harbour-cafe/deliveries/")) == []


def test_verdict_filters(as_member: Client, workspace: Workspace) -> None:
    connection = make_connection(workspace)
    quiet = deliver(connection)
    make_workflow(workspace.agency, connection)
    heard = deliver(connection)
    assert listed(as_member.get("/northwind/deliveries/?verdict=valid")) == [heard.pk]
    assert listed(as_member.get("/northwind/deliveries/?verdict=no+subscriber")) == [quiet.pk]
    assert listed(as_member.get("/northwind/deliveries/?verdict=nonsense&before=-7")) == [
        heard.pk,
        quiet.pk,
    ]


def test_older_ones_follow_on_the_next_page(as_member: Client, workspace: Workspace) -> None:
    connection = make_connection(workspace)
    deliveries = [make_delivery() for _ in range(60)]
    for delivery in deliveries:
        make_event(connection, delivery=delivery)
    first = as_member.get("/northwind/deliveries/")
    older = as_member.get(f"/northwind/deliveries/?before={first.context['page'].older}")
    assert listed(first) + listed(older) == [delivery.pk for delivery in reversed(deliveries)]
    assert older.context["page"].older is None


def test_list_asks_the_same_number_of_queries_for_1_and_30(
    as_member: Client,
    workspace: Workspace,
    django_assert_num_queries: Any,
    django_assert_max_num_queries: Any,
) -> None:
    connection = make_connection(workspace)
    deliver(connection)
    as_member.get("/northwind/deliveries/")  # notes once that this session is alive
    with django_assert_max_num_queries(30) as few:
        as_member.get("/northwind/deliveries/")
    for _ in range(29):
        make_event(connection, delivery=make_delivery())
    with django_assert_num_queries(len(few)):
        as_member.get("/northwind/deliveries/")


def test_detail_shows_body_and_events(as_member: Client, workspace: Workspace) -> None:
    delivery = deliver(make_connection(workspace, name="Harbour Café Limited"))
    text = as_member.get(f"/northwind/deliveries/{delivery.pk}/").content.decode()
    assert "Harbour Café Limited" in text
    assert "ENTROPY" in text


def test_body_that_names_others_stays_hidden(
    as_member: Client, workspace: Workspace, foreign_workspace: Workspace
) -> None:
    ours, theirs = make_connection(workspace), make_connection(foreign_workspace)
    delivery = deliver(ours, theirs)
    text = as_member.get(f"/northwind/deliveries/{delivery.pk}/").content.decode()
    assert str(theirs.tenant_id) not in text
    assert "ENTROPY" not in text
    assert text.count("Invoice updated") == 1


def test_body_with_a_stranger_in_it_stays_hidden(as_member: Client, workspace: Workspace) -> None:
    delivery = deliver(make_connection(workspace), Connection(tenant_id=uuid4()))
    assert "ENTROPY" not in as_member.get(f"/northwind/deliveries/{delivery.pk}/").content.decode()


def test_body_of_the_agencys_other_client_stays_hidden_inside_a_workspace(
    as_member: Client, workspace: Workspace, other_workspace: Workspace
) -> None:
    delivery = deliver(make_connection(workspace), make_connection(other_workspace))
    inside = as_member.get(f"/northwind/harbour-cafe/deliveries/{delivery.pk}/").content.decode()
    whole = as_member.get(f"/northwind/deliveries/{delivery.pk}/").content.decode()
    assert ("ENTROPY" in inside, "ENTROPY" in whole) == (False, True)


def erase(workspace: Workspace, by: User) -> None:
    """As a worker does once somebody deletes the client."""
    Connection.objects.filter(workspace=workspace).update(provider_connection_id=None)
    Grant.objects.filter(connections__workspace=workspace).update(tokens="")
    deletions.request(workspace=workspace, by=by)
    deletions.take_turn(Deletion.objects.get().pk)
    assert not Connection.objects.filter(workspace=workspace).exists()


def test_body_stays_hidden_after_the_other_tenant_is_erased(
    as_member: Client, workspace: Workspace, foreign_workspace: Workspace, stranger: User
) -> None:
    ours, theirs = make_connection(workspace), make_connection(foreign_workspace)
    make_workflow(theirs.agency, theirs)
    delivery = deliver(ours, theirs)
    for _ in range(2):
        answer = as_member.get(f"/northwind/deliveries/{delivery.pk}/")
        shown = answer.context["detail"]
        assert (shown.shared, shown.body, shown.size, shown.reason) == (True, "", None, "")
        assert (shown.activations, len(shown.events)) == (0, 1)
        assert str(theirs.tenant_id) not in answer.content.decode()
        if Connection.objects.filter(pk=theirs.pk).exists():
            erase(foreign_workspace, stranger)


def test_body_stays_hidden_after_the_agencys_own_other_client_is_erased(
    as_member: Client, workspace: Workspace, other_workspace: Workspace, owner: User
) -> None:
    delivery = deliver(make_connection(workspace), make_connection(other_workspace))
    erase(other_workspace, owner)
    assert "ENTROPY" not in as_member.get(f"/northwind/deliveries/{delivery.pk}/").content.decode()
    assert (
        "ENTROPY"
        not in as_member.get(f"/northwind/harbour-cafe/deliveries/{delivery.pk}/").content.decode()
    )


def test_activations_are_counted_per_client(
    as_member: Client, workspace: Workspace, other_workspace: Workspace
) -> None:
    ours, other = make_connection(workspace), make_connection(other_workspace)
    for _ in range(2):
        make_workflow(other.agency, other)
    make_workflow(ours.agency, ours)
    deliver(ours, other)
    counts = [
        as_member.get(f"/northwind/{place}deliveries/").context["page"].rows[0].activations
        for place in ("harbour-cafe/", "kauri-builders/", "")
    ]
    assert counts == [1, 2, 3]


def test_delivery_of_others_is_not_found(as_member: Client, foreign_workspace: Workspace) -> None:
    delivery = deliver(make_connection(foreign_workspace))
    assert as_member.get(f"/northwind/deliveries/{delivery.pk}/").status_code == 404
    assert as_member.post(f"/northwind/deliveries/{delivery.pk}/replay/").status_code == 404


def test_replay_starts_what_was_published_since_and_nothing_twice(
    as_member: Client, workspace: Workspace
) -> None:
    connection = make_connection(workspace)
    make_workflow(workspace.agency, connection)
    delivery = deliver(connection)
    make_workflow(workspace.agency, connection)
    url = f"/northwind/deliveries/{delivery.pk}/replay/"
    as_member.post(url)
    assert Activation.objects.count() == 2
    as_member.post(url)
    assert Activation.objects.count() == 2
    assert list(
        AuditEntry.objects.filter(verb="replayed a delivery").values_list(
            "details__started", flat=True
        )
    ) == [
        1,
        0,
    ]


def test_replay_leaves_other_agencies_alone(
    as_member: Client, workspace: Workspace, foreign_agency: Agency, foreign_workspace: Workspace
) -> None:
    ours, theirs = make_connection(workspace), make_connection(foreign_workspace)
    delivery = deliver(ours, theirs)
    make_workflow(foreign_agency, theirs)
    as_member.post(f"/northwind/deliveries/{delivery.pk}/replay/")
    assert Activation.objects.count() == 0


def test_duplicate_is_shown_with_the_delivery_that_came_first(
    as_member: Client, as_stranger: Client, workspace: Workspace
) -> None:
    first = deliver(make_connection(workspace))
    receiver.store_delivery("xero", bytes(first.body))
    fan_out.fan_out()
    again = Delivery.objects.latest("pk")
    rows = as_member.get("/northwind/deliveries/").context["page"].rows
    assert [(row.delivery.pk, row.delivery.verdict, row.told, row.repeated) for row in rows] == [
        (again.pk, "duplicate", 1, 1),
        (first.pk, "no subscriber", 1, 0),
    ]
    text = as_member.get(f"/northwind/deliveries/{again.pk}/").content.decode()
    assert f'<a href="/northwind/deliveries/{first.pk}/">Delivery {first.pk}</a>' in text
    assert as_stranger.get(f"/southwind/deliveries/{again.pk}/").status_code == 404


def test_time_to_answer_is_stored_with_the_delivery_and_shown(
    as_member: Client, workspace: Workspace
) -> None:
    check = deliver()
    assert check.answer_ms is None  # nobody said when it arrived
    receiver.store_delivery("xero", b'{"events": []}', began=time.perf_counter())
    fan_out.fan_out()
    measured = Delivery.objects.latest("pk")
    assert measured.answer_ms is not None
    assert measured.answer_ms > 0
    assert (
        f"{measured.answer_ms:.1f} ms" in as_member.get("/northwind/deliveries/").content.decode()
    )


def replay_window(client: Client, since: datetime, until: datetime) -> Any:
    window = {"since": f"{since:%Y-%m-%dT%H:%M}", "until": f"{until:%Y-%m-%dT%H:%M}"}
    looked = client.get("/northwind/deliveries/replay/", window)
    return looked.context["count"], client.post("/northwind/deliveries/replay/", window)


def test_window_is_counted_then_replayed_and_nothing_happens_twice(
    as_member: Client, workspace: Workspace, foreign_workspace: Workspace
) -> None:
    connection, theirs = make_connection(workspace), make_connection(foreign_workspace)
    now = timezone.now()
    for hours in (1, 2, 30):
        event = make_event(connection, delivery=make_delivery())
        Event.objects.filter(pk=event.pk).update(received_at=now - timedelta(hours=hours))
    make_event(theirs, delivery=make_delivery())
    make_workflow(workspace.agency, connection)
    for _ in range(2):
        count, answer = replay_window(
            as_member, now - timedelta(hours=24), now + timedelta(hours=1)
        )
        assert (count, answer["Location"]) == (2, "/northwind/deliveries/")
        assert Activation.objects.count() == 2
    started = AuditEntry.objects.filter(verb="replayed a delivery").order_by("pk")
    assert list(started.values_list("details__events", "details__started")) == [(2, 2), (2, 0)]


def test_window_that_ends_before_it_begins_is_refused(as_member: Client) -> None:
    now = timezone.now()
    _, answer = replay_window(as_member, now, now - timedelta(hours=1))
    assert answer.status_code == 422
    assert "This is not after the beginning." in answer.content.decode()


def test_window_of_too_much_is_refused(
    as_member: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connections.webhooks.views.MOST_REPLAYED", 1)
    connection = make_connection(workspace)
    for _ in range(2):
        make_event(connection, delivery=make_delivery())
    now = timezone.now()
    count, answer = replay_window(as_member, now - timedelta(hours=1), now + timedelta(hours=1))
    assert (count, answer.status_code) == (None, 422)


def test_gaps_and_how_they_were_healed_are_shown(as_member: Client) -> None:
    at = timezone.now() - timedelta(hours=3)
    SequenceGap.objects.create(first=11, last=14, since=at, caught_up_at=at)
    SequenceGap.objects.create(first=20, last=20, since=at, closed_at=at)
    SequenceGap.objects.create(first=30, last=31, since=at)
    text = as_member.get("/northwind/deliveries/").content.decode()
    assert [
        word in text for word in ("11–14", "Read instead", "Came late", "Waits to be read")
    ] == [True] * 4


def test_look_for_missed_changes_has_only_our_ledgers_read(
    as_member: Client, workspace: Workspace, foreign_workspace: Workspace
) -> None:
    ours, theirs = make_connection(workspace), make_connection(foreign_workspace)
    for connection in (ours, theirs):
        make_ledger(connection)
    as_member.post("/northwind/deliveries/catch-up/")
    asked = Ledger.objects.exclude(recover_since=None).values_list("pk", flat=True)
    assert list(asked) == [ours.pk]
