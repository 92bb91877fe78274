"""Xero's webhooks: the receiver, and the parsing of a delivery's body (Xero developer docs,
Webhooks overview).
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from connections.events import Gap, ReportedEvent, UnparsableDelivery, UnusableEvent
from connections.webhooks import receiver
from taskjuice.group_commit import TooSlow
from taskjuice.machines import mark_for_machines
from xero.models import SequenceGap

TYPES = frozenset({"CREATE", "UPDATE"})
GAPS_SHOWN = 20
LARGEST_DELIVERY = 2_621_440  # bytes; a thousand events take a tenth of it, and forms may hold more
EVENT_DATE = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?\Z")


@mark_for_machines
@csrf_exempt
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """Verify the signature of the raw bytes, store them and answer; 200 means that they are on
    disk.
    """
    began = time.perf_counter()
    try:
        body = request.body
    except RequestDataTooBig:
        return _build_empty_answer(413)
    if len(body) > LARGEST_DELIVERY:
        return _build_empty_answer(413)
    try:
        if not is_signed(body, request.META.get("HTTP_X_XERO_SIGNATURE", "")):
            receiver.refusals.add("xero")
            return _build_empty_answer(401)
        receiver.store_delivery("xero", body, began=began)
    except (Error, TooSlow):  # not on disk: Xero must send it again
        return _build_empty_answer(503)
    return _build_empty_answer(200)


def is_signed(body: bytes, signature: str) -> bool:
    """Return whether the signature is base64 of the body's HMAC-SHA256 under any of the configured
    keys.
    """
    try:
        digest = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    # All keys are tried, so that the time does not tell which one matched.
    matches = [
        hmac.compare_digest(hmac.new(key.encode(), body, hashlib.sha256).digest(), digest)
        for key in settings.XERO_WEBHOOK_KEYS
    ]
    return any(matches)


def _build_empty_answer(status: int) -> HttpResponse:
    response = HttpResponse(b"", status=status)
    del response["Content-Type"]  # Xero fails a delivery whose answer looks like a body
    response["Content-Length"] = "0"  # else the server sends an empty body in chunks
    return response


class XeroWebhooks:
    """The parser of delivery bodies. `resourceUrl` is never used: addresses are built from category
    and id.
    """

    def parse(self, body: bytes) -> list[ReportedEvent | UnusableEvent]:
        document = _decode(body)
        if not isinstance(document, dict) or not isinstance(document.get("events"), list):
            raise UnparsableDelivery("The body is not an object with a list of events.")
        return [_parse_event(item) for item in document["events"]]

    def gaps(self) -> list[Gap]:
        gaps = SequenceGap.objects.order_by("-found_at", "-first")[:GAPS_SHOWN]
        return [
            Gap(gap.first, gap.last, gap.found_at, gap.caught_up_at, gap.closed_at) for gap in gaps
        ]


def _decode(body: bytes) -> Any:
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_refuse_duplicates,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise UnparsableDelivery("The body is not UTF-8.") from error
    except RecursionError as error:
        raise UnparsableDelivery("The body is nested too deeply.") from error
    except ValueError as error:
        raise UnparsableDelivery(f"The body is not JSON: {str(error)[:200]}") from error


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return values


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _parse_event(item: Any) -> ReportedEvent | UnusableEvent:
    text = json.dumps(item)[:2000]
    if not isinstance(item, dict):
        return UnusableEvent("not an object", "", text)
    tenant = str(item.get("tenantId"))[:100]
    try:
        event = ReportedEvent(
            tenant_id=_read_uuid(item, "tenantId"),
            category=_read_word(item, "eventCategory", 30),
            type=_read_word(item, "eventType", 20),
            resource_id=_read_uuid(item, "resourceId"),
            occurred_at=parse_event_date(item.get("eventDateUtc")),
        )
    except ValueError as error:
        return UnusableEvent(str(error)[:100], tenant, text)
    if event.type not in TYPES:
        return UnusableEvent(f"unknown event type {event.type}", tenant, text)
    return event


def _read_uuid(item: dict[str, Any], key: str) -> UUID:
    value = item.get(key)
    if not isinstance(value, str) or len(value) != 36:
        raise ValueError(f"{key} is not a UUID")
    try:
        return UUID(value)
    except ValueError as error:
        raise ValueError(f"{key} is not a UUID") from error


def _read_word(item: dict[str, Any], key: str, longest: int) -> str:
    value = item.get(key)
    if (
        not isinstance(value, str)
        or not value.isidentifier()
        or not value.isascii()
        or len(value) > longest
    ):
        raise ValueError(f"{key} is not a word")
    return value.upper()


def parse_event_date(value: Any) -> datetime:
    """Parse `eventDateUtc`: ISO with milliseconds, in UTC without a Z. Digits past microseconds are
    dropped.
    """
    if not isinstance(value, str) or not (match := EVENT_DATE.match(value)):
        raise ValueError("eventDateUtc is not a date")
    if match[1] and len(match[1]) > 7:
        value = value.replace(match[1], match[1][:7])
    instant = datetime.fromisoformat(value)
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("eventDateUtc is out of range") from error
