"""The intent-to-receive check: three wrong signatures, which must get 401, and a right one, which
must get 2xx.
"""

from dataclasses import asdict
from typing import Any

from xero.sandbox.webhooks.envelope import entropy, intent_body, one_character_off, sign
from xero.sandbox.webhooks.sender import Sender


def _forged_signatures(key: str, raw: bytes) -> dict[str, str]:
    return {
        "wrong signature (one character differs)": one_character_off(sign(key, raw)),
        "wrong signature (another key)": sign(f"{key}x", raw),
        "wrong signature (of other bytes)": sign(key, entropy().encode()),
    }


async def probe(sender: Sender, url: str, key: str) -> list[dict[str, Any]]:
    """Run the probes, and return name, status, milliseconds and problem (None if passed) of
    each.
    """
    results = []
    raw = intent_body()
    for name, signature in _forged_signatures(key, raw).items():
        attempt = await sender.post(url, raw, signature, forged=True)
        results.append({"probe": name, **asdict(attempt)})
    attempt = await sender.post(url, raw, sign(key, raw))
    results.append({"probe": "right signature", **asdict(attempt)})
    return [{**result, "milliseconds": int(result["milliseconds"])} for result in results]
