"""What the pages about connect links show."""

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
    """One step of a link's way. `at` None: not reached yet."""

    name: str
    at: datetime | None
    bad: bool = False


def links(scope: Scope, *, state: str = "", search: str = "") -> "QuerySet[ConnectLink]":
    """Newest first."""
    rows = ConnectLink.objects.filter(agency=scope.agency)
    if scope.workspace is not None:
        rows = rows.filter(workspace=scope.workspace)
    if state in FILTERS:
        rows = rows.filter(FILTERS[state])
    if search:
        rows = rows.filter(Q(email__icontains=search) | Q(workspace__name__icontains=search))
    return rows.select_related("workspace", "sent_by", "reconnects").order_by("-id")


def open_count(scope: Scope) -> int:
    return links(scope, state="open").count()


def one(scope: Scope, pk: int) -> ConnectLink | None:
    return links(scope).select_related("agency").filter(pk=pk).first()


def stages(link: ConnectLink) -> list[Stage]:
    """The way of a link, with where it ended if it did not arrive."""
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


def addresses_for(connections: Sequence[Connection]) -> dict[int, str]:
    """Whom to write to about each: who connected it by link, else who was written to last, else a
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


def asked_about(connections: Sequence[Connection]) -> dict[int, str]:
    """Who holds an open letter that reconnects each, by connection."""
    sent = ConnectLink.objects.filter(
        FILTERS["open"], reconnects__in=connections, sent_at__isnull=False
    )
    return dict(sent.order_by("id").values_list("reconnects", "email"))
