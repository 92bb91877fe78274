"""Connect links: what the agency does with them, and what their visitors may."""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connections
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from connections.links import letters, lifecycle
from connections.models import Connection, ConnectLink, Consent, Grant, LinkState
from connections.oauth import link_progress
from taskjuice.workspaces import letters as all_letters
from taskjuice.workspaces.models import Agency, AuditEntry, Workspace
from tests.connections.conftest import callback_path, come_back, connect
from tests.factories import make_branding, make_connection, make_link, make_workspace
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)
LINKS = "/northwind/harbour-cafe/connections/links/"
TOKEN = "a-token-of-a-letter"


def sent_token() -> str:
    found = re.search(r"/link/([\w-]+)/", str(mail.outbox[-1].body))
    assert found is not None
    return found[1]


def state_of(link: ConnectLink) -> str:
    return str(ConnectLink.objects.get(pk=link.pk).state)


def visit(visitor: Client, sandbox: SandboxProcess, *organisations: str, token: str = TOKEN) -> Any:
    """Start, consent at the sandbox, come back; the callback's answer."""
    begun = visitor.post(f"/link/{token}/start/")
    assert begun.status_code == 302
    return come_back(visitor, sandbox.allow(begun["Location"], *organisations))


# -- the agency --


def test_link_is_sent_by_letter_and_stored_as_a_hash(
    as_admin: Client, workspace: Workspace
) -> None:
    answer = as_admin.post(f"{LINKS}new/", {"email": "Mere@Harbour.example"})
    link = ConnectLink.objects.get()
    assert answer["Location"] == f"{LINKS}{link.pk}/"
    (message,) = mail.outbox
    assert (message.to, message.reply_to) == (["mere@harbour.example"], ["admin@northwind.example"])
    assert message.subject == "TaskJuice: Northwind Books asks you to connect Xero"
    token = sent_token()
    assert len(token) == 43
    assert (link.token_hash, link.state) == (
        hashlib.sha256(token.encode()).hexdigest(),
        LinkState.SENT,
    )
    assert (link.expires_at - timezone.now()).days == 6
    verbs = AuditEntry.objects.order_by("-id").values_list("verb", "subject", "actor_name")
    assert verbs[0] == ("connect link sent", "mere@harbour.example", "admin@northwind.example")


def test_link_without_an_address_is_shown_once_to_be_copied(
    as_admin: Client, workspace: Workspace
) -> None:
    answer = as_admin.post(f"{LINKS}new/", {"email": ""})
    link = ConnectLink.objects.get()
    found = re.search(r"http://localhost:8000/link/([\w-]+)/", answer.content.decode())
    assert found is not None
    assert lifecycle.hash_token(found[1]) == link.token_hash
    assert (mail.outbox, link.state) == ([], LinkState.MADE)
    assert "/link/" not in as_admin.get(f"{LINKS}{link.pk}/").content.decode()


def test_letter_answers_go_to_the_agencys_address(as_admin: Client, workspace: Workspace) -> None:
    make_branding(workspace.agency, reply_to="hello@northwind.example")
    as_admin.post(f"{LINKS}new/", {"email": "mere@harbour.example"})
    assert mail.outbox[0].reply_to == ["hello@northwind.example"]


def test_letter_that_cannot_be_sent_leaves_a_link_to_copy(
    as_admin: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_letters, "post", lambda message: False)
    answer = as_admin.post(f"{LINKS}new/", {"email": "mere@harbour.example"})
    assert "did not take the letter" in answer.content.decode()
    assert "http://localhost:8000/link/" in answer.content.decode()
    assert ConnectLink.objects.get().state == LinkState.MADE


@pytest.mark.parametrize("email", ["nobody", "a@b", "x" * 300 + "@example.com", "\x00@example.com"])
def test_wrong_address_is_refused_and_kept(
    as_admin: Client, workspace: Workspace, email: str
) -> None:
    answer = as_admin.post(f"{LINKS}new/", {"email": email})
    assert (answer.status_code, ConnectLink.objects.count()) == (422, 0)
    assert email.replace("\x00", "") in answer.content.decode().replace("\x00", "")


