"""Whose ledger a page shows: one organisation at a time, since books and currencies are never added
across.
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

XERO_DOOR = "https://go.xero.com/organisationlogin/default.aspx"


@dataclass(frozen=True, slots=True)
class Place:
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
        """Where the organisation is; of a client without one, there is nothing to date."""
        return (
            organisation_time.today_in(self.connection) if self.connection else timezone.localdate()
        )


def find(workspace: Workspace, query: Mapping[str, str]) -> Place:
    """The place that a page's `?organisation=` names; the first by name without it or where it
    names none.
    """
    connections = of(workspace)
    wanted = query.get("organisation", "")
    chosen = next((one for one in connections if str(one.pk) == wanted), None)
    return Place(workspace, connections, chosen or (connections[0] if connections else None))


def of(workspace: Workspace) -> list[Connection]:
    found = workspace.connections.filter(~Q(state=ConnectionState.REVOKED), provider="xero")
    return list(found.select_related("ledger").order_by("name", "pk"))


def in_xero(connection: Connection, page: str) -> str:
    """The address that opens a page of this organisation in Xero; empty while its short code is not
    known.
    """
    ledger: Ledger | None = getattr(connection, "ledger", None)
    code = (ledger.short_code if ledger else "") or str(connection.details.get("short_code", ""))
    return f"{XERO_DOOR}?shortcode={quote(code)}&redirecturl={quote(page)}" if code else ""


def document_page(type: str, xero_id: UUID) -> str:
    side = "AccountsPayable" if type.startswith("ACCPAY") else "AccountsReceivable"
    return f"/{side}/View.aspx?InvoiceID={xero_id}"


def document_address(workspace: Workspace, type: str | None, xero_id: UUID | str) -> str:
    """Our own page of an invoice or bill."""
    name = "xero:bill-detail" if type == "ACCPAY" else "xero:invoice-detail"
    return reverse(name, args=(workspace.agency.slug, workspace.slug, xero_id))


def contact_page(xero_id: UUID) -> str:
    return f"/Contacts/View/{xero_id}"
