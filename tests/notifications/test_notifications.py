"""Incidents open and close with their causes, are read by people, and are e-mailed once, as each
person wishes.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection as database
from django.db import transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connections.models import CallState, Connection, ConnectionState, Refusal
from connections.webhooks import health as webhook_health
from taskjuice.notifications import incidents, mailing, reading
from taskjuice.notifications.models import Cadence, Incident, Kind, Reader, Told, Wish
from taskjuice.workspaces.models import Agency, User, Workspace
from tests.factories import (
    make_activation,
    make_call,
    make_connection,
    make_delivery,
    make_event,
    make_member,
    make_workflow,
)
from workflows.models import ActivationState, Lane, OrganisationPause

pytestmark = pytest.mark.django_db


def broken(workspace: Workspace, **fields: Any) -> Connection:
    return make_connection(workspace, state=ConnectionState.ERROR, **fields)


def opened() -> list[tuple[str, str]]:
    rows = Incident.objects.filter(closed_at=None).order_by("kind", "name")
    return list(rows.values_list("kind", "name"))


def letters() -> list[tuple[list[str], str]]:
    return [(letter.to, str(letter.subject)) for letter in mail.outbox]


def test_incident_opens_once_closes_with_its_cause_and_opens_anew(workspace: Workspace) -> None:
    link = broken(workspace, name="Harbour Limited", reason="It ended.")
    incidents.look()
    incidents.look()
    assert opened() == [("reauthorise", "Harbour Limited (Harbour Café): It ended.")]
    Connection.objects.filter(pk=link.pk).update(state=ConnectionState.ACTIVE)
    incidents.look()
    assert opened() == []
    Connection.objects.filter(pk=link.pk).update(state=ConnectionState.ERROR)
    incidents.look()
    assert Incident.objects.count() == 2


def test_each_kind_is_found(agency: Agency, workspace: Workspace) -> None:
    link = make_connection(workspace, name="Harbour Limited")
    flow = make_workflow(agency, link, name="Chase")
    for _ in range(3):
        make_activation(flow, link, state=ActivationState.FAILED)
    make_activation(flow, link, state=ActivationState.UNKNOWN, subject="INV-0042")
    make_call(link, state=CallState.UNKNOWN, subject="Invoice to Ridgeway")
    Lane.objects.update_or_create(
        connection=link, defaults={"parked_until": timezone.now() + timedelta(hours=2)}
    )
    remind = make_workflow(agency, link, name="Remind")
    OrganisationPause.objects.create(
        agency=agency,
        workflow=remind,
        connection=link,
        by_safety=True,
        holds=True,
        why="email: Refused.",
    )
    incidents.look()
    assert opened() == [
        ("decide", "Chase: INV-0042"),
        ("decide", "Invoice to Ridgeway"),
        ("failed", "Chase"),
        ("parked", "Harbour Limited (Harbour Café)"),
        ("safety", "Remind at Harbour Limited: email: Refused."),
    ]


def test_owner_and_admins_hear_of_a_broken_connection_at_once_and_once(
    owner: User, admin: User, member: User, workspace: Workspace
) -> None:
    broken(workspace, name="Harbour Limited", reason="It ended.")
    incidents.look()
    assert (mailing.send_immediate(), mailing.send_immediate()) == (2, 0)
    subject = "TaskJuice: A connection needs to be reauthorised: Harbour Limited (Harbour Café): It ended."
    assert letters() == [([owner.email], subject), ([admin.email], subject)]
    assert "http://localhost:8000/northwind/harbour-cafe/connections/" in mail.outbox[0].body


def test_several_incidents_are_one_letter(owner: User, workspace: Workspace) -> None:
    for _ in range(3):
        broken(workspace)
    incidents.look()
    mailing.send_immediate()
    assert letters() == [([owner.email], "TaskJuice: 3 things need attention at Northwind Books")]


def test_what_is_mended_meanwhile_is_not_told(owner: User, workspace: Workspace) -> None:
    link = broken(workspace)
    incidents.look()
    Connection.objects.filter(pk=link.pk).update(state=ConnectionState.ACTIVE)
    incidents.look()
    assert (mailing.send_immediate(), letters()) == (0, [])


def test_letter_that_the_server_refuses_is_tried_again(
    owner: User, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionRefusedError

    broken(workspace)
    incidents.look()
    with monkeypatch.context() as broken_mail:
        broken_mail.setattr("django.core.mail.EmailMessage.send", refuse)
        assert mailing.send_immediate() == 0
    assert Told.objects.count() == 0
    assert mailing.send_immediate() == 1


def test_wishes_decide_who_hears_what(
    owner: User, admin: User, agency: Agency, workspace: Workspace, as_member: Client, member: User
) -> None:
    reading.choose(owner, {Kind.REAUTHORISE: Cadence.OFF})
    form = {kind.value: "off" for kind in Kind} | {"reauthorise": "immediate"}
    assert as_member.post("/me/notifications/", form)["Location"] == "/me/notifications/"
    broken(workspace)
    incidents.look()
    mailing.send_immediate()
    assert [to for to, _ in letters()] == [[admin.email], [member.email]]


def test_wrong_wish_is_refused(as_member: Client) -> None:
    answer = as_member.post("/me/notifications/", {"reauthorise": "hourly"})
    assert (answer.status_code, sorted(answer.context["form"].errors)) == (
        422,
        sorted(kind.value for kind in Kind),
    )


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the clock that digests go by."""
    real = timezone.localtime

    def set_clock(moment: datetime) -> None:
        monkeypatch.setattr(
            "taskjuice.notifications.mailing.timezone.localtime",
            lambda value=None, timezone=None: real(value or moment, timezone),
        )

    return set_clock