def test_second_open_link_to_the_same_person_is_refused(
    as_admin: Client, workspace: Workspace
) -> None:
    make_link(workspace, email="mere@harbour.example")
    answer = as_admin.post(f"{LINKS}new/", {"email": "mere@harbour.example"})
    assert answer.status_code == 422
    assert "has an open link" in answer.content.decode()


def test_organisation_of_another_client_cannot_be_reconnected_by_link(
    as_admin: Client, workspace: Workspace, other_workspace: Workspace
) -> None:
    foreign = make_connection(other_workspace)
    answer = as_admin.post(f"{LINKS}new/", {"email": "", "reconnects": foreign.pk})
    assert (answer.status_code, ConnectLink.objects.count()) == (422, 0)


def test_agencys_hourly_letters_count_links_too(
    as_admin: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_letters, "PER_HOUR", 1)
    as_admin.post(f"{LINKS}new/", {"email": "one@harbour.example"})
    answer = as_admin.post(f"{LINKS}new/", {"email": "two@harbour.example"})
    assert (answer.status_code, len(mail.outbox)) == (422, 1)


def test_reminder_brings_a_new_link_and_ends_the_old(
    as_admin: Client, as_anonymous: Client, workspace: Workspace
) -> None:
    link = make_link(workspace, token=TOKEN, expires_at=timezone.now() - timedelta(days=1))
    as_admin.post(f"{LINKS}{link.pk}/remind/")
    token = sent_token()
    assert mail.outbox[0].subject.startswith("TaskJuice: Reminder: ")
    statuses = [as_anonymous.get(f"/link/{each}/").status_code for each in (TOKEN, token)]
    assert (statuses, state_of(link)) == ([404, 200], LinkState.SENT)
    as_admin.post(f"{LINKS}{link.pk}/remind/")
    assert len(mail.outbox) == 1  # not twice within a minute


def test_copying_shows_a_new_link_and_ends_the_old(
    as_admin: Client, as_anonymous: Client, workspace: Workspace
) -> None:
    link = make_link(workspace, token=TOKEN)
    page = as_admin.post(f"{LINKS}{link.pk}/copy/").content.decode()
    found = re.search(r"http://localhost:8000(/link/[\w-]+/)", page)
    assert found is not None
    assert [as_anonymous.get(path).status_code for path in (f"/link/{TOKEN}/", found[1])] == [
        404,
        200,
    ]


def test_revoked_link_is_over_for_everybody(
    as_admin: Client, as_anonymous: Client, workspace: Workspace
) -> None:
    link = make_link(workspace, token=TOKEN)
    as_admin.post(f"{LINKS}{link.pk}/revoke/")
    assert (state_of(link), as_anonymous.get(f"/link/{TOKEN}/").status_code) == (
        LinkState.REVOKED,
        410,
    )
    assert as_anonymous.post(f"/link/{TOKEN}/start/").status_code == 410
    for verb in ("remind", "copy", "revoke"):
        assert as_admin.post(f"{LINKS}{link.pk}/{verb}/").status_code == 302
    assert (mail.outbox, state_of(link)) == ([], LinkState.REVOKED)


def test_link_of_another_client_or_agency_is_not_found(
    as_admin: Client, as_stranger: Client, workspace: Workspace, other_workspace: Workspace
) -> None:
    link = make_link(other_workspace)
    assert as_admin.get(f"{LINKS}{link.pk}/").status_code == 404
    assert (
        as_stranger.get(f"/northwind/kauri-builders/connections/links/{link.pk}/").status_code
        == 404
    )


