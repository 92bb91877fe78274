"""Webhooks: the wire format, intent to receive, deliveries, retries, and what goes wrong with them."""

import re
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.sandbox_process import SandboxProcess
from tests.xero.sandbox import openapi
from tests.xero.sandbox.app import App
from tests.xero.sandbox.receiver import Answer, Receiver, wait_for
from xero.sandbox.webhooks.envelope import intent_body, one_character_off, sign

EVENT = (
    r'\{"resourceUrl":"https://api\.xero\.com/api\.xro/2\.0/\w+/[0-9a-f-]{36}","resourceId":"[0-9a-f-]{36}",'
    r'"tenantId":"[0-9a-f-]{36}","tenantType":"ORGANISATION","eventCategory":"\w+","eventType":"(CREATE|UPDATE)",'
    r'"eventDateUtc":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}"\}'
)
BODY = (
    rf'\{{"events":\[{EVENT}(,{EVENT})*\],"firstEventSequence":\d+,"lastEventSequence": \d+, '
    r'"entropy": "[A-Z]{20}"\}'
)


def subscribe(sandbox: SandboxProcess, url: str, **more: Any) -> dict[str, Any]:
    return dict(sandbox.api("POST", "subscription", {"url": url, **more}))


@pytest.fixture
def subscribed(app: App, receiver: Receiver) -> Iterator[App]:
    """Connected and proven, nothing received yet. The subscription ends with the test, its events
    with it.
    """
    assert subscribe(app.sandbox, receiver.url, categories=["INVOICE", "CONTACT"])["status"] == "ok"
    receiver.received.clear()
    yield app
    wait_for(lambda: app.sandbox.api("GET", "subscription")["waiting"] == 0)


def test_probe_body_is_the_observed_95_bytes() -> None:
    assert re.fullmatch(
        rb'\{"events":\[\],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "[A-Z]{20}"\}',
        intent_body(),
    )


def test_signature_one_character_off_differs_in_one_character_and_in_bytes() -> None:
    right = sign("key", b"body")
    wrong = one_character_off(right)
    assert sum(a != b for a, b in zip(right, wrong, strict=True)) == 1
    assert right[:8] == wrong[:8]


def test_intent_to_receive_sends_three_wrong_signatures_and_a_right_one(
    sandbox: SandboxProcess, receiver: Receiver
) -> None:
    subscription = subscribe(sandbox, receiver.url)
    assert [(probe["status"], probe["problem"]) for probe in subscription["probes"]] == [
        (401, None),
        (401, None),
        (401, None),
        (200, None),
    ]
    assert [received.valid for received in receiver.received] == [False, False, False, True]
    assert {received.headers["content-type"] for received in receiver.received} == {
        "application/json; charset=utf-8"
    }
    assert subscription["status"] == "ok"


@pytest.mark.parametrize(
    ("answer", "problems"),
    [
        (Answer(wrong=403), ["Response to incorrectly signed payload not 401"] * 3 + [None]),
        (Answer(wrong=200), ["Response to incorrectly signed payload not 401"] * 3 + [None]),
        (Answer(right=500), [None] * 3 + ["Response not 2XX"]),
        (Answer(right=302), [None] * 3 + ["Response not 2XX"]),
        (Answer(body=b"ok"), ["Response contains a body"] * 4),
        (Answer(cookie=True), ["Response contains a cookie"] * 4),
    ],
)
def test_intent_to_receive_fails_in_xeros_words(
    sandbox: SandboxProcess, receiver: Receiver, answer: Answer, problems: list[str | None]
) -> None:
    receiver.answer = answer
    subscription = subscribe(sandbox, receiver.url)
    assert [probe["problem"] for probe in subscription["probes"]] == problems
    assert subscription["status"] == "intent_to_receive_required"
    receiver.answer = Answer()
    assert sandbox.api("POST", "subscription/intent-to-receive")["status"] == "ok"


def test_receiver_that_is_away_or_too_slow_fails(
    sandbox: SandboxProcess, receiver: Receiver
) -> None:
    sandbox.api("POST", "settings", {"webhook_timeout_seconds": 0.3})
    receiver.answer = Answer(delay=0.6)
    slow = subscribe(sandbox, receiver.url)["probes"][0]
    away = subscribe(sandbox, "http://127.0.0.1:9/")["probes"][0]
    sandbox.api("POST", "settings", {"webhook_timeout_seconds": 5})
    assert (slow["status"], slow["problem"]) == (None, "No response within 0.3 seconds")
    assert away["status"] is None


