"""Faults that can be switched on: in calls to Xero, and in the webhooks that it sends."""

from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from itertools import count
from typing import Any

CALL_KINDS = {
    "limit_minute": "429: minute limit",
    "limit_day": "429: day limit",
    "limit_concurrent": "429: five calls at once (no Retry-After)",
    "error_500_before": "500, nothing executed",
    "error_500_after": "500, but executed",
    "error_500_remembered": "500, executed, and remembered under its Idempotency-Key",
    "error_503_before": "503 in plain text, nothing executed",
    "error_503_after": "503 in plain text, but executed",
    "slow": "slow: the answer starts late",
    "slow_body": "slow body: the answer drips",
    "half_body": "half a body, then the connection closes",
    "html": "a page of HTML with status 200 instead of JSON",
    "reset_before": "connection reset, nothing executed",
    "reset_after": "executed, then connection reset",
    "timeout_after": "executed, then silence",
    "token_expired": "401: token expired",
    "disconnected": "403: organisation not connected",
}
# The call is carried out by Xero's rules; only its answer is odd.
ODDITIES = {
    "answer_warned": "what is written is answered with a warning",
    "answer_reasons_inside": "why something is refused stands inside: at its lines, contact, address, account",
    "answer_unmade": "200, nothing executed: an id of zeros, HasErrors, no reason",
    "answer_mixed_up": "executed, but the answer shows another record",
    "answer_unlisted": "executed, but the answer lists no records",
    "answer_xml": "executed, and answered in XML",
}
CALL_KINDS |= ODDITIES
WEBHOOK_KINDS = {
    "webhook_duplicate": "every delivery twice",
    "webhook_reordered": "newest first, or after the next delivery",
    "webhook_missing": "never sent; its sequence numbers are used up",
    "webhook_wrong_signature": "signed with another key",
}
KINDS = CALL_KINDS | WEBHOOK_KINDS
ACCOUNTING = "/api.xro/*"


@dataclass
class Fault:
    """A fault. `remaining` None means always; empty `method` and `tenant_id` mean any; `path` may
    hold * and ?.

    `seconds` is the delay of a slow answer, the length of a silence, or the Retry-After of a 429
    (0: that of its window). `retry_after` is how that is written: "" in seconds, "date", "missing",
    or any text, which is sent as it stands.
    """

    kind: str
    remaining: int | None = 1
    method: str = ""
    path: str = ACCOUNTING
    tenant_id: str = ""
    seconds: float = 0
    id: int = 0
    retry_after: str = ""

    def matches(self, method: str, path: str, tenant_id: str) -> bool:
        return (
            self.kind in CALL_KINDS
            and self.method in ("", method)
            and self.tenant_id in ("", tenant_id)
            and fnmatchcase(path.lower(), self.path.lower())
        )


@dataclass
class Faults:
    """The active faults, oldest first; the first that matches is taken. A restart clears them."""

    active: list[Fault] = field(default_factory=list)
    _ids: Any = field(default_factory=lambda: count(1))

    def add(self, **given: Any) -> Fault:
        """Switch a fault on. Raises ValueError for an unknown kind or a count below one."""
        fault = Fault(**given)
        if fault.kind not in KINDS:
            raise ValueError(f"unknown fault {fault.kind!r}; there are: {', '.join(KINDS)}")
        if fault.remaining is not None and fault.remaining < 1:
            raise ValueError("remaining must be at least 1, or null for always")
        if "\n" in fault.retry_after or "\r" in fault.retry_after:
            raise ValueError("retry_after is one line")
        fault.seconds = float(fault.seconds)  # JSON numbers arrive as Decimals
        fault.id = next(self._ids)
        self.active.append(fault)
        return fault

    def take(self, method: str, path: str, tenant_id: str = "") -> Fault | None:
        """Return the fault for this call, and count it down."""
        for fault in self.active:
            if fault.matches(method, path, tenant_id):
                return self._use(fault)
        return None

    def take_webhook(self) -> str | None:
        """Return the kind of the fault for this delivery, and count it down."""
        for fault in self.active:
            if fault.kind in WEBHOOK_KINDS:
                return self._use(fault).kind
        return None

    def _use(self, fault: Fault) -> Fault:
        if fault.remaining is not None:
            fault.remaining -= 1
            if fault.remaining == 0:
                self.active.remove(fault)
        return fault

    def remove(self, id: int) -> None:
        self.active = [fault for fault in self.active if fault.id != id]

    def clear(self) -> None:
        self.active.clear()

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self.active]