def test_list_filters_and_asks_the_same_for_one_row_and_thirty(
    as_member: Client, workspace: Workspace, django_assert_num_queries: Any
) -> None:
    make_link(workspace, email="open@x.example")
    make_link(workspace, email="late@x.example", expires_at=timezone.now() - timedelta(days=1))
    make_link(
        workspace, email="used@x.example", chosen_at=timezone.now(), connected_at=timezone.now()
    )

    def shown(**query: str) -> list[str]:
        page = as_member.get("/northwind/connections/links/", query).context["page"]
        return [link.email for link in page.object_list]

    assert shown(state="open") == ["open@x.example"]
    assert shown(state="connected") == ["used@x.example"]
    assert shown(state="ended") == ["late@x.example"]
    assert shown(state="nonsense", q="LATE") == ["late@x.example"]
    from django.db import connection as database  # the queries are counted on it
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(database) as few:
        as_member.get("/northwind/connections/links/")
    for _ in range(30):
        make_link(make_workspace(workspace.agency))
    with django_assert_num_queries(len(few)):
        as_member.get("/northwind/connections/links/")


def test_agency_sees_each_state_as_it_happens(as_member: Client, workspace: Workspace) -> None:
    link = make_link(workspace)
    url = f"{LINKS}{link.pk}/"

    def seen() -> tuple[str, bool]:
        page = as_member.get(url, headers={"HX-Request": "true"}).content.decode()
        found = re.search(r'class="pill \w+">.*?</svg>([^<]+)<', page, re.DOTALL)
        assert found is not None
        return found[1].strip(), "hx-get" in page

    assert seen() == ("Sent", True)
    link_progress.mark_opened(link)
    assert seen() == ("Opened", True)
    link_progress.mark_consented(link)
    assert seen() == ("Consented", True)
    link_progress.mark_cancelled(link, "Consent was refused.")
    assert seen() == ("Cancelled", True)
    link_progress.mark_opened(link)
    link_progress.mark_consented(link)
    link_progress.mark_chosen(link, ["Demo Company"])
    assert seen() == ("Organisation chosen", True)
    ConnectLink.objects.update(connected_at=Now())
    assert seen() == ("Connected", False)


# -- the visitor --


def test_looking_changes_nothing(as_anonymous: Client, workspace: Workspace) -> None:
    link = make_link(workspace, token=TOKEN)
    before = ConnectLink.objects.values().get()
    for method in (as_anonymous.get, as_anonymous.head, as_anonymous.get):
        assert method(f"/link/{TOKEN}/").status_code == 200
    assert (ConnectLink.objects.values().get(), as_anonymous.cookies.get("session")) == (
        before,
        None,
    )
    assert as_anonymous.get(f"/link/{TOKEN}/start/").status_code == 405
    assert state_of(link) == LinkState.SENT


def test_page_is_branded_and_says_what_is_read_and_written(
    as_anonymous: Client, workspace: Workspace
) -> None:
    brand = make_branding(workspace.agency)
    make_link(workspace, token=TOKEN)
    page = as_anonymous.get(f"/link/{TOKEN}/").content.decode()
    for part in (
        "Northwind Books asks you to connect Xero",
        "What will be read",
        "What can be written",
        f"/branding/logos/{brand.logo_digest}/",
        "/branding/colours/0f5570/",
    ):
        assert part in page
    assert "style=" not in page


