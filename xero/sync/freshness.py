"""The freshness of a ledger and the progress of its reading, for its pages and the list of
connections.
"""

from collections.abc import Iterable

from connections.freshness import Freshness
from xero.models import Ledger


def describe_ledger(ledger: Ledger, kind: str = "") -> Freshness:
    """Return the freshness of the ledger, or of its list of this `kind`. One query."""
    parts = list(ledger.parts.all())
    own = next((part for part in parts if part.kind == kind), None)
    running = next((part for part in parts if part.running), None)
    return Freshness(
        connection_id=ledger.pk,
        as_of=own.finished_at if own else ledger.finished_at,
        busy=ledger.started_at is not None
        or ledger.asked_at is not None
        or ledger.finished_at is None,
        first=ledger.first_finished_at is None,
        kind=running.kind if running else "",
        done=running.done if running else 0,
        total=running.total if running else None,
        not_before=ledger.not_before,
        reason=ledger.reason,
        problem=own.problem if own else "",
    )


def describe_connections(connection_ids: Iterable[int]) -> dict[int, Freshness]:
    """Return the freshness by connection id, for those that have a ledger. Two queries in all."""
    ledgers = Ledger.objects.filter(pk__in=list(connection_ids)).prefetch_related("parts")
    return {ledger.pk: describe_ledger(ledger) for ledger in ledgers}
