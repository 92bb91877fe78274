"""What can happen to a connection: made, described, tested, paused, refused by the provider, ended."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from connections import errors, states
from connections.models import (
    Connection,
    ConnectionProblem,
    ConnectionState,
    ConnectLink,
    Consent,
    Grant,
    GrantState,
)
from connections.oauth import grants
from connections.providers import Tenant, providers
from taskjuice.workspaces.audit import Actor, user_of
from taskjuice.workspaces.lifecycle import adopt_time_zone, set_time_zone
from taskjuice.workspaces.models import User, Workspace

logger = logging.getLogger(__name__)

LISTED_EVERY = timedelta(days=1)
UNLISTED = "The organisation was disconnected at the provider."
NOT_PERMITTED = (
    "The role of the Xero user who connected {0} does not allow this (read-only, for example)."
    " Reconnect as somebody whose role allows it."
)


class ConnectedElsewhere(Exception):
    """The tenant is connected already in another workspace of the same agency."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(f"{connection.name} is already connected in {connection.workspace}.")
        self.connection = connection


@dataclass(frozen=True, slots=True)
class Tested:
    """How a live test ended. `problem` is empty when all is well."""

    connection: Connection
    problem: str = ""


def connect(
    *,
    tenant: Tenant,
    grant: Grant,
    workspace: Workspace,
    provider: str,
    by: Actor,
    through: ConnectLink | None = None,
) -> Connection:
    """A connection for this tenant, pending until the provider has described it.

    One that was there before, ended or broken, comes back to life with its history.
    """
    try:
        with transaction.atomic():
            connection = _row_for(tenant, grant, workspace, provider, by, through)
            states.note("organisation connected", connection, by=by, tenant=str(tenant.tenant_id))
    except IntegrityError as error:
        for other in elsewhere([tenant], workspace, provider).values():
            raise ConnectedElsewhere(other) from error
        raise
    describe(connection, by=by)
    return connection


def elsewhere(
    tenants: Iterable[Tenant], workspace: Workspace, provider: str
) -> dict[UUID, Connection]:
    """Which of these tenants the same agency has connected for another client, by tenant id."""
    rows = (
        Connection.objects.filter(
            ~Q(state=ConnectionState.REVOKED),
            agency_id=workspace.agency_id,
            provider=provider,
            tenant_id__in=[tenant.tenant_id for tenant in tenants],
        )
        .exclude(workspace=workspace)
        .select_related("workspace")
    )
    return {row.tenant_id: row for row in rows}


def describe(connection: Connection, *, by: Actor) -> str:
    """Ask the provider who the tenant is; a good answer makes the connection active. Returns what
    went wrong.
    """
    try:
        details = providers[connection.provider].describe(connection)
    except errors.ProviderError as error:
        _not_described(connection, error)
        return str(error)
    with transaction.atomic():
        current = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        if current.state == ConnectionState.REVOKED:
            return "The connection was ended meanwhile."
        follow_details(current, details, by=by)
        Connection.objects.filter(pk=current.pk).update(tested_at=Now())
        if (current.state, current.problem) != (ConnectionState.ACTIVE, ConnectionProblem.NONE):
            states.mend([current], by=by)
    connection.refresh_from_db()
    return ""


def follow_details(connection: Connection, details: Mapping[str, Any], *, by: Actor) -> None:
    """Keep what the provider says of the tenant; inside a transaction, the row locked.

    The client's time zone goes along while it is the one that the tenant had before.
    """
    old_zone, zone = connection.details.get("timezone"), str(details.get("timezone") or "")
    connection.name = str(details.get("name") or connection.name)[:254]
    connection.details = {name: value for name, value in details.items() if name != "name"}
    connection.save(update_fields=["name", "details"])
    if not zone:
        return
    workspace = connection.workspace
    adopt_time_zone(workspace=workspace, time_zone=zone, by=by)
    if old_zone and zone != old_zone == workspace.timezone:
        set_time_zone(workspace=workspace, time_zone=zone, by=by)


def test(connection: Connection, *, by: User) -> Tested:
    """Ask the provider, live, whether this connection works; the row says the same afterwards."""
    problem = ""
    try:
        _check_listed(connection)
        problem = describe(connection, by=by)
    except errors.ProviderError as error:
        problem = str(error)
    connection.refresh_from_db()
    return Tested(connection, problem)


