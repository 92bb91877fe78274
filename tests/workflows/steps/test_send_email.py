"""E-mails of workflows: their sender, their replies, and their daily limit."""

from datetime import UTC, timedelta
from email.utils import parseaddr

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from connections.models import Connection
from taskjuice.notifications import incidents
from taskjuice.notifications.models import Incident
from taskjuice.workspaces import branding
from taskjuice.workspaces.models import Agency, AuditEntry, User, Workspace
from tests.factories import make_activation, make_connection, make_workflow
from workflows.engine import lanes, runner
from workflows.models import Activation, EmailCount, Workflow
from workflows.steps import email_limit, email_sender

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace, name="Harbour Café Limited")


@pytest.fixture
def workflow(agency: Agency, connection: Connection, owner: User) -> Workflow:
    step = {
        "name": "mail",
        "action": "core/send-email",
        "input": {"to": "{{ trigger.to }}", "subject": "Hello", "body": "Text"},
    }
    return make_workflow(agency, connection, steps=[step])


def run(workflow: Workflow, connection: Connection, *to: str) -> list[Activation]:
    made = [
        make_activation(workflow, connection, trigger_data={"to": addresses}) for addresses in to
    ]
    lanes.wake_lanes([connection.pk])
    runner.run_lane(connection.pk)
    return list(Activation.objects.filter(pk__in=[one.pk for one in made]).order_by("pk"))


def test_it_is_from_the_organisation_via_its_agency_and_answers_go_to_the_owner(
    workflow: Workflow, connection: Connection, owner: User
) -> None:
    run(workflow, connection, "payer@ridgeway.test")
    (letter,) = mail.outbox
    assert email_sender.format_sender(letter.from_email) == (
        "Harbour Café Limited via Northwind Books <no-reply@localhost>"
    )
    assert letter.reply_to == [owner.email]


def test_answers_go_where_the_agency_says(
    workflow: Workflow, connection: Connection, agency: Agency, owner: User
) -> None:
    branding.save(agency=agency, colour="", reply_to="books@northwind.example", logo=None, by=owner)
    run(workflow, connection, "payer@ridgeway.test")
    assert mail.outbox[0].reply_to == ["books@northwind.example"]


@pytest.mark.parametrize(
    "name",
    [
        "Evil\r\nBcc: all@x.test",
        'Quote " <ceo@bank.test>',
        "ceo@bank.test, Other <a@b.test>",
        "\u202eemosdrawkcab",
        "Ünïcödé, Ltd; (comment)",
        "x" * 300,
        "",
    ],
)
def test_no_name_breaks_out_of_the_header(
    workflow: Workflow, connection: Connection, name: str
) -> None:
    Connection.objects.filter(pk=connection.pk).update(name=name[:200])
    run(workflow, connection, "payer@ridgeway.test")
    header = str(mail.outbox[0].message()["From"])
    assert ("\n" in header.replace("\n ", ""), "\u202e" in header) == (False, False)
    shown, address = parseaddr(mail.outbox[0].from_email)
    assert (address, "@" in shown, mail.outbox[0].recipients()) == (
        "no-reply@localhost",
        False,
        ["payer@ridgeway.test"],
    )


def test_beyond_the_days_limit_it_waits_for_tomorrow_and_says_why(
    workflow: Workflow, connection: Connection, agency: Agency, owner: User, as_owner: Client
) -> None:
    email_limit.set_limit(agency=agency, limit=3, by=owner)
    sent, waits, refused = run(
        workflow, connection, "a@x.test, b@x.test", "c@x.test, d@x.test", "e@x.test"
    )
    assert (sent.state, waits.state, refused.state) == ("succeeded", "ready", "succeeded")
    assert waits.error == (
        "The agency’s 3 e-mails of today are sent; an admin can raise the limit under Settings."
    )
    assert (waits.attempt, waits.next_at) == (0, email_limit.next_day_at())
    assert EmailCount.objects.values_list("sent", flat=True).get() == 3
    settings = as_owner.get("/northwind/settings/").content.decode()
    assert "Today 3 of 3 are sent; <strong>the limit made steps wait today</strong>" in settings
    incidents.look()
    assert Incident.objects.filter(kind="emails", agency=agency).count() == 1
    EmailCount.objects.update(day=timezone.now().astimezone(UTC).date() - timedelta(days=1))
    Activation.objects.filter(pk=waits.pk).update(next_at=timezone.now())
    runner.run_lane(connection.pk)
    waits.refresh_from_db()
    assert (waits.state, len(mail.outbox)) == ("succeeded", 3)


def test_more_addresses_than_a_days_limit_fail_in_clear_words(
    workflow: Workflow, connection: Connection, agency: Agency, owner: User
) -> None:
    email_limit.set_limit(agency=agency, limit=1, by=owner)
    (failed,) = run(workflow, connection, "a@x.test, b@x.test")
    assert (failed.state, failed.error_code) == ("failed", "limit")
    assert failed.error.startswith(
        "mail: It goes to 2 addresses, and the agency allows 1 e-mails a day."
    )


def test_what_the_mail_server_refuses_is_not_counted(
    workflow: Workflow, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
    run(workflow, connection, "a@x.test")
    assert EmailCount.objects.values_list("sent", flat=True).get() == 0


def test_limit_is_saved_on_the_settings_page(as_owner: Client, agency: Agency) -> None:
    as_owner.post("/northwind/settings/emails/", {"per_day": "40"})
    assert email_limit.read_limit(agency.pk) == 40
    as_owner.post("/northwind/settings/emails/", {"per_day": "-1"})
    assert email_limit.read_limit(agency.pk) == 40
    assert AuditEntry.objects.get(verb="e-mail limit changed").details == {
        "before": 500,
        "after": 40,
    }