def test_change_is_delivered_with_xeros_bytes_and_signature(
    subscribed: App, receiver: Receiver
) -> None:
    before = subscribed.sandbox.api("GET", "subscription")["sequence"]
    created = subscribed.contact(f"Told {uuid4()}").json()["Contacts"][0]["ContactID"]
    wait_for(receiver.events)
    [delivery] = receiver.received
    assert delivery.valid
    assert re.fullmatch(BODY, delivery.body.decode())
    openapi.check_schema("webhooks.yaml", "WebhookEvent", delivery.json)
    [event] = delivery.json["events"]
    assert (event["resourceId"], event["eventCategory"], event["eventType"], event["tenantId"]) == (
        created,
        "CONTACT",
        "CREATE",
        subscribed.tenant,
    )
    assert (delivery.json["firstEventSequence"], delivery.json["lastEventSequence"]) == (
        before + 1,
        before + 1,
    )


def test_changes_by_hand_are_delivered_in_one_batch(subscribed: App, receiver: Receiver) -> None:
    subscribed.sandbox.api("POST", "settings", {"webhook_delay_ms": 300})
    for _ in range(3):
        subscribed.sandbox.xero(
            "PUT", subscribed.tenant, "Contacts", {"Name": f"By hand {uuid4()}"}
        )
    wait_for(lambda: len(receiver.events()) == 3)
    subscribed.sandbox.api("POST", "settings", {"webhook_delay_ms": 20})
    [delivery] = receiver.received
    body = delivery.json
    assert body["lastEventSequence"] - body["firstEventSequence"] == 2


def test_payment_tells_of_its_invoice(subscribed: App, receiver: Receiver) -> None:
    query = "Invoices?Statuses=AUTHORISED&page=1&where=AmountPaid==0"
    invoice = subscribed.sandbox.xero("GET", subscribed.tenant, query)["Invoices"][0]
    body = {"invoice_id": invoice["InvoiceID"], "amount": 1}
    subscribed.sandbox.api("POST", f"organisations/{subscribed.tenant}/pay", body)
    wait_for(receiver.events)
    assert {
        (event["eventCategory"], event["eventType"], event["resourceId"])
        for event in receiver.events()
    } == {("INVOICE", "UPDATE", invoice["InvoiceID"])}


def test_nothing_is_told_of_organisations_that_are_not_connected(
    subscribed: App, receiver: Receiver
) -> None:
    other = subscribed.sandbox.organisation(2)["tenant_id"]
    subscribed.sandbox.xero("PUT", other, "Contacts", {"Name": f"Elsewhere {uuid4()}"})
    subscribed.sandbox.xero("PUT", subscribed.tenant, "Contacts", {"Name": f"Here {uuid4()}"})
    wait_for(receiver.events)
    assert [event["tenantId"] for event in receiver.events()] == [subscribed.tenant]


def test_nothing_is_told_of_categories_not_subscribed(subscribed: App, receiver: Receiver) -> None:
    subscribe(subscribed.sandbox, receiver.url, categories=["INVOICE"])
    subscribed.sandbox.xero("PUT", subscribed.tenant, "Contacts", {"Name": f"Silent {uuid4()}"})
    assert subscribed.sandbox.api("GET", "subscription")["waiting"] == 0


def test_failed_delivery_is_tried_again_at_once_then_at_intervals(
    subscribed: App, receiver: Receiver
) -> None:
    receiver.answer = Answer(right=500)
    subscribed.contact(f"Retried {uuid4()}")
    wait_for(lambda: len(receiver.received) == 2)
    assert subscribed.sandbox.api("GET", "subscription")["status"] == "retry"
    first, second = receiver.received
    assert first.body == second.body
    receiver.answer = Answer()
    wait_for(lambda: subscribed.sandbox.api("GET", "subscription")["status"] == "ok")
    assert receiver.received[-1].body == first.body