def pause(connection: Connection, *, by: User) -> None:
    """Workflows wait, nothing is lost; webhooks are still taken in."""
    with transaction.atomic():
        if Connection.objects.filter(pk=connection.pk, paused_at=None).update(paused_at=Now()):
            states.note("connection paused", connection, by=by)


def resume(connection: Connection, *, by: User) -> None:
    with transaction.atomic():
        if Connection.objects.filter(pk=connection.pk, paused_at__isnull=False).update(
            paused_at=None
        ):
            states.note("connection resumed", connection, by=by)
            connection.refresh_from_db()
            providers.usable(connection)


def forbidden(connection: Connection, detail: str) -> errors.ProviderError:
    """The provider refused this tenant. Find out why, and mark the connection: it is connected no
    longer, or the person who consented lacks a right there.
    """
    try:
        _check_listed(connection)
    except errors.ProviderError as error:
        return error
    reason = NOT_PERMITTED.format(connection.name)
    states.note_not_permitted(connection, f"{reason} ({detail})")
    return errors.NotPermitted(reason, status=403)


def disconnect(connection: Connection, *, by: User) -> bool:
    """End the connection here at once, and at the provider. False: a sweep will tell the provider."""
    with transaction.atomic():
        ended = Connection.objects.filter(
            ~Q(state=ConnectionState.REVOKED), pk=connection.pk
        ).update(
            state=ConnectionState.REVOKED, problem="", reason="Disconnected here.", paused_at=None
        )
        if ended:
            states.note("organisation disconnected", connection, by=by)
    connection.refresh_from_db()
    return release(connection)


def release(connection: Connection) -> bool:
    """Tell the provider of an ended connection, unless another one still needs what it held.

    `provider_connection_id` stays until the provider has been told, so nothing is forgotten.
    """
    grant = connection.grant
    if grant is None or connection.provider_connection_id is None:
        return True
    others = Connection.objects.filter(~Q(state=ConnectionState.REVOKED), grant=grant)
    shared = others.filter(tenant_id=connection.tenant_id).exists()
    if not shared and not _removed(connection, grant):
        return False
    Connection.objects.filter(pk=connection.pk, state=ConnectionState.REVOKED).update(
        provider_connection_id=None
    )
    unfinished = Consent.objects.filter(
        grant=grant, finished_at=None, created_at__gt=Now() - grants.GRACE
    )
    if not others.exists() and not unfinished.exists():
        return grants.revoke(grant)
    return True


def end_all(workspace_id: int) -> None:
    """Inside the transaction in which a workspace's deletion begins: nothing goes out for it any
    more.
    """
    live = Connection.objects.filter(~Q(state=ConnectionState.REVOKED), workspace=workspace_id)
    live.update(
        state=ConnectionState.REVOKED, problem="", reason="The client is deleted.", paused_at=None
    )


def let_go(workspace_id: int, late: bool) -> str:
    """Tell the provider that a deleted workspace's connections and consents end; "" when nothing is
    left to do.

    `late`: tokens that nobody else needs are erased whatever the provider says; returned is what it
    was not told.
    """
    rows = list(
        Connection.objects.filter(workspace=workspace_id).select_related("grant").order_by("pk")
    )
    untold = {connection.name for connection in rows if not release(connection)}
    for grant in (
        _unneeded().filter(connections__workspace=workspace_id).exclude(tokens="").distinct()
    ):
        its = {connection.name for connection in rows if connection.grant_id == grant.pk}
        told = grants.erase(grant) if late else grants.revoke(grant)
        untold = (
            untold - its if told else untold | its
        )  # the end of a consent ends all connections under it
    if not untold:
        return ""
    return f"Xero could not be told. Remove TaskJuice there, under Connected apps, of: {', '.join(sorted(untold))}."


def finish_disconnects() -> None:
    """Tell the provider what it could not be told when a person disconnected."""
    ended = Connection.objects.filter(
        state=ConnectionState.REVOKED, provider_connection_id__isnull=False
    )
    for connection in ended.select_related("grant").order_by("pk")[:50]:
        release(connection)
    grants.finish_revocations()
    for grant in _unused_grants()[:50]:
        grants.revoke(grant)


