"""The wire format of webhooks, for any content."""

import base64
import hashlib
import hmac
import json
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from xero.sandbox.webhooks import envelope

keys = st.text(st.characters(codec="utf-8"), min_size=1, max_size=90)


@given(keys, st.binary(max_size=300))
def test_signature_is_base64_of_hmac_sha256_over_the_raw_bytes(key: str, raw: bytes) -> None:
    expected = hmac.new(key.encode(), raw, hashlib.sha256).digest()
    assert base64.b64decode(envelope.sign(key, raw)) == expected


@given(keys, st.binary(max_size=300))
def test_one_character_off_decodes_to_other_bytes(key: str, raw: bytes) -> None:
    right = envelope.sign(key, raw)
    wrong = envelope.one_character_off(right)
    assert [a == b for a, b in zip(right, wrong, strict=True)].count(False) == 1
    assert base64.b64decode(wrong, validate=True) != base64.b64decode(right)


@given(st.lists(st.tuples(st.uuids(), st.uuids(), st.datetimes()), min_size=1, max_size=5))
def test_body_is_json_that_says_what_happened(
    events: list[tuple[object, object, datetime]],
) -> None:
    written = [
        envelope.event(str(tenant), "INVOICE", "UPDATE", str(id), at) for tenant, id, at in events
    ]
    body = json.loads(envelope.body(written, 7, 6 + len(events)))
    assert [
        (event["tenantId"], event["resourceId"], event["eventDateUtc"]) for event in body["events"]
    ] == [
        (str(tenant), str(id), at.isoformat(timespec="milliseconds")) for tenant, id, at in events
    ]
    assert (body["firstEventSequence"], body["lastEventSequence"]) == (7, 6 + len(events))
