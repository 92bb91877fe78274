"""Queries of the pages about connect links."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from connections.models import Connection, ConnectLink, LinkState
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import ClientUser

OPEN = Q(chosen_at=None, declined_at=None, revoked_at=None)
FILTERS = {
    "open": OPEN & Q(expires_at__gt=Now()),
    "connected": Q(chosen_at__isnull=False),
    "ended": Q(declined_at__isnull=False)
    | Q(revoked_at__isnull=False)
    | (OPEN & Q(expires_at__lte=Now())),
}
# What may change while somebody looks: the page asks again.
MOVING = frozenset(LinkState) - {LinkState.CONNECTED, LinkState.EXPIRED, LinkState.REVOKED}


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a link's progress. `at` None: not reached yet."""

    name: str
    at: datetime | None
    bad: bool = False


def list_links(scope: Scope, *, state: str = "", search: str = "") -> "QuerySet[ConnectLink]":
    """List the links of the scope, newest first."""
    rows = ConnectLink.objects.filter(agency=scope.agency)
    if scope.workspace is not None:
        rows = rows.filter(workspace=scope.workspace)
    if state in FILTERS:
        rows = rows.filter(FILTERS[state])
    if search:
        rows = rows.filter(Q(email__icontains=search) | Q(workspace__name__icontains=search))
    return rows.select_related("workspace", "sent_by", "reconnects").order_by("-id")


def count_open_links(scope: Scope) -> int:
    return list_links(scope, state="open").count()


def find_link(scope: Scope, pk: int) -> ConnectLink | None:
    return list_links(scope).select_related("agency").filter(pk=pk).first()


def list_stages(link: ConnectLink) -> list[Stage]:
    """Return the stages of a link, cut short by how it ended if it did not get connected."""
    way = [
        Stage("sent" if link.email else "made", link.sent_at if link.email else link.created_at),
        Stage("opened", link.opened_at),
        Stage("consented", link.consented_at),
        Stage("chosen", link.chosen_at),
        Stage("connected", link.connected_at),
    ]
    ends = (
        ("revoked", link.revoked_at),
        ("declined", link.declined_at),
        ("cancelled", link.cancelled_at),
        ("expired", link.expires_at if link.is_expired else None),
    )
    ended = [Stage(name, at, bad=True) for name, at in ends if at]
    return [stage for stage in way if stage.at] + ended[:1] if ended else way


def suggest_addresses(connections: Sequence[Connection]) -> dict[int, str]:
    """Return an address to write to about each connection, by its id; empty where none is known.

    The person who connected it by link comes first, then the last recipient of the client, then a
    client user.
    """
    workspaces = {connection.workspace_id for connection in connections}
    users = dict(
        ClientUser.objects.filter(workspace__in=workspaces)
        .order_by("-id")
        .values_list("workspace_id", "user__email")
    )
    written = dict(
        ConnectLink.objects.filter(workspace__in=workspaces)
        .exclude(email="")
        .order_by("id")
        .values_list("workspace_id", "email")
    )
    through = dict(
        ConnectLink.objects.filter(connections__in=connections)
        .exclude(email="")
        .values_list("connections", "email")
    )
    return {
        each.pk: through.get(each.pk)
        or written.get(each.workspace_id)
        or users.get(each.workspace_id, "")
        for each in connections
    }


def find_open_recipients(connections: Sequence[Connection]) -> dict[int, str]:
    """Return who holds an open link that reconnects each connection, by connection id."""
    sent = ConnectLink.objects.filter(
        FILTERS["open"], reconnects__in=connections, sent_at__isnull=False
    )
    return dict(sent.order_by("id").values_list("reconnects", "email"))
