"""What a connection's page says about its ledger: how the reading goes, and what was recovered."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models.functions import Now

from connections.freshness import Freshness
from connections.models import Connection
from connections.panels import Panel
from taskjuice.workspaces.gate import Scope
from xero.models import Ledger, Part
from xero.sync import freshness
from xero.sync.sync import ORDER

RECOVERED_SINCE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Copy:
    """`recovers_since`: changes since then that no webhook told of are looked for. `recovered`:
    such, lately.
    """

    fresh: Freshness
    parts: list[Part]
    recovers_since: datetime | None
    recovered: int
    back: str


def of_ledger(connection: Connection, scope: Scope) -> Panel | None:
    ledger = Ledger.objects.prefetch_related("parts").filter(pk=connection.pk).first()
    if ledger is None:
        return None
    recovered = connection.events.filter(recovered=True, received_at__gt=Now() - RECOVERED_SINCE)
    copy = Copy(
        freshness.of_ledger(ledger),
        sorted(ledger.parts.all(), key=lambda part: ORDER.index(part.kind)),
        ledger.recover_since,
        recovered.count(),
        f"{scope.path}connections/{connection.pk}/",
    )
    return Panel("xero/_ledger_panel.html", {"copy": copy})
