"""Tenant selection, the end of a consent: organisations are connected, transferred or given back."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from connections import lifecycle, states
from connections.models import Connection, ConnectionState, Consent, Grant
from connections.oauth import consents, grants, link_progress
from connections.oauth.cleanup import list_offered_tenants, release_unused_tenants
from connections.providers import Tenant, providers
from taskjuice.workspaces import audit
from taskjuice.workspaces.audit import Actor
from taskjuice.workspaces.models import Agency


@dataclass(frozen=True, slots=True)
class TenantOffer:
    """An organisation of a consent, and where it is connected, as far as this person may know."""

    tenant: Tenant
    here: Connection | None = None
    elsewhere: Connection | None = None


def build_offers(
    consent: Consent, tenants: list[Tenant], elsewhere: dict[UUID, Connection]
) -> list[TenantOffer]:
    here = Connection.objects.filter(
        ~Q(state=ConnectionState.REVOKED),
        workspace=consent.workspace,
        provider=consent.provider,
        tenant_id__in=[tenant.tenant_id for tenant in tenants],
    )
    by_tenant = {connection.tenant_id: connection for connection in here}
    return [TenantOffer(t, by_tenant.get(t.tenant_id), elsewhere.get(t.tenant_id)) for t in tenants]


def find_pasted_tenant(consent: Consent, tenant_id: UUID) -> Tenant | None:
    """Return the tenant with this id, if the person's consent covers it at the provider."""
    token = grants.get_token(consent.grant_id).text
    for tenant in providers[consent.provider].tenants(token):
        if tenant.tenant_id == tenant_id:
            return tenant
    return None


def find_reconnected_tenant(consent: Consent) -> Tenant | None:
    """Return the tenant that is being reconnected, if the person's consent covers it."""
    assert consent.reconnects is not None  # only reconnects ask
    wanted = consent.reconnects.tenant_id
    if not consent.tenants:  # the provider had nothing to add to what it already connects
        return find_pasted_tenant(consent, wanted)
    return next(
        (tenant for tenant in list_offered_tenants(consent) if tenant.tenant_id == wanted), None
    )


def connect_chosen(consent: Consent, tenants: Sequence[Tenant]) -> list[Connection]:
    """Connect what was chosen and release the rest.

    Raises ConnectedElsewhere before anything is connected.
    """
    by = consent.actor
    grant = consent.grant
    assert grant is not None  # open_for() looked
    for other in lifecycle.find_connected_elsewhere(
        tenants, consent.workspace, consent.provider
    ).values():
        raise lifecycle.ConnectedElsewhere(other)
    with transaction.atomic():
        if not Consent.objects.filter(pk=consent.pk, finished_at=None).update(finished_at=Now()):
            raise consents.ConsentRefused("used", consent)
        if not link_progress.mark_chosen(consent.link, [tenant.name for tenant in tenants]):
            raise consents.ConsentRefused("link-over", consent)
    made = [
        lifecycle.connect_tenant(
            tenant=tenant,
            grant=grant,
            workspace=consent.workspace,
            provider=consent.provider,
            by=by,
            through=consent.link,
        )
        for tenant in tenants
    ]
    _revive_broken(consent, by=by)
    release_unused_tenants(consent, keep={tenant.tenant_id for tenant in tenants})
    return made


def transfer_grant(consent: Consent) -> list[Connection]:
    """Move the agency's organisations under `consent.takes_over` to this consent, as far as it
    covers them.
    """
    grant = consent.grant
    assert grant is not None  # it was exchanged
    token = grants.get_access_token(grant)
    listed = {tenant.tenant_id: tenant for tenant in providers[consent.provider].tenants(token)}
    if not Consent.objects.filter(pk=consent.pk, finished_at=None).update(finished_at=Now()):
        raise consents.ConsentRefused("used", consent)
    held = list_held_by(consent.takes_over, consent.agency).exclude(grant=grant)
    moved = [
        _transfer_connection(row, tenant=listed[row.tenant_id], grant=grant, by=consent.actor)
        for row in held.filter(tenant_id__in=listed)
    ]
    _revive_broken(consent, by=consent.actor)
    release_unused_tenants(consent, keep={connection.tenant_id for connection in moved})
    return moved


def cancel_consent(consent: Consent) -> None:
    """Cancel the choice: what only this consent granted is given back."""
    why = "Nothing was chosen."
    with transaction.atomic():
        Consent.objects.filter(pk=consent.pk).update(finished_at=Now(), failure=why)
        link_progress.mark_cancelled(consent.link, why)
        audit.record(
            "consent cancelled",
            by=consent.actor,
            agency=consent.agency,
            workspace=consent.workspace,
        )
    release_unused_tenants(consent, keep=set())


def list_held_by(grant: Grant | None, agency: Agency) -> QuerySet[Connection]:
    """List the agency's connections under a grant, without archived clients, by client and name."""
    held = Connection.objects.filter(
        ~Q(state=ConnectionState.REVOKED), agency=agency, grant=grant, workspace__archived_at=None
    )
    return held.select_related("workspace", "agency").order_by("workspace__name", "name", "pk")


def _transfer_connection(
    connection: Connection, *, tenant: Tenant, grant: Grant, by: Actor
) -> Connection:
    """Move a connection to another person's consent, which covers the same tenant."""
    before = connection.grant.provider_user_name if connection.grant else ""
    moved = lifecycle.connect_tenant(
        tenant=tenant,
        grant=grant,
        workspace=connection.workspace,
        provider=connection.provider,
        by=by,
    )
    states.record_change(
        "organisation handed over", moved, by=by, before=before, after=grant.provider_user_name
    )
    return moved


def _revive_broken(consent: Consent, *, by: Actor) -> None:
    """Mark broken connections of the same grant as working, if the provider still lists their
    tenants.
    """
    assert consent.grant is not None  # finish() looked
    broken = Connection.objects.filter(grant=consent.grant, state=ConnectionState.ERROR)
    if not broken.exists():
        return
    token = grants.get_access_token(consent.grant)
    listed = [tenant.tenant_id for tenant in providers[consent.provider].tenants(token)]
    with transaction.atomic():
        states.mark_working(
            broken.filter(tenant_id__in=listed)
            .select_related("agency", "workspace")
            .select_for_update(of=("self",)),
            by=by,
        )
