"""Webhooks on the wire: Xero's key order, odd spacing and signature (facts 3.1, 3.3)."""

import base64
import hashlib
import hmac
import json
import random
import string
from collections.abc import Sequence
from datetime import datetime

RESOURCE_URL = (
    "https://api.xero.com/api.xro/2.0"  # Xero's own: a receiver that follows it leaves the sandbox
)
COLLECTIONS = {"INVOICE": "Invoices", "CONTACT": "Contacts"}
INTENT_SEQUENCE = 0


def event(tenant_id: str, category: str, type: str, resource_id: str, at: datetime) -> str:
    """Return one event as JSON text. `at` is UTC, written with milliseconds and without a zone."""
    collection = COLLECTIONS.get(category, category.title() + "s")
    fields = {
        "resourceUrl": f"{RESOURCE_URL}/{collection}/{resource_id}",
        "resourceId": resource_id,
        "tenantId": tenant_id,
        "tenantType": "ORGANISATION",
        "eventCategory": category,
        "eventType": type,
        "eventDateUtc": at.isoformat(timespec="milliseconds"),
    }
    return json.dumps(fields, separators=(",", ":"))


def entropy() -> str:
    return "".join(random.choices(string.ascii_uppercase, k=20))  # noqa: S311  noise, not a secret


def body(events: Sequence[str], first: int, last: int) -> bytes:
    return (
        f'{{"events":[{",".join(events)}],"firstEventSequence":{first},"lastEventSequence": {last}, '
        f'"entropy": "{entropy()}"}}'
    ).encode()


def intent_body() -> bytes:
    """Return the 95 bytes of an intent-to-receive probe: one space more than in deliveries."""
    return body([], INTENT_SEQUENCE, INTENT_SEQUENCE).replace(b'Sequence":0', b'Sequence": 0', 1)


def sign(key: str, raw: bytes) -> str:
    return base64.b64encode(hmac.digest(key.encode(), raw, hashlib.sha256)).decode()


def one_character_off(signature: str) -> str:
    """Change one character in the middle, which a comparison of only the start would miss."""
    place = len(signature) // 2
    other = "A" if signature[place] != "A" else "B"
    return signature[:place] + other + signature[place + 1 :]
