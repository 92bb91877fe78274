"""The life of a connection: connecting, describing, checking, pausing, refusals, ending."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from connections import errors, states
from connections.models import (
    Connection,
    ConnectionProblem,
    ConnectionState,
    ConnectLink,
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
class LiveCheck:
    """The result of asking the provider about a connection. `problem` is empty when all is well."""

    connection: Connection
    problem: str = ""


def connect_tenant(
    *,
    tenant: Tenant,
    grant: Grant,
    workspace: Workspace,
    provider: str,
    by: Actor,
    through: ConnectLink | None = None,
) -> Connection:
    """Create the connection of this tenant, pending until the provider has described it.

    One that existed before, ended or broken, is reused with its history. Raises ConnectedElsewhere.
    """
    try:
        with transaction.atomic():
            connection = _store_row(tenant, grant, workspace, provider, by, through)
            states.record_change(
                "organisation connected", connection, by=by, tenant=str(tenant.tenant_id)
            )
    except IntegrityError as error:
        for other in find_connected_elsewhere([tenant], workspace, provider).values():
            raise ConnectedElsewhere(other) from error
        raise
    fetch_details(connection, by=by)
    return connection


def find_connected_elsewhere(
    tenants: Iterable[Tenant], workspace: Workspace, provider: str
) -> dict[UUID, Connection]:
    """Return which of these tenants the agency has connected for another client, by tenant id."""
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


def fetch_details(connection: Connection, *, by: Actor) -> str:
    """Ask the provider about the tenant and return what went wrong; empty when the answer was good.

    A good answer makes the connection active.
    """
    try:
        details = providers[connection.provider].describe(connection)
    except errors.ProviderError as error:
        _mark_not_reached(connection, error)
        return str(error)
    with transaction.atomic():
        current = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        if current.state == ConnectionState.REVOKED:
            return "The connection was ended meanwhile."
        store_details(current, details, by=by)
        Connection.objects.filter(pk=current.pk).update(tested_at=Now())
        if (current.state, current.problem) != (ConnectionState.ACTIVE, ConnectionProblem.NONE):
            states.mark_working([current], by=by)
    connection.refresh_from_db()
    return ""


def store_details(connection: Connection, details: Mapping[str, Any], *, by: Actor) -> None:
    """Store the provider's details of the tenant, inside a transaction that has locked the row.

    The client's time zone follows as long as it is the one that the tenant had before.
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


def check_connection(connection: Connection, *, by: User) -> LiveCheck:
    """Ask the provider, live, whether this connection works, and store the result on its row."""
    problem = ""
    try:
        _check_listed(connection)
        problem = fetch_details(connection, by=by)
    except errors.ProviderError as error:
        problem = str(error)
    connection.refresh_from_db()
    return LiveCheck(connection, problem)


def pause_connection(connection: Connection, *, by: User) -> None:
    """Pause the connection: workflows wait, and webhooks are still stored."""
    with transaction.atomic():
        if Connection.objects.filter(pk=connection.pk, paused_at=None).update(paused_at=Now()):
            states.record_change("connection paused", connection, by=by)


def resume_connection(connection: Connection, *, by: User) -> None:
    with transaction.atomic():
        if Connection.objects.filter(pk=connection.pk, paused_at__isnull=False).update(
            paused_at=None
        ):
            states.record_change("connection resumed", connection, by=by)
            connection.refresh_from_db()
            providers.usable(connection)


def explain_forbidden(connection: Connection, detail: str) -> errors.ProviderError:
    """Find out why the provider refused this tenant, mark the connection and return the error.

    Either it is no longer connected there, or the person who consented lacks a right.
    """
    try:
        _check_listed(connection)
    except errors.ProviderError as error:
        return error
    reason = NOT_PERMITTED.format(connection.name)
    states.mark_not_permitted(connection, f"{reason} ({detail})")
    return errors.NotPermitted(reason, status=403)


def check_listed_tenants(limit: int = 20) -> int:
    """Ask the provider, once a day for each grant, which tenants it lists; return how many were
    asked.

    A disconnection made there is noticed before a call of ours fails.
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
    """Mark the connection and raise TenantGone if the provider no longer lists the tenant."""
    if connection.tenant_id not in _mark_unlisted(connection.grant_id, connection.provider):
        raise errors.TenantGone(UNLISTED, status=403)


def _mark_unlisted(grant_id: int | None, provider: str) -> set[UUID]:
    """Return the tenants that the provider lists under the grant, and mark connections to others."""
    listed = {
        tenant.tenant_id for tenant in providers[provider].tenants(grants.get_token(grant_id).text)
    }
    with transaction.atomic():
        gone = states.list_for_grant(grant_id or 0).exclude(tenant_id__in=listed)
        states.mark_broken(gone, problem=ConnectionProblem.TENANT_GONE, reason=UNLISTED)
    return listed


def _store_row(
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


def _mark_not_reached(connection: Connection, error: errors.ProviderError) -> None:
    """Store the provider's error on a pending row; a row that is marked as worse keeps its mark."""
    Connection.objects.filter(pk=connection.pk, state=ConnectionState.PENDING).update(
        problem=ConnectionProblem.NOT_REACHED, reason=str(error)[:300]
    )
