"""The receiver and the reading of bodies: table C1 of the reliability rules."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client

from connections.events import ReportedEvent, UnparsableDelivery, UnusableEvent
from connections.models import Delivery, Event, Refusal, StrayEvent
from connections.webhooks import fan_out, receiver
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection
from xero.webhooks import LARGEST_DELIVERY, XeroWebhooks, parse_event_date

URL = "/webhooks/xero/"
KEY = "a-webhook-key-for-tests"
TENANT = "2f0a7c2e-6f7e-4f57-9d44-0f3c1b8a7d11"
INVOICE = "d3b1c1f4-6d0e-4a53-9f0c-2f7d5f1b2a10"
LATELY = datetime.now(UTC).replace(microsecond=198_000) - timedelta(
    days=1
)  # what is old is not taken in
INTENT = b'{"events":[],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "LUWDSUDGSWNZVALZXBEV"}'


def sign(body: bytes, key: str = KEY) -> str:
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def event(**changes: Any) -> dict[str, Any]:
    return {
        "resourceUrl": f"https://api.xero.com/api.xro/2.0/Invoices/{INVOICE}",
        "resourceId": INVOICE,
        "tenantId": TENANT,
        "tenantType": "ORGANISATION",
        "eventCategory": "INVOICE",
        "eventType": "UPDATE",
        "eventDateUtc": f"{LATELY:%Y-%m-%dT%H:%M:%S}.198",
    } | changes


def body_of(*events: Any) -> bytes:
    number = len(events)
    return json.dumps(
        {"events": events, "firstEventSequence": 1, "lastEventSequence": number, "entropy": "X"}
    ).encode()


def post(client: Client, body: bytes, signature: str | None = None, **headers: str) -> Any:
    given = sign(body) if signature is None else signature
    return client.generic(
        "POST",
        URL,
        body,
        content_type="application/json",
        headers={"x-xero-signature": given, **headers},
    )


@pytest.mark.django_db
def test_signed_delivery_is_stored_and_answered_empty(client: Client) -> None:
    answer = post(client, INTENT)
    assert (answer.status_code, answer.content, dict(answer.cookies)) == (200, b"", {})
    delivery = Delivery.objects.get()
    assert (bytes(delivery.body), bytes(delivery.sha256), delivery.state) == (
        INTENT,
        hashlib.sha256(INTENT).digest(),
        "waiting",
    )


@pytest.mark.django_db
def test_any_configured_key_verifies(client: Client, settings: Any) -> None:
    settings.XERO_WEBHOOK_KEYS = ["a new key", "the old key"]
    assert post(client, INTENT, sign(INTENT, "the old key")).status_code == 200
    assert post(client, INTENT, sign(INTENT, "a new key")).status_code == 200
    assert post(client, INTENT, sign(INTENT)).status_code == 401


RIGHT = sign(INTENT)
WRONG_SIGNATURES = {
    "empty": "",
    "not base64": "%%%%",
    "not ascii": "é" * 10,
    "wrong": sign(b"something else"),
    "first character changed": ("A" if RIGHT[0] != "A" else "B") + RIGHT[1:],
    "last digit changed": RIGHT[:-2] + ("A" if RIGHT[-2] != "A" else "E") + "=",
    "trailing space inside": RIGHT[:10] + " " + RIGHT[10:],
    "two values": f"{RIGHT},{RIGHT}",
    "hex": hmac.new(KEY.encode(), INTENT, hashlib.sha256).hexdigest(),
    "very long": "A" * 1_000_000,
    "of re-serialised JSON": sign(json.dumps(json.loads(INTENT)).encode()),
}


@pytest.mark.django_db
@pytest.mark.parametrize("signature", WRONG_SIGNATURES.values(), ids=WRONG_SIGNATURES.keys())
def test_wrong_signature_is_401_and_only_counted(client: Client, signature: str) -> None:
    answer = post(client, INTENT, signature)
    assert (answer.status_code, answer.content, dict(answer.cookies)) == (401, b"", {})
    assert Delivery.objects.count() == 0


@pytest.mark.django_db
def test_missing_signature_is_401(client: Client) -> None:
    answer = client.post(URL, INTENT, content_type="application/json")
    assert answer.status_code == 401


@pytest.mark.django_db
def test_refusals_are_counted_per_minute(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "refusals", receiver.Refusals())
    for _ in range(3):
        post(client, INTENT, "")
    assert sum(Refusal.objects.values_list("count", flat=True)) == 3


@pytest.mark.django_db
def test_flood_of_refusals_writes_little_and_counts_all(
    django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = receiver.Refusals()
    monkeypatch.setattr("connections.webhooks.receiver.time.monotonic", lambda: 100.0)
    with django_assert_num_queries(refusals.WRITES_A_SECOND):
        for _ in range(500):
            refusals.add("xero")
    monkeypatch.setattr("connections.webhooks.receiver.time.monotonic", lambda: 101.0)
    refusals.add("xero")
    assert sum(Refusal.objects.values_list("count", flat=True)) == 501


@pytest.mark.django_db
def test_no_configured_key_refuses_everything(client: Client, settings: Any) -> None:
    settings.XERO_WEBHOOK_KEYS = []
    assert post(client, INTENT, sign(INTENT, "")).status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_405_without_cookie(client: Client, method: str) -> None:
    answer = client.generic(method, URL)
    assert (answer.status_code, dict(answer.cookies)) == (405, {})


@pytest.mark.django_db
def test_body_over_the_limit_is_413(client: Client) -> None:
    body = b" " * (LARGEST_DELIVERY + 1)
    assert post(client, body).status_code == 413
    assert Delivery.objects.count() == 0


@pytest.mark.django_db
def test_address_without_its_last_slash_is_taken(client: Client) -> None:
    headers = {"x-xero-signature": sign(INTENT)}
    answer = client.generic("POST", "/webhooks/xero", INTENT, headers=headers)
    assert (answer.status_code, Delivery.objects.count()) == (200, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/",
        "/webhooks/other/",
        "/webhooks/xero/more/",
        "/webhooks/xero//",
        "/webhooks/invoices/",
    ],
)
def test_other_addresses_below_webhooks_go_the_way_of_pages(
    client: Client, method: str, path: str
) -> None:
    """Found to be a page of an agency called so, without the middleware that pages need, they were
    a 500.
    """
    assert client.generic(method, path).status_code in {302, 403, 404, 405}


@pytest.mark.django_db
def test_content_type_is_not_trusted(client: Client) -> None:
    headers = {"x-xero-signature": sign(INTENT)}
    answer = client.generic("POST", URL, INTENT, content_type="text/plain", headers=headers)
    assert answer.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_database_trouble_is_503_so_that_xero_sends_again(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE connections_delivery RENAME TO connections_delivery_away")
    try:
        answer = post(client, INTENT)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE connections_delivery_away RENAME TO connections_delivery")
    assert (answer.status_code, answer.content) == (503, b"")


UNPARSABLE = {
    "empty body": b"",
    "scalar": b"7",
    "list": b"[]",
    "null": b"null",
    "no events": b"{}",
    "events no list": b'{"events": {}}',
    "trailing text": b'{"events": []} and more',
    "byte order mark": b'\xef\xbb\xbf{"events": []}',
    "UTF-16": '{"events": []}'.encode("utf-16"),
    "invalid UTF-8": b'{"events": [], "entropy": "\xff"}',
    "NaN": b'{"events": [], "firstEventSequence": NaN}',
    "Infinity": b'{"events": [], "firstEventSequence": -Infinity}',
    "5000 digits": b'{"events": [], "firstEventSequence": ' + b"9" * 5000 + b"}",
    "deep nesting": b'{"events": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "key twice": b'{"events": [], "events": []}',
    "tenant twice": b'{"events": [{"tenantId": "a", "tenantId": "b"}]}',
}


@pytest.mark.django_db
@pytest.mark.parametrize("body", UNPARSABLE.values(), ids=UNPARSABLE.keys())
def test_unparsable_body_is_200_and_kept_with_the_reason(client: Client, body: bytes) -> None:
    assert post(client, body).status_code == 200
    assert fan_out.fan_out() == 1
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.verdict, bytes(delivery.body)) == (
        "unparsable",
        "unparsable",
        body,
    )
    assert delivery.reason


ODD_BUT_FINE = {
    "NUL in entropy": b'{"events": [], "entropy": "\\u0000"}',
    "lone surrogate": b'{"events": [], "entropy": "\\ud800"}',
    "1e999": b'{"events": [], "firstEventSequence": 1e999}',
    "extra fields": b'{"events": [], "more": {"a": [1, 2]}}',
    "sequence backwards": b'{"events": [], "firstEventSequence": 9, "lastEventSequence": 3}',
}


@pytest.mark.django_db
@pytest.mark.parametrize("body", ODD_BUT_FINE.values(), ids=ODD_BUT_FINE.keys())
def test_odd_body_without_events_counts_as_intent_to_receive(client: Client, body: bytes) -> None:
    assert post(client, body).status_code == 200
    fan_out.fan_out()
    assert Delivery.objects.get().verdict == "intent to receive"


UNUSABLE = {
    "tenantId null": event(tenantId=None),
    "tenantId a path": event(tenantId="../../etc/passwd"),
    "tenantId a number": event(tenantId=7),
    "resourceId missing": {k: v for k, v in event().items() if k != "resourceId"},
    "resourceId with path": event(resourceId=f"../{INVOICE}"),
    "resourceId with quotes": event(resourceId='"; DROP TABLE'),
    "resourceId 10 kB": event(resourceId="a" * 10_000),
    "resourceId in braces": event(resourceId="{" + INVOICE + "}"),
    "category missing": event(eventCategory=None),
    "category with spaces": event(eventCategory="IN VOICE"),
    "category too long": event(eventCategory="I" * 31),
    "type unknown": event(eventType="EXPLODE"),
    "date missing": event(eventDateUtc=None),
    "date empty": event(eventDateUtc=""),
    "date negative": event(eventDateUtc="-2026-05-01T14:32:04"),
    "date of February 30": event(eventDateUtc="2026-02-30T00:00:00"),
    "date /Date()/": event(eventDateUtc="/Date(1539993600000+0000)/"),
    "date before year 1 in UTC": event(eventDateUtc="0001-01-01T00:00:00+14:00"),
    "not an object": "event",
    "null": None,
}


@pytest.mark.django_db
@pytest.mark.parametrize("item", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_unusable_event_is_set_apart_and_its_neighbour_lives(
    client: Client, workspace: Workspace, item: Any
) -> None:
    make_connection(workspace, tenant_id=TENANT)
    assert post(client, body_of(item, event())).status_code == 200
    fan_out.fan_out()
    assert (Event.objects.count(), StrayEvent.objects.count()) == (1, 1)


MOMENTS = {
    "2026-05-01T14:32:04.198": datetime(2026, 5, 1, 14, 32, 4, 198000, tzinfo=UTC),
    "2026-05-01T14:32:04": datetime(2026, 5, 1, 14, 32, 4, tzinfo=UTC),
    "2026-05-01T14:32:04Z": datetime(2026, 5, 1, 14, 32, 4, tzinfo=UTC),
    "2026-05-01T14:32:04.1234567": datetime(2026, 5, 1, 14, 32, 4, 123456, tzinfo=UTC),
    "2026-05-01T14:32:04+12:00": datetime(2026, 5, 1, 2, 32, 4, tzinfo=UTC),
    "0001-01-01T00:00:00": datetime(1, 1, 1, tzinfo=UTC),
    "9999-12-31T23:59:59": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
}


@pytest.mark.parametrize(("text", "expected"), MOMENTS.items())
def test_moment_reads_xeros_dates_as_utc(text: str, expected: datetime) -> None:
    assert parse_event_date(text) == expected


def test_parse_compares_types_without_regard_to_case() -> None:
    found = XeroWebhooks().parse(
        body_of(event(eventType="Update", eventCategory="Invoice", resourceUrl="ftp://x"))
    )
    assert found == [
        ReportedEvent(
            tenant_id=UUID(TENANT),
            category="INVOICE",
            type="UPDATE",
            resource_id=UUID(INVOICE),
            occurred_at=LATELY,
        )
    ]


def test_parse_keeps_a_new_category() -> None:
    (found,) = XeroWebhooks().parse(body_of(event(eventCategory="PREPAYMENT")))
    assert isinstance(found, ReportedEvent)
    assert found.category == "PREPAYMENT"


def test_parse_cuts_what_it_sets_apart() -> None:
    (found,) = XeroWebhooks().parse(body_of(event(resourceId="x" * 100_000)))
    assert isinstance(found, UnusableEvent)
    assert len(found.content) == 2000


def test_parse_refuses_what_is_no_delivery() -> None:
    with pytest.raises(UnparsableDelivery, match="list of events"):
        XeroWebhooks().parse(b"{}")
