"""The step that calls a web address, against a receiver on loopback."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from connections.models import Connection, Secret
from connections.oauth import encryption
from connections.secrets import values as secret_values
from taskjuice import outbound_http
from taskjuice.workspaces.models import Agency, AuditEntry, User
from tests.factories import make_activation, make_secret, make_workflow
from tests.receiver import Receiver, answering, receiving
from workflows.activations import replay
from workflows.definition import import_export
from workflows.definition.descriptions import step_in_words
from workflows.definition.drafts import Draft, Step
from workflows.definition.validation import RunScope, list_problems
from workflows.engine import lanes, runner
from workflows.engine.store import Batch
from workflows.models import Activation, SentRequest, StepRun
from workflows.steps.http import action as http_action
from workflows.steps.http.action import HttpRequestForm

pytestmark = pytest.mark.django_db

VALUE = "s3cret-token-of-the-crm"


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving() as found:
        settings.HTTP_STEP_PRIVATE_HOSTS = [f"localhost:{found.port}"]
        yield found


def started(
    connection: Connection, receiver: Receiver, *, path: str = "/in", **given: Any
) -> Activation:
    url = f"http://localhost:{receiver.port}{path}"
    step = {
        "name": "call",
        "action": "core/http-request",
        "input": {"method": "POST", "url": url} | given,
    }
    workflow = make_workflow(connection.agency, connection, steps=[step])
    told = {"number": 'INV-"42"/../x', "contact": "Zoë\r\nEvil: 1", "total": Decimal("1150.10")}
    return make_activation(workflow, connection, trigger_data=told)


def run(connection: Connection, receiver: Receiver, **given: Any) -> Activation:
    activation = started(connection, receiver, **given)
    lanes.wake_lanes([connection.pk])
    return again(activation)


def again(activation: Activation) -> Activation:
    runner.run_lane(activation.connection_id)
    activation.refresh_from_db()
    return activation


def output() -> Any:
    return StepRun.objects.latest("id").output


def test_values_fill_the_json_and_cannot_break_out_of_it(
    connection: Connection, receiver: Receiver
) -> None:
    receiver.behave = answering(201, b'{"id": 7, "price": 0.10}', Location="/in/7", Server="x")
    body = '{"no": "{{ trigger.number }}", "sum": "{{ trigger.total }}", "say": "Hi {{ trigger.contact }}"}'
    activation = run(connection, receiver, json=body)
    assert activation.state == "succeeded"
    (got,) = receiver.got
    assert json.loads(got.body, parse_float=Decimal) == {
        "no": 'INV-"42"/../x',
        "sum": Decimal("1150.10"),
        "say": "Hi Zoë\r\nEvil: 1",
    }
    assert got.headers["Content-Type"] == "application/json"
    assert output() == {
        "status": 201,
        "headers": {"content-type": "application/json", "location": "/in/7"},
        "body": {"id": 7, "price": Decimal("0.10")},
    }


def test_values_in_the_address_stay_where_they_are(
    connection: Connection, receiver: Receiver
) -> None:
    query = [
        {"name": "a b", "value": "{{ trigger.total }}"},
        {"name": "who", "value": "{{ trigger.contact }}"},
    ]
    run(
        connection,
        receiver,
        method="GET",
        path="/in/{{ trigger.number }}?x={{ trigger.number }}",
        query=query,
    )
    quoted = "INV-%2242%22%2F..%2Fx"
    assert (
        receiver.got[0].path == f"/in/{quoted}?x={quoted}&a+b=1150.10&who=Zo%C3%AB%0D%0AEvil%3A+1"
    )
    assert "Idempotency-Key" not in receiver.got[0].headers


def test_line_breaks_in_a_header_fail_the_step(connection: Connection, receiver: Receiver) -> None:
    headers = [{"name": "X-Who", "value": "{{ trigger.contact }}", "secret": ""}]
    activation = run(connection, receiver, headers=headers)
    assert (activation.state, activation.error_code, receiver.got) == ("failed", "input", [])


# -- secrets --


def with_secret(connection: Connection, receiver: Receiver, **given: Any) -> Activation:
    make_secret(connection.agency, "crm_token", host="localhost", value=VALUE)
    headers = [{"name": "Authorization", "value": "Bearer", "secret": "crm_token"}]
    return run(connection, receiver, headers=headers, **given)


def test_secret_is_sent_and_stands_nowhere(
    connection: Connection, receiver: Receiver, as_owner: Client, caplog: pytest.LogCaptureFixture
) -> None:
    echo = json.dumps({"got": f"Bearer {VALUE}"}).encode()
    receiver.behave = answering(200, echo, ETag=VALUE)
    activation = with_secret(connection, receiver)
    assert receiver.got[0].headers["Authorization"] == f"Bearer {VALUE}"
    assert output()["body"] == {"got": "Bearer [removed]"}
    workflow = activation.workflow
    assert workflow is not None
    shown = [
        as_owner.get(path).content.decode()
        for path in (
            f"/northwind/activations/{activation.pk}/",
            f"/northwind/workflows/{workflow.pk}/",
            f"/northwind/workflows/{workflow.pk}/edit/",
            f"/northwind/workflows/{workflow.pk}/export/",
            "/northwind/settings/secrets/",
            "/northwind/audit/",
        )
    ]
    rows = [
        str(list(model.objects.values()))
        for model in (Activation, StepRun, SentRequest, AuditEntry, Secret)
    ]
    assert [VALUE in text for text in [*shown, *rows, caplog.text]] == [False] * 12


def test_secret_in_a_refusal_is_taken_out(connection: Connection, receiver: Receiver) -> None:
    receiver.behave = answering(401, f"bad token {VALUE}".encode())
    activation = with_secret(connection, receiver)
    assert activation.error == "call: localhost answered 401 Unauthorized: bad token [removed]"


@pytest.mark.parametrize(
    ("host", "name", "said"),
    [
        (
            "api.example.com",
            "crm_token",
            "“crm_token” is for api.example.com and is not sent to localhost",
        ),
        ("localhost", "other", "There is no secret value “crm_token”"),
    ],
)
def test_secret_is_sent_to_its_own_host_only(
    connection: Connection, receiver: Receiver, host: str, name: str, said: str
) -> None:
    make_secret(connection.agency, name, host=host, value=VALUE)
    headers = [{"name": "Authorization", "value": "Bearer", "secret": "crm_token"}]
    activation = run(connection, receiver, headers=headers)
    assert (activation.state, activation.error_code, receiver.got) == ("failed", "secret", [])
    assert said in activation.error
    draft = Draft.of(activation.version)  # type: ignore[arg-type]  # it is there
    assert [
        (p.where, p.field)
        for p in list_problems(draft, RunScope(connection.agency, [connection]))
        if p.field == "headers"
    ] == [(0, "headers")]


def test_another_agencys_secret_is_not_known(
    connection: Connection, receiver: Receiver, foreign_agency: Agency
) -> None:
    make_secret(foreign_agency, "crm_token", host="localhost", value=VALUE)
    headers = [{"name": "Authorization", "value": "", "secret": "crm_token"}]
    assert run(connection, receiver, headers=headers).error_code == "secret"


def test_sealed_value_opens_for_its_own_row_only(agency: Agency, foreign_agency: Agency) -> None:
    mine, theirs = make_secret(agency, "a"), make_secret(foreign_agency, "a")
    Secret.objects.filter(pk=theirs.pk).update(sealed=Secret.objects.get(pk=mine.pk).sealed)
    with pytest.raises(encryption.CannotOpen):
        secret_values.open_secrets(foreign_agency.pk, ["a"])
    Secret.objects.filter(pk=mine.pk).update(host="evil.example.com")
    with pytest.raises(encryption.CannotOpen):
        secret_values.open_secrets(agency.pk, ["a"])


# -- pages of secret values --

ADDED = {"name": "crm_token", "host": "https://API.example.com/v1", "value": VALUE}


def test_secret_is_added_replaced_and_deleted(as_admin: Client, agency: Agency) -> None:
    answer = as_admin.post("/northwind/settings/secrets/add/", ADDED, follow=True)
    assert "crm_token is kept" in answer.content.decode()
    secret = Secret.objects.get()
    assert secret.host == "api.example.com"
    assert secret_values.open_secrets(agency.pk, ["crm_token"])["crm_token"].value == VALUE
    as_admin.post(f"/northwind/settings/secrets/{secret.pk}/replace/", {"value": "another-token"})
    assert (
        secret_values.open_secrets(agency.pk, ["crm_token"])["crm_token"].value == "another-token"
    )
    as_admin.post(f"/northwind/settings/secrets/{secret.pk}/delete/")
    assert Secret.objects.count() == 0
    assert list(AuditEntry.objects.order_by("id").values_list("verb", flat=True)) == [
        "secret value added",
        "secret value replaced",
        "secret value deleted",
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "1st"},
        {"name": "with space"},
        {"host": "localhost"},
        {"host": "127.0.0.1"},
        {"host": "user@example.com"},
        {"value": "short"},
        {"value": "with\nline breaks"},
        {"value": "Bärer-token-123"},
        {"name": "taken"},
    ],
)
def test_wrong_input_is_said_and_the_value_not_shown(
    as_admin: Client, agency: Agency, changed: dict[str, str]
) -> None:
    make_secret(agency, "taken")
    answer = as_admin.post("/northwind/settings/secrets/add/", ADDED | changed)
    assert answer.status_code == 422
    assert VALUE not in answer.content.decode()
    assert 'aria-invalid="true"' in answer.content.decode()
    assert Secret.objects.count() == 1


def test_foreign_secret_is_not_found(as_admin: Client, foreign_agency: Agency) -> None:
    secret = make_secret(foreign_agency)
    for verb in ("replace", "delete"):
        path = f"/northwind/settings/secrets/{secret.pk}/{verb}/"
        assert as_admin.post(path, {"value": "another-token"}).status_code == 404
    assert Secret.objects.count() == 1


# -- answers --

OUTCOMES = {
    "200 text": (200, b"fine", "text/plain", "succeeded", "", "fine"),
    "204": (204, b"", "", "succeeded", "", None),
    "301": (301, b"", "", "failed", "redirect", None),
    "400": (400, b"no", "", "failed", "refused", None),
    "500": (500, b"oops", "", "failed", "refused", None),
    "502": (502, b"", "", "unknown", "unknown-outcome", None),
    "503": (503, b"", "", "ready", "waiting", None),
    "not json": (200, b"{oops", "application/json", "succeeded", "", None),
    "NaN": (200, b"[NaN]", "application/json", "succeeded", "", None),
    "deep": (200, b"[" * 90_000 + b"]" * 90_000, "application/json", "succeeded", "", None),
    "large number": (200, b"[1e99999]", "application/json", "succeeded", "", None),
    "NUL and surrogates": (
        200,
        b'["\\u0000\\ud800"]',
        "application/json",
        "succeeded",
        "",
        ["\ufffd\ufffd"],
    ),
}


@pytest.mark.parametrize(
    ("status", "body", "kind", "state", "code", "read"), OUTCOMES.values(), ids=OUTCOMES
)
def test_answer_means(
    connection: Connection,
    receiver: Receiver,
    status: int,
    body: bytes,
    kind: str,
    state: str,
    code: str,
    read: Any,
) -> None:
    receiver.behave = answering(status, body, Content_Type=kind or "text/plain")
    activation = run(connection, receiver)
    assert (activation.state, activation.error_code) == (state, code)
    if state == "succeeded":
        assert output()["body"] == (read if status != 204 else "")


@pytest.mark.parametrize(
    ("after", "seconds"), [("120", 120), ("999999999", 86_400), ("", None), ("soon", None)]
)
def test_retry_after_is_heeded(
    connection: Connection, receiver: Receiver, after: str, seconds: int | None
) -> None:
    receiver.behave = answering(429, b"", Retry_After=after)
    before = timezone.now()
    activation = run(connection, receiver)
    assert activation.state == "ready"
    if seconds is not None:
        assert (
            timedelta(0)
            <= activation.next_at - before - timedelta(seconds=seconds)
            < timedelta(seconds=30)
        )
    assert SentRequest.objects.count() == 0


def test_retry_after_may_be_a_date(connection: Connection, receiver: Receiver) -> None:
    at = timezone.now().replace(microsecond=0) + timedelta(hours=2)
    receiver.behave = answering(503, b"", Retry_After=f"{at:%a, %d %b %Y %H:%M:%S} GMT")
    assert run(connection, receiver).next_at == at


# -- once and only once --


def broken_off(handler: Any) -> None:
    handler.wfile.write(b"")


def test_lost_answer_of_a_write_needs_a_decision(
    connection: Connection, receiver: Receiver, owner: User
) -> None:
    receiver.behave = broken_off
    activation = run(connection, receiver, json='{"a": 1}')
    assert (activation.state, activation.error_code) == ("unknown", "unknown-outcome")
    key = receiver.got[0].headers["Idempotency-Key"]
    receiver.behave = answering(200)
    replay.replay_where_it_ended(activation=activation, by=owner)
    assert again(activation).state == "succeeded"
    assert [got.headers["Idempotency-Key"] for got in receiver.got] == [key, key]


def test_lost_answer_of_a_reading_is_tried_again(
    connection: Connection, receiver: Receiver
) -> None:
    receiver.behave = broken_off
    assert run(connection, receiver, method="GET").state == "ready"


def test_step_marked_as_done_goes_on(
    connection: Connection, receiver: Receiver, as_owner: Client
) -> None:
    receiver.behave = broken_off
    activation = run(connection, receiver)
    page = f"/northwind/activations/{activation.pk}/"
    assert "Mark as done and go on" in as_owner.get(page).content.decode()
    as_owner.post(f"{page}done/")
    assert again(activation).state == "succeeded"
    assert len(receiver.got) == 1
    run_of_it = StepRun.objects.latest("id")
    assert (run_of_it.outcome, run_of_it.error) == ("done", "Marked as done by Olivia Owner.")
    again_told = as_owner.post(f"{page}done/", follow=True).content.decode()
    assert "It does not wait for such a decision." in again_told


def test_killed_between_answer_and_its_note_does_not_send_again(
    connection: Connection, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    activation = started(connection, receiver, json='{"a": 1}')
    lanes.wake_lanes([connection.pk])
    with monkeypatch.context() as killed:
        killed.setattr(Batch, "store", Killed())
        with pytest.raises(KeyboardInterrupt):
            runner.run_lane(connection.pk)
    Activation.objects.update(lease_token=None)
    assert again(activation).state == "succeeded"
    assert len(receiver.got) == 1


def test_killed_while_sending_asks_a_person(
    connection: Connection, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    activation = started(connection, receiver, json='{"a": 1}')
    lanes.wake_lanes([connection.pk])
    with monkeypatch.context() as killed:
        killed.setattr(http_action, "_send_all", Killed())
        with pytest.raises(KeyboardInterrupt):
            runner.run_lane(connection.pk)
    Activation.objects.update(lease_token=None)
    assert again(activation).state == "unknown"
    assert receiver.got == []


class Killed:
    def __call__(self, *_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt


def test_each_element_is_a_request_of_its_own(connection: Connection, receiver: Receiver) -> None:
    url = f"http://localhost:{receiver.port}/"
    given = {"method": "POST", "url": url, "json": '{"n": "{{ item }}"}'}
    step = {
        "name": "call",
        "action": "core/http-request",
        "input": given,
        "for_each": "{{ trigger.list }}",
    }
    workflow = make_workflow(connection.agency, connection, steps=[step])
    activation = make_activation(workflow, connection, trigger_data={"list": [1, 1, 2]})
    lanes.wake_lanes([connection.pk])
    assert again(activation).state == "succeeded"
    assert sorted(got.body for got in receiver.got) == [b'{"n":1}', b'{"n":1}', b'{"n":2}']
    assert len({got.headers["Idempotency-Key"] for got in receiver.got}) == 3


def test_slow_receivers_hold_nobody_long(
    connection: Connection, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_action, "AT_ONCE", 1)
    monkeypatch.setattr(http_action, "BEGIN_WITHIN", -1.0)
    activation = run(connection, receiver)
    assert (activation.state, activation.attempt, receiver.got) == ("ready", 0, [])


# -- the form --

WRONG = {
    "host from an expression": ({"url": "https://{{ trigger.number }}.example.com/"}, "url"),
    "http": ({"url": "http://api.example.com/"}, "url"),
    "private": ({"url": "https://127.0.0.1/"}, "url"),
    "two bodies": ({"json": "{}", "text": "x"}, "text"),
    "body of a GET": ({"method": "GET", "json": "{}"}, "method"),
    "no JSON": ({"json": '{"a": {{ trigger.number }}}'}, "json"),
    "header name": ({"headers": [{"name": "X Y", "value": "1"}]}, "headers"),
    "host header": ({"headers": [{"name": "Host", "value": "evil"}]}, "headers"),
    "transfer-encoding": (
        {"headers": [{"name": "transfer-encoding", "value": "chunked"}]},
        "headers",
    ),
    "line break": ({"headers": [{"name": "X", "value": "a\r\nY: b"}]}, "headers"),
    "secret from an expression": (
        {"headers": [{"name": "X", "value": "", "secret": "{{ x }}"}]},
        "headers",
    ),
    "query without a name": ({"query": [{"name": "", "value": "1"}]}, "query"),
    "unknown method": ({"method": "TRACE"}, "method"),
}


@pytest.mark.parametrize(("changed", "field"), WRONG.values(), ids=WRONG)
def test_form_refuses(changed: dict[str, Any], field: str) -> None:
    form = HttpRequestForm(data={"method": "POST", "url": "https://api.example.com/"} | changed)
    assert list(form.errors) == [field]
    step = Step(
        "call", "core/http-request", {"method": "POST", "url": "https://api.example.com/"} | changed
    )
    found = list_problems(Draft("xero/invoice-paid", {"documents": "ACCREC"}, [step]))
    assert field in {problem.field for problem in found}


def test_expressions_in_the_document_are_looked_at() -> None:
    given = {
        "method": "POST",
        "url": "https://api.example.com/{{ steps.gone.x }}",
        "json": '{"a": "{{ steps.gone.y }}"}',
    }
    found = list_problems(
        Draft(
            "xero/invoice-paid", {"documents": "ACCREC"}, [Step("call", "core/http-request", given)]
        )
    )
    assert [problem.field for problem in found] == ["url", "json"]


def test_step_in_words_names_the_secret() -> None:
    headers = [{"name": "Authorization", "value": "Bearer", "secret": "crm_token"}]
    given = {"method": "POST", "url": "https://api.example.com/", "headers": headers}
    assert step_in_words(Step("call", "core/http-request", given)) == [
        "Method: POST",
        "Address: https://api.example.com/",
        "Authorization = Bearer and the secret value crm_token",
    ]


def test_step_survives_export_and_import() -> None:
    headers = [{"name": "Authorization", "value": "Bearer", "secret": "crm_token"}]
    given = {
        "method": "POST",
        "url": "https://api.example.com/",
        "headers": headers,
        "json": '{"z": 1, "a": 2}',
    }
    draft = Draft(
        "core/schedule", {"every": "day", "at": "09:00"}, [Step("call", "core/http-request", given)]
    )
    assert import_export.read_workflow(import_export.write_workflow("Mine", draft)) == (
        "Mine",
        draft,
    )


def test_limits_are_as_written_down() -> None:
    assert (outbound_http.TOTAL_SECONDS, outbound_http.LARGEST_ANSWER) == (30.0, 4 * 1024 * 1024)
    assert http_action.BEGIN_WITHIN + outbound_http.TOTAL_SECONDS < 40  # the watchdog's patience


def test_builder_keeps_headers_with_their_secrets(as_member: Client, agency: Agency) -> None:
    typed = {
        "trigger": "core/manual",
        "step": "s1",
        "step-s1-action": "core/http-request",
        "step-s1-name": "call",
    }
    typed |= {"step-s1-headers-0-name": "Authorization", "step-s1-headers-0-value": "Bearer"}
    typed |= {"step-s1-headers-0-secret": "crm_token", "do": "again"}
    page = as_member.post("/northwind/workflows/new/", typed)
    assert (
        '<option value="crm_token" selected>crm_token (not there)</option>' in page.content.decode()
    )
    make_secret(agency, "crm_token", host="api.example.com")
    shown = as_member.post("/northwind/workflows/new/", typed).content.decode()
    assert '<option value="crm_token" selected>crm_token · api.example.com</option>' in shown
    row = {"name": "Authorization", "value": "Bearer", "secret": "crm_token"}
    assert page.context["builder"].cards[0].step.input["headers"] == [row]
