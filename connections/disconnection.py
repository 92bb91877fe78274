"""Disconnection: connections end here at once, and at the provider as soon as it answers."""

import logging

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from connections import errors, states
from connections.models import (
    Connection,
    ConnectionState,
    Consent,
    Grant,
    GrantState,
)
from connections.oauth import grants
from connections.providers import providers
from taskjuice.workspaces.models import User

logger = logging.getLogger(__name__)


def disconnect_connection(connection: Connection, *, by: User) -> bool:
    """End the connection here at once and at the provider. False: a sweep will tell the provider."""
    with transaction.atomic():
        ended = Connection.objects.filter(
            ~Q(state=ConnectionState.REVOKED), pk=connection.pk
        ).update(
            state=ConnectionState.REVOKED, problem="", reason="Disconnected here.", paused_at=None
        )
        if ended:
            states.record_change("organisation disconnected", connection, by=by)
    connection.refresh_from_db()
    return release_connection(connection)


def release_connection(connection: Connection) -> bool:
    """Remove an ended connection at the provider, unless another one still needs it.

    `provider_connection_id` stays until the provider has answered, so nothing is forgotten.
    """
    grant = connection.grant
    if grant is None or connection.provider_connection_id is None:
        return True
    others = Connection.objects.filter(~Q(state=ConnectionState.REVOKED), grant=grant)
    shared = others.filter(tenant_id=connection.tenant_id).exists()
    if not shared and not _remove_at_provider(connection, grant):
        return False
    Connection.objects.filter(pk=connection.pk, state=ConnectionState.REVOKED).update(
        provider_connection_id=None
    )
    unfinished = Consent.objects.filter(
        grant=grant, finished_at=None, created_at__gt=Now() - grants.GRACE
    )
    if not others.exists() and not unfinished.exists():
        return grants.revoke_grant(grant)
    return True


def end_workspace_connections(workspace_id: int) -> None:
    """End all connections of a workspace, in the transaction in which its deletion begins."""
    live = Connection.objects.filter(~Q(state=ConnectionState.REVOKED), workspace=workspace_id)
    live.update(
        state=ConnectionState.REVOKED, problem="", reason="The client is deleted.", paused_at=None
    )


def release_workspace(workspace_id: int, late: bool) -> str:
    """End a deleted workspace's connections and consents at the provider; return what is left to
    do.

    An empty text means that nothing is. With `late`, tokens that no other client needs are erased
    whatever the provider answers.
    """
    rows = list(
        Connection.objects.filter(workspace=workspace_id).select_related("grant").order_by("pk")
    )
    untold = {connection.name for connection in rows if not release_connection(connection)}
    for grant in (
        _list_unneeded_grants()
        .filter(connections__workspace=workspace_id)
        .exclude(tokens="")
        .distinct()
    ):
        its = {connection.name for connection in rows if connection.grant_id == grant.pk}
        told = grants.erase_grant(grant) if late else grants.revoke_grant(grant)
        untold = (
            untold - its if told else untold | its
        )  # the end of a consent ends all connections under it
    if not untold:
        return ""
    return f"Xero could not be told. Remove TaskJuice there, under Connected apps, of: {', '.join(sorted(untold))}."


def finish_disconnects() -> None:
    """Repeat removals at the provider that failed when a person disconnected."""
    ended = Connection.objects.filter(
        state=ConnectionState.REVOKED, provider_connection_id__isnull=False
    )
    for connection in ended.select_related("grant").order_by("pk")[:50]:
        release_connection(connection)
    grants.finish_revocations()
    for grant in _list_unused_grants()[:50]:
        grants.revoke_grant(grant)


def _remove_at_provider(connection: Connection, grant: Grant) -> bool:
    assert connection.provider_connection_id is not None  # release() looked
    try:
        token = grants.get_access_token(grant)
        providers[connection.provider].remove(token, connection.provider_connection_id)
    except errors.NeedsConsent:
        return True  # the consent is gone, and with it every connection at the provider
    except errors.ProviderError as error:
        logger.warning(
            "connection %s could not be ended at the provider yet: %s", connection.pk, error
        )
        return False
    return True


def _list_unused_grants() -> QuerySet[Grant]:
    """List the grants that a reconnect with another person's consent left unused."""
    unused = _list_unneeded_grants().filter(
        ~Q(state=GrantState.REVOKED), ~Q(tokens=""), refreshed_at__lt=Now() - grants.GRACE
    )
    return unused.order_by("pk")


def _list_unneeded_grants() -> QuerySet[Grant]:
    """List the grants without a live connection and without a consent that is about to be chosen
    from.
    """
    live = Connection.objects.filter(~Q(state=ConnectionState.REVOKED), grant=OuterRef("pk"))
    chosen = Consent.objects.filter(
        grant=OuterRef("pk"), finished_at=None, created_at__gt=Now() - grants.GRACE
    )
    return Grant.objects.filter(~Exists(live), ~Exists(chosen))
