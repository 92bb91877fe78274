"""State changes of a connection, each with its audit record, in the caller's transaction."""

from collections.abc import Iterable

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from connections import errors
from connections.models import Connection, ConnectionProblem, ConnectionState, ConnectLink
from connections.providers import providers
from taskjuice.workspaces import audit
from taskjuice.workspaces.audit import Actor

LIVE = (ConnectionState.ACTIVE, ConnectionState.PENDING)


def require_usable(connection: Connection) -> None:
    """Raise the error that a call with a broken or ended connection would end in, without calling."""
    row = Connection.objects.filter(pk=connection.pk).values("state", "problem", "reason").first()
    if row is None or row["state"] == ConnectionState.REVOKED:
        raise errors.TenantGone("The organisation was disconnected here.")
    if row["state"] == ConnectionState.ERROR:
        kind = (
            errors.TenantGone
            if row["problem"] == ConnectionProblem.TENANT_GONE
            else errors.NeedsConsent
        )
        raise kind(row["reason"] or "The connection must be reauthorised.")


def mark_broken(
    connections: QuerySet[Connection], *, problem: ConnectionProblem, reason: str
) -> int:
    """Mark connections as needing a person, once; return how many were marked.

    Those already marked or revoked stay as they are.
    """
    live = connections.filter(state__in=LIVE).select_related("agency", "workspace").order_by("pk")
    broken = list(live.select_for_update(of=("self",), no_key=True))
    Connection.objects.filter(pk__in=[connection.pk for connection in broken]).update(
        state=ConnectionState.ERROR, problem=problem, reason=reason[:300]
    )
    for connection in broken:
        record_change(
            "connection broken", connection, by=None, problem=problem, reason=reason[:300]
        )
    return len(broken)


def mark_working(connections: Iterable[Connection], *, by: Actor) -> None:
    """Mark connections as working again."""
    for connection in connections:
        connection.state, connection.problem, connection.reason = ConnectionState.ACTIVE, "", ""
        connection.save(update_fields=["state", "problem", "reason"])
        if connection.connected_through_id:
            ConnectLink.objects.filter(
                pk=connection.connected_through_id, connected_at=None
            ).update(connected_at=Now())
        record_change("connection works", connection, by=by)
        providers.usable(connection)


def mark_scope_missing(connection: Connection, reason: str) -> None:
    """Note that some calls lack a scope. Other calls work, so the connection stays active."""
    _mark_lacking(connection, ConnectionProblem.SCOPE_MISSING, reason)


def mark_not_permitted(connection: Connection, reason: str) -> None:
    """Note that the person who consented lacks a right at the provider; the connection stays
    active.
    """
    _mark_lacking(connection, ConnectionProblem.NOT_PERMITTED, reason)


def _mark_lacking(connection: Connection, problem: ConnectionProblem, reason: str) -> None:
    rows = Connection.objects.filter(~Q(problem=problem), pk=connection.pk, state__in=LIVE)
    rows.update(problem=problem, reason=reason[:300])


def list_for_grant(grant_id: int) -> QuerySet[Connection]:
    return Connection.objects.filter(grant_id=grant_id)


def record_change(verb: str, connection: Connection, *, by: Actor, **details: str) -> None:
    audit.record(
        verb,
        by=by,
        agency=connection.agency,
        workspace=connection.workspace,
        subject=connection.name,
        connection=connection.pk,
        **details,
    )