def test_digest_comes_once_a_day_after_eight_where_the_person_is(
    owner: User, agency: Agency, workspace: Workspace, at: Callable[[datetime], None]
) -> None:
    User.objects.filter(pk=owner.pk).update(timezone="Pacific/Auckland")
    link = make_connection(workspace)
    make_activation(make_workflow(agency, link, name="Chase"), link, state=ActivationState.FAILED)
    incidents.look()
    seven = datetime.fromisoformat("2026-11-23T07:59:00+13:00")
    at(seven)
    assert mailing.send_digests() == 0
    at(seven + timedelta(minutes=2))
    assert (mailing.send_digests(), mailing.send_digests()) == (1, 0)
    assert letters() == [([owner.email], "TaskJuice: Activations of a workflow fail: Chase")]
    at(seven + timedelta(days=1, hours=1))
    assert mailing.send_digests() == 0  # told already, and still open


def test_link_of_a_letter_ends_all_of_them_without_signing_in(
    owner: User, workspace: Workspace, as_anonymous: Client
) -> None:
    broken(workspace)
    incidents.look()
    mailing.send_immediate()
    letter = mail.outbox[0]
    address = re.search(r"No such e-mails any more: http://localhost:8000(\S+)", str(letter.body))
    assert address is not None
    assert letter.extra_headers["List-Unsubscribe"] == f"<http://localhost:8000{address[1]}>"
    as_anonymous.get(address[1])
    assert reading.wishes_of([owner.pk]) == {}
    mail_program = Client(enforce_csrf_checks=True)
    assert mail_program.post(address[1], {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert set(reading.wishes_of([owner.pk]).values()) == {"off"}


def test_bell_counts_what_is_unread_until_it_is_marked(
    as_owner: Client, workspace: Workspace
) -> None:
    broken(workspace)
    incidents.look()
    shown = as_owner.get("/northwind/notifications/")
    assert (shown.context["unread"], shown.context["frame"].unread) == (1, 1)
    as_owner.post("/northwind/notifications/read/")
    assert as_owner.get("/northwind/notifications/").context["frame"].unread == 0
    with transaction.atomic():
        broken(workspace)
    Reader.objects.update(read_at=timezone.now() - timedelta(minutes=1))
    incidents.look()
    assert as_owner.get("/northwind/").context["frame"].unread == 2


def test_others_incidents_stay_out(
    as_member: Client, foreign_workspace: Workspace, foreign_agency: Agency, stranger: User
) -> None:
    broken(foreign_workspace, name="Theirs")
    incidents.look()
    mailing.send_immediate()
    assert "Theirs" not in as_member.get("/northwind/notifications/").content.decode()
    assert [to for to, _ in letters()] == [[stranger.email]]


def test_person_who_left_is_not_told(agency: Agency, workspace: Workspace, owner: User) -> None:
    gone = make_member(agency, "admin")
    gone.memberships.all().delete()
    make_member(agency, "admin").memberships.update()
    User.objects.filter(pk=make_member(agency, "admin").pk).update(is_active=False)
    broken(workspace)
    incidents.look()
    assert mailing.send_immediate() == 2


def test_list_asks_the_same_number_of_queries_for_1_and_30(
    as_owner: Client, workspace: Workspace
) -> None:
    def asked() -> int:
        incidents.look()
        with CaptureQueriesContext(database) as caught:
            assert as_owner.get("/northwind/notifications/").status_code == 200
        return len(caught)

    broken(workspace)
    asked()
    few = asked()
    for _ in range(29):
        broken(workspace)
    assert asked() == few


# -- webhooks that stay away --


def test_webhooks_are_well_while_they_come(workspace: Workspace) -> None:
    make_delivery()
    assert webhook_health.get_app_health().state == "well"


def test_change_that_no_delivery_told_of_shows_long_before_xero_gives_up(
    as_owner: Client, workspace: Workspace
) -> None:
    link = make_connection(workspace, name="Harbour Limited")
    hour_ago = timezone.now() - timedelta(hours=1)
    make_delivery(received_at=hour_ago - timedelta(hours=2))
    make_event(link, recovered=True, occurred_at=hour_ago)
    health = webhook_health.get_app_health()
    assert (health.state, health.missed, health.given_up_at) == (
        "silent",
        1,
        hour_ago + timedelta(hours=24),
    )
    incidents.look()
    assert opened() == [("webhooks", "All organisations")]
    text = as_owner.get("/northwind/deliveries/").content.decode()
    assert "Webhooks are silent." in text
    assert "Xero’s webhooks do not come through" in text
    make_delivery()
    assert [one.name for one in webhook_health.list_silent_connections()] == ["Harbour Limited"]
    incidents.look()
    assert opened() == [("webhooks", "Harbour Limited (Harbour Café)")]


def test_only_wrong_signatures_in_several_minutes_are_a_wrong_key() -> None:
    now = timezone.now().replace(second=0, microsecond=0)
    make_delivery(received_at=now - timedelta(hours=2))
    for back in (30, 20):
        Refusal.objects.create(provider="xero", minute=now - timedelta(minutes=back), count=1)
    assert webhook_health.get_app_health().state == "well"
    Refusal.objects.create(provider="xero", minute=now - timedelta(minutes=10), count=1)
    health = webhook_health.get_app_health()
    assert (health.state, health.since) == ("refused", now - timedelta(minutes=30))


def test_webhooks_that_stay_away_concern_only_who_has_something_connected(
    as_owner: Client, as_stranger: Client, foreign_agency: Agency, workspace: Workspace
) -> None:
    make_event(make_connection(workspace), recovered=True)
    pages = [as_owner.get("/northwind/deliveries/"), as_stranger.get("/southwind/deliveries/")]
    assert ["Webhooks are silent" in page.content.decode() for page in pages] == [True, False]
    kinds = [{item.kind for item in page.context["frame"].attention.items} for page in pages]
    assert kinds == [{"webhooks"}, set()]


def test_link_that_ends_the_letters_is_itself_over_after_a_while(
    client: Client, owner: User
) -> None:
    with freeze(time.time() - timedelta(days=91).total_seconds()):
        old = mailing.stop_token(owner)
    answer = client.post(f"/me/notifications/stop/{old}/")
    assert (answer.status_code, Wish.objects.count()) == (410, 0)
    assert "This link is too old" in answer.content.decode()
    assert owner.email not in answer.content.decode()
    assert client.post(f"/me/notifications/stop/{old[:-1]}x/").status_code == 404


@contextmanager
def freeze(moment: float) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr("django.core.signing.time.time", lambda: moment)
        yield