def _removed(connection: Connection, grant: Grant) -> bool:
    assert connection.provider_connection_id is not None  # release() looked
    try:
        token = grants.access_token(grant)
        providers[connection.provider].remove(token, connection.provider_connection_id)
    except errors.NeedsConsent:
        return True  # the consent is gone, and with it every connection at the provider
    except errors.ProviderError as error:
        logger.warning(
            "connection %s could not be ended at the provider yet: %s", connection.pk, error
        )
        return False
    return True


def _unused_grants() -> QuerySet[Grant]:
    """Left over when a reconnect came with another person's consent."""
    unused = _unneeded().filter(
        ~Q(state=GrantState.REVOKED), ~Q(tokens=""), refreshed_at__lt=Now() - grants.GRACE
    )
    return unused.order_by("pk")


def _unneeded() -> QuerySet[Grant]:
    """Grants of no live connection, and of no consent that somebody is about to choose from."""
    live = Connection.objects.filter(~Q(state=ConnectionState.REVOKED), grant=OuterRef("pk"))
    chosen = Consent.objects.filter(
        grant=OuterRef("pk"), finished_at=None, created_at__gt=Now() - grants.GRACE
    )
    return Grant.objects.filter(~Exists(live), ~Exists(chosen))


def watch_listed(limit: int = 20) -> int:
    """Ask the provider, once a day for each grant, which tenants it still lists; returns how many
    were asked.

    So a disconnection made there is noticed before a call of ours fails.
    """
    due = Q(listed_at=None) | Q(listed_at__lt=Now() - LISTED_EVERY)
    live = Connection.objects.filter(state__in=states.LIVE, grant=OuterRef("pk"))
    rows = Grant.objects.filter(due, Exists(live), state=GrantState.ACTIVE).order_by("pk")
    asked = 0
    for grant_id, provider in rows.values_list("pk", "provider")[:limit]:
        if not Grant.objects.filter(due, pk=grant_id).update(listed_at=Now()):
            continue  # another node does
        asked += 1
        try:
            _mark_unlisted(grant_id, provider)
        except (
            errors.ProviderError
        ) as error:  # a refusal is stored with the grant; anything else may pass
            logger.warning("the tenants of grant %s could not be listed: %s", grant_id, error)
            Grant.objects.filter(pk=grant_id).update(
                listed_at=Now() - LISTED_EVERY + timedelta(hours=1)
            )
    return asked


def _check_listed(connection: Connection) -> None:
    """Raise TenantGone, and mark, if the provider does not list the tenant under the grant any
    more.
    """
    if connection.tenant_id not in _mark_unlisted(connection.grant_id, connection.provider):
        raise errors.TenantGone(UNLISTED, status=403)


def _mark_unlisted(grant_id: int | None, provider: str) -> set[UUID]:
    """The tenants that the provider lists under the grant; connections to others are marked."""
    listed = {
        tenant.tenant_id for tenant in providers[provider].tenants(grants.token(grant_id).text)
    }
    with transaction.atomic():
        gone = states.of_grant(grant_id or 0).exclude(tenant_id__in=listed)
        states.break_off(gone, problem=ConnectionProblem.TENANT_GONE, reason=UNLISTED)
    return listed


def _row_for(
    tenant: Tenant,
    grant: Grant,
    workspace: Workspace,
    provider: str,
    by: Actor,
    through: ConnectLink | None,
) -> Connection:
    connection, _ = Connection.objects.update_or_create(
        workspace=workspace,
        provider=provider,
        tenant_id=tenant.tenant_id,
        defaults={
            "agency_id": workspace.agency_id,
            "grant": grant,
            "provider_connection_id": tenant.id,
            "name": tenant.name[:254],
            "state": ConnectionState.PENDING,
            "problem": ConnectionProblem.NOT_REACHED,
            "reason": "",
            "connected_by": user_of(by),
            "connected_through": through,
            "connected_at": Now(),
        },
    )
    connection.refresh_from_db()
    return connection


def _not_described(connection: Connection, error: errors.ProviderError) -> None:
    """Say on the row what the provider said; what already is marked worse stays so."""
    Connection.objects.filter(pk=connection.pk, state=ConnectionState.PENDING).update(
        problem=ConnectionProblem.NOT_REACHED, reason=str(error)[:300]
    )
