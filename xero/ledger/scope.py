"""The organisation whose ledger a page shows: one at a time, since ledgers and currencies are never
added across.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote
from uuid import UUID

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from connections import organisation_time
from connections.models import Connection, ConnectionState
from taskjuice.workspaces.models import Workspace
from xero.models import Ledger

XERO_DEEP_LINK = "https://go.xero.com/organisationlogin/default.aspx"


@dataclass(frozen=True, slots=True)
class LedgerScope:
    """The organisations of a workspace, the one that is shown, and its ledger once one exists."""

    workspace: Workspace
    connections: list[Connection]
    connection: Connection | None

    @property
    def ledger(self) -> Ledger | None:
        return getattr(self.connection, "ledger", None)

    @property
    def base(self) -> str:
        """The organisation's base currency; amounts in it show no code."""
        if self.ledger is not None and self.ledger.base_currency:
            return self.ledger.base_currency
        return str(self.connection.details.get("currency", "")) if self.connection else ""

    @property
    def today(self) -> date:
        """Today in the time zone of the organisation, or of this server without an organisation."""
        return (
            organisation_time.today_in(self.connection) if self.connection else timezone.localdate()
        )


def find_scope(workspace: Workspace, query: Mapping[str, str]) -> LedgerScope:
    """Return the scope that `?organisation=` names, or else that of the first organisation."""
    connections = list_connections(workspace)
    pk = query.get("organisation", "")
    chosen = next((connection for connection in connections if str(connection.pk) == pk), None)
    return LedgerScope(workspace, connections, chosen or (connections[0] if connections else None))


def list_connections(workspace: Workspace) -> list[Connection]:
    """Return the connections to Xero that are not revoked, by name."""
    rows = workspace.connections.filter(~Q(state=ConnectionState.REVOKED), provider="xero")
    return list(rows.select_related("ledger").order_by("name", "pk"))


def build_xero_url(connection: Connection, path: str) -> str:
    """Return the URL that opens `path` in Xero for this organisation, "" without a short code."""
    ledger: Ledger | None = getattr(connection, "ledger", None)
    code = (ledger.short_code if ledger else "") or str(connection.details.get("short_code", ""))
    return f"{XERO_DEEP_LINK}?shortcode={quote(code)}&redirecturl={quote(path)}" if code else ""


def build_document_path(type: str, xero_id: UUID) -> str:
    side = "AccountsPayable" if type.startswith("ACCPAY") else "AccountsReceivable"
    return f"/{side}/View.aspx?InvoiceID={xero_id}"


def build_document_url(workspace: Workspace, type: str | None, xero_id: UUID | str) -> str:
    """Return the URL of our own page of an invoice or bill."""
    name = "xero:bill-detail" if type == "ACCPAY" else "xero:invoice-detail"
    return reverse(name, args=(workspace.agency.slug, workspace.slug, xero_id))


def build_contact_path(xero_id: UUID) -> str:
    return f"/Contacts/View/{xero_id}"
