"""Pages of deliveries: an agency sees what concerns its clients, and a replay starts nothing twice."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from connections import inbox, receiving
from connections.models import Connection, Delivery
from taskjuice.workspaces.models import Agency, AuditEntry, Workspace
from tests.factories import make_connection, make_delivery, make_event, make_workflow
from workflows.models import Activation

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
    receiving.store("xero", json.dumps({"events": events, "entropy": "ENTROPY"}).encode())
    inbox.fan_out()
    return Delivery.objects.latest("pk")


def listed(answer: Any) -> list[int]:
    return [row.delivery.pk for row in answer.context["page"].rows]


def test_list_shows_deliveries_of_the_agencys_clients_only(
    as_member: Client, workspace: Workspace, other_workspace: Workspace, foreign_workspace: Workspace
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
    assert listed(as_member.get("/northwind/deliveries/?verdict=nonsense&before=-7")) == [heard.pk, quiet.pk]


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
        AuditEntry.objects.filter(verb="replayed a delivery").values_list("details__started", flat=True)
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