def test_visitor_connects_and_the_link_is_used(
    as_anonymous: Client, as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    link = make_link(workspace, token=TOKEN, email="mere@harbour.example")
    organisation = sandbox.organisation()
    answer = visit(as_anonymous, sandbox, organisation["tenant_id"])
    consent = Consent.objects.get()
    assert (answer["Location"], state_of(link)) == (
        f"/link/choose/{consent.pk}/",
        LinkState.CONSENTED,
    )
    page = as_anonymous.get(answer["Location"]).content.decode()
    assert "may Northwind Books work with?" in page
    done = as_anonymous.post(answer["Location"], {"tenants": [organisation["tenant_id"]]})
    connection = Connection.objects.get()
    link.refresh_from_db()
    assert (done["Location"], link.state, link.organisations) == (
        f"/link/done/{consent.pk}/",
        LinkState.CONNECTED,
        [organisation["name"]],
    )
    assert (connection.state, connection.connected_by, connection.connected_through) == (
        "active",
        None,
        link,
    )
    assert "Thank you." in as_anonymous.get(done["Location"]).content.decode()
    assert as_anonymous.post(f"/link/{TOKEN}/start/").status_code == 410
    who = AuditEntry.objects.filter(verb="organisation connected").values_list(
        "actor_name", flat=True
    )
    assert list(who) == ["mere@harbour.example (connect link)"]
    assert "By link" in as_admin.get("/northwind/connections/").content.decode()


def test_consent_of_a_link_is_bound_to_the_browser_that_started(
    as_anonymous: Client, as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    make_link(workspace, token=TOKEN)
    begun = as_anonymous.post(f"/link/{TOKEN}/start/")
    path = callback_path(sandbox.allow(begun["Location"], sandbox.organisation()["tenant_id"]))
    assert [client.get(path).status_code for client in (Client(), as_admin)] == [400, 400]
    choose = as_anonymous.get(path)["Location"]
    assert [client.get(choose).status_code for client in (Client(), as_admin)] == [404, 404]
    assert as_anonymous.get(choose).status_code == 200


def test_link_is_good_for_one_choice_in_two_browsers(
    as_anonymous: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    make_link(workspace, token=TOKEN)
    first, second = [each["tenant_id"] for each in sandbox.api("GET", "organisations")[:2]]
    other = Client()
    here = visit(as_anonymous, sandbox, first)["Location"]
    there = visit(other, sandbox, second)["Location"]
    other.post(there, {"tenants": [second]})
    late = as_anonymous.post(here, {"tenants": [first]})
    assert late.status_code == 302
    assert [str(each.tenant_id) for each in Connection.objects.all()] == [second]
    assert "was used" in as_anonymous.get(here, follow=True).content.decode()


def test_refusal_at_xero_is_told_to_the_agency_and_can_be_taken_back(
    as_anonymous: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    link = make_link(workspace, token=TOKEN)
    begun = as_anonymous.post(f"/link/{TOKEN}/start/")
    state = re.search(r"state=([\w-]+)", begun["Location"])
    assert state is not None
    answer = as_anonymous.get(f"/connections/xero/callback/?error=access_denied&state={state[1]}")
    assert "Consent was refused" in answer.content.decode()
    link.refresh_from_db()
    assert (link.state, link.reason) == (LinkState.CANCELLED, "Consent was refused.")
    again = as_anonymous.post(f"/link/again/{Consent.objects.get().pk}/")
    assert (again.status_code, state_of(link)) == (302, LinkState.OPENED)


def test_nothing_chosen_gives_the_consent_back(
    as_anonymous: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    link = make_link(workspace, token=TOKEN)
    choose = visit(as_anonymous, sandbox, sandbox.organisation()["tenant_id"])["Location"]
    answer = as_anonymous.post(f"{choose}cancel/", follow=True)
    assert "Nothing was connected" in answer.content.decode()
    assert (state_of(link), sandbox.api("GET", "connections")) == (LinkState.CANCELLED, [])


def test_declining_ends_the_link_with_its_reason(
    as_anonymous: Client, workspace: Workspace
) -> None:
    link = make_link(workspace, token=TOKEN)
    answer = as_anonymous.post(f"/link/{TOKEN}/decline/", {"reason": "We <b>left</b> Xero."})
    assert "You declined" in answer.content.decode()
    link.refresh_from_db()
    assert (link.state, link.reason) == (LinkState.CANCELLED, "We <b>left</b> Xero.")
    assert as_anonymous.post(f"/link/{TOKEN}/start/").status_code == 410
    assert letters.notify_sender(link.pk) is True
    assert "We <b>left</b> Xero." in mail.outbox[-1].body


def test_link_revoked_on_the_way_gives_the_tokens_back(
    as_anonymous: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    link = make_link(workspace, token=TOKEN)
    begun = as_anonymous.post(f"/link/{TOKEN}/start/")
    path = callback_path(sandbox.allow(begun["Location"], sandbox.organisation()["tenant_id"]))
    ConnectLink.objects.update(revoked_at=Now())
    answer = as_anonymous.get(path)
    assert (answer.status_code, Grant.objects.count(), state_of(link)) == (
        400,
        0,
        LinkState.REVOKED,
    )
    assert "This link is over" in answer.content.decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"expires_at": Now() - timedelta(seconds=1)}, "too old"),
        ({"revoked_at": Now()}, "withdrawn"),
        ({"chosen_at": Now()}, "was used"),
        ({"declined_at": Now()}, "You declined"),
    ],
)
def test_link_that_is_over_says_why(
    as_anonymous: Client, workspace: Workspace, change: dict[str, Any], words: str
) -> None:
    make_link(workspace, token=TOKEN)
    ConnectLink.objects.update(**change)
    answer = as_anonymous.get(f"/link/{TOKEN}/")
    assert (answer.status_code, words in answer.content.decode()) == (410, True)


def test_link_of_an_archived_client_rests(as_anonymous: Client, workspace: Workspace) -> None:
    make_link(workspace, token=TOKEN)
    Workspace.objects.update(archived_at=Now())
    assert as_anonymous.post(f"/link/{TOKEN}/start/").status_code == 410
    assert Consent.objects.count() == 0


def test_visitor_is_not_told_of_the_agencys_other_clients(
    as_anonymous: Client,
    as_admin: Client,
    workspace: Workspace,
    other_workspace: Workspace,
    sandbox: SandboxProcess,
) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    connect(as_admin, other_workspace, sandbox, tenant)
    make_link(workspace, token=TOKEN)
    choose = visit(as_anonymous, sandbox, tenant)["Location"]
    pages = [
        as_anonymous.get(choose).content.decode(),
        as_anonymous.post(choose, {"tenant_id": tenant}).content.decode(),
    ]
    assert ["Kauri" in page for page in pages] == [False, False]
    assert "already connected" in pages[1]


def test_reconnecting_by_link_mends_the_same_organisation(
    as_anonymous: Client, as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    connect(as_admin, workspace, sandbox, tenant)
    Connection.objects.update(state="error", problem="grant-refused", reason="x")
    link = make_link(workspace, token=TOKEN, reconnects=Connection.objects.get())
    answer = visit(as_anonymous, sandbox, tenant)
    assert answer["Location"] == f"/link/done/{Consent.objects.latest('id').pk}/"
    assert (Connection.objects.get().state, state_of(link)) == ("active", LinkState.CONNECTED)


def test_links_in_bulk_go_to_whom_is_known(
    as_admin: Client, agency: Agency, workspace: Workspace
) -> None:
    through = make_link(workspace, email="mere@harbour.example", chosen_at=timezone.now())
    one = make_connection(workspace, state="error", connected_through=through)
    two = make_connection(make_workspace(agency), state="error")
    url = f"/northwind/connections/links/bulk/?connection={one.pk}&connection={two.pk}&connection=x"
    form = as_admin.get(url).context["form"]
    assert [form[f"email-{each.pk}"].value() for each in (one, two)] == ["mere@harbour.example", ""]
    answer = as_admin.post(url, {f"email-{one.pk}": "mere@harbour.example", f"email-{two.pk}": "x"})
    assert (answer.status_code, mail.outbox) == (422, [])
    as_admin.post(url, {f"email-{one.pk}": "mere@harbour.example", f"email-{two.pk}": ""})
    made = ConnectLink.objects.latest("id")
    assert (made.reconnects, [message.to for message in mail.outbox]) == (
        one,
        [["mere@harbour.example"]],
    )


def test_sending_in_bulk_again_after_a_failed_letter_writes_nobody_twice(
    as_admin: Client, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = (make_connection(make_workspace(agency), state="error") for _ in range(2))
    url = f"/northwind/connections/links/bulk/?connection={good.pk}&connection={bad.pk}"
    typed = {f"email-{good.pk}": "good@x.example", f"email-{bad.pk}": "bad@x.example"}
    post = all_letters.post
    monkeypatch.setattr(
        all_letters, "post", lambda message: message.to != ["bad@x.example"] and post(message)
    )
    answer = as_admin.post(url, typed)
    form = answer.context["form"]
    assert (answer.status_code, list(form.fields), form[f"email-{bad.pk}"].value()) == (
        422,
        [f"email-{bad.pk}"],
        "bad@x.example",
    )
    assert "did not take this letter" in answer.content.decode()
    assert form_of(as_admin, url, good).help_text == "good@x.example has an open link for it."
    monkeypatch.setattr(all_letters, "post", post)
    # A second click: the first may still be on its way.
    assert as_admin.post(url, typed).status_code == 422
    ConnectLink.objects.filter(sent_at=None).update(
        expires_at=timezone.now() + lifecycle.LIFE - lifecycle.PAUSE
    )
    assert as_admin.post(url, typed).status_code == 302  # both, as typed at first
    assert [message.to for message in mail.outbox] == [["good@x.example"], ["bad@x.example"]]
    assert ConnectLink.objects.count() == 2
    assert as_admin.post(url, typed).status_code == 302
    assert len(mail.outbox) == 2


def form_of(client: Client, url: str, connection: Connection) -> Any:
    return client.get(url).context["form"].fields[f"email-{connection.pk}"]


def test_letter_that_failed_is_sent_anew_with_the_same_link(
    as_admin: Client, as_anonymous: Client, workspace: Workspace
) -> None:
    minute_ago = timezone.now() + lifecycle.LIFE - lifecycle.PAUSE
    link = make_link(
        workspace, email="mere@x.example", sent_at=None, expires_at=minute_ago, token=TOKEN
    )
    as_admin.post(f"{LINKS}new/", {"email": "mere@x.example"})
    assert [each.pk for each in ConnectLink.objects.all()] == [link.pk]
    paths = (f"/link/{TOKEN}/", f"/link/{sent_token()}/")
    assert [as_anonymous.get(path).status_code for path in paths] == [404, 200]


def test_reminder_of_a_letter_that_never_went_out_is_no_reminder(
    as_admin: Client, workspace: Workspace
) -> None:
    link = make_link(workspace, email="mere@x.example", sent_at=None)
    as_admin.post(f"{LINKS}{link.pk}/remind/")
    assert mail.outbox[0].subject == "TaskJuice: Northwind Books asks you to connect Xero"


def test_bulk_leaves_out_connections_of_others(
    as_admin: Client, workspace: Workspace, foreign_workspace: Workspace
) -> None:
    foreign = make_connection(foreign_workspace)
    page = as_admin.get("/northwind/connections/links/bulk/", {"connection": [foreign.pk]})
    assert page.context["chosen"] == []


def test_link_is_started_so_many_times_an_hour_and_no_more(
    workspace: Workspace, sandbox: SandboxProcess
) -> None:
    link = make_link(workspace, token=TOKEN)
    answers = [Client().post(f"/link/{TOKEN}/start/") for _ in range(link_progress.MOST_STARTS + 3)]
    assert [answer.status_code for answer in answers] == [302] * link_progress.MOST_STARTS + [
        429
    ] * 3
    assert "Started too often" in answers[-1].content.decode()
    assert Consent.objects.count() == link_progress.MOST_STARTS
    Consent.objects.update(created_at=Now() - timedelta(hours=1))
    assert Client().post(f"/link/{TOKEN}/start/").status_code == 302
    assert state_of(link) == LinkState.OPENED


def test_starts_at_the_same_moment_are_counted(
    workspace: Workspace, sandbox: SandboxProcess
) -> None:
    make_link(workspace, token=TOKEN)

    def one(_: int) -> int:
        try:
            return int(Client().post(f"/link/{TOKEN}/start/").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(link_progress.MOST_STARTS + 8)))
    assert (found.count(302), found.count(429)) == (link_progress.MOST_STARTS, 8)