def test_a_day_of_failures_disables_until_proven_again(subscribed: App, receiver: Receiver) -> None:
    sandbox = subscribed.sandbox
    receiver.answer = Answer(right=500)
    sandbox.api("POST", "settings", {"webhook_retry_for_seconds": 2})
    subscribed.contact(f"Given up {uuid4()}")
    wait_for(lambda: sandbox.api("GET", "subscription")["status"] == "disabled")
    sandbox.api("POST", "settings", {"webhook_retry_for_seconds": 86400})
    subscribed.contact(f"Kept {uuid4()}")
    receiver.answer = Answer()
    receiver.received.clear()
    assert sandbox.api("POST", "subscription/intent-to-receive")["status"] == "ok"
    wait_for(lambda: len(receiver.events()) == 2)
    assert sandbox.api("GET", "subscription")["status"] == "ok"


def test_body_in_the_answer_counts_as_failure(subscribed: App, receiver: Receiver) -> None:
    receiver.answer = Answer(body=b"thanks")
    subscribed.contact(f"Thanked {uuid4()}")
    wait_for(lambda: subscribed.sandbox.api("GET", "subscription")["status"] == "retry")
    log = subscribed.sandbox.api("GET", "deliveries")
    receiver.answer = Answer()
    assert log[-1]["problem"] == "Response contains a body"


@pytest.mark.parametrize(
    ("kind", "deliveries"),
    [("webhook_duplicate", [True, True]), ("webhook_wrong_signature", [False, True])],
)
def test_delivery_fault_repeats_or_forges(
    subscribed: App, receiver: Receiver, kind: str, deliveries: list[bool]
) -> None:
    subscribed.sandbox.api("POST", "faults", {"kind": kind})
    subscribed.contact(f"Fault {uuid4()}")
    wait_for(lambda: len(receiver.received) == 2)
    assert [received.valid for received in receiver.received] == deliveries
    assert receiver.received[0].body == receiver.received[1].body


def test_missing_delivery_leaves_a_gap_in_the_sequence(subscribed: App, receiver: Receiver) -> None:
    before = subscribed.sandbox.api("GET", "subscription")["sequence"]
    subscribed.sandbox.api("POST", "faults", {"kind": "webhook_missing"})
    subscribed.contact(f"Lost {uuid4()}")
    wait_for(lambda: subscribed.sandbox.api("GET", "subscription")["waiting"] == 0)
    subscribed.contact(f"Not lost {uuid4()}")
    wait_for(receiver.events)
    assert [received.json["firstEventSequence"] for received in receiver.received] == [before + 2]


def test_reordered_deliveries_come_newest_first(subscribed: App, receiver: Receiver) -> None:
    subscribed.sandbox.api("POST", "faults", {"kind": "webhook_reordered"})
    for _ in range(2):
        subscribed.contact(f"Order {uuid4()}")
        time.sleep(0.1)
    wait_for(lambda: len(receiver.received) == 2)
    newer, older = (received.json["firstEventSequence"] for received in receiver.received)
    assert newer == older + 1


def test_burst_sends_single_events_of_real_invoices(subscribed: App, receiver: Receiver) -> None:
    report = subscribed.sandbox.api("POST", "burst", {"count": 100, "concurrency": 8})
    assert (report["sent"], report["statuses"]) == (100, {"200": 100})
    events = receiver.events()
    assert len({(event["resourceId"], event["eventDateUtc"]) for event in events}) == 100
    sequences = sorted(received.json["firstEventSequence"] for received in receiver.received)
    assert sequences == list(range(report["first_sequence"], report["first_sequence"] + 100))


def test_test_event_and_skipped_numbers(subscribed: App, receiver: Receiver) -> None:
    before = subscribed.sandbox.api("GET", "subscription")["sequence"]
    subscribed.sandbox.api("POST", "subscription/skip", {"count": 5})
    id = str(uuid4())
    body = {
        "tenant_id": subscribed.tenant,
        "resource_id": id,
        "category": "INVOICE",
        "type": "CREATE",
    }
    subscribed.sandbox.api("POST", "events", body)
    wait_for(receiver.events)
    [event] = receiver.events()
    assert (event["resourceId"], event["eventType"]) == (id, "CREATE")
    assert receiver.received[0].json["firstEventSequence"] == before + 6
