"""The ledger panel of a connection's page: how the reading goes, and which changes were
recovered.
"""

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
class LedgerCopy:
    """The local copy as the panel shows it.

    `recovers_since`: changes since then that no webhook reported are looked for. `recovered`: how
    many were found in RECOVERED_SINCE.
    """

    fresh: Freshness
    parts: list[Part]
    recovers_since: datetime | None
    recovered: int
    back: str


def build_ledger_panel(connection: Connection, scope: Scope) -> Panel | None:
    ledger = Ledger.objects.prefetch_related("parts").filter(pk=connection.pk).first()
    if ledger is None:
        return None
    recovered = connection.events.filter(recovered=True, received_at__gt=Now() - RECOVERED_SINCE)
    copy = LedgerCopy(
        freshness.describe_ledger(ledger),
        sorted(ledger.parts.all(), key=lambda part: ORDER.index(part.kind)),
        ledger.recover_since,
        recovered.count(),
        f"{scope.path}connections/{connection.pk}/",
    )
    return Panel("xero/_ledger_panel.html", {"copy": copy})
