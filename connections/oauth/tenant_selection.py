"""The end of a consent: which of its organisations are connected, handed over, or given back."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from connections import lifecycle, states
from connections.models import Connection, ConnectionState, Consent, Grant
from connections.oauth import consents, grants, link_progress
from connections.oauth.cleanup import let_go, offered
from connections.providers import Tenant, providers
from taskjuice.workspaces import audit
from taskjuice.workspaces.audit import Actor
from taskjuice.workspaces.models import Agency


@dataclass(frozen=True, slots=True)
class Offer:
    """An organisation that a consent brought, and where it already is, as far as this person may
    know.
    """

    tenant: Tenant
    here: Connection | None = None
    elsewhere: Connection | None = None


def offers(
    consent: Consent, tenants: list[Tenant], elsewhere: dict[UUID, Connection]
) -> list[Offer]:
    here = Connection.objects.filter(
        ~Q(state=ConnectionState.REVOKED),
        workspace=consent.workspace,
        provider=consent.provider,
        tenant_id__in=[tenant.tenant_id for tenant in tenants],
    )
    by_tenant = {connection.tenant_id: connection for connection in here}
    return [Offer(t, by_tenant.get(t.tenant_id), elsewhere.get(t.tenant_id)) for t in tenants]


def pasted(consent: Consent, tenant_id: UUID) -> Tenant | None:
    """A tenant named by its ID, if the person's consent covers it at the provider."""
    token = grants.token(consent.grant_id).text
    for tenant in providers[consent.provider].tenants(token):
        if tenant.tenant_id == tenant_id:
            return tenant
    return None


def same_again(consent: Consent) -> Tenant | None:
    """On a reconnect: the very tenant that is being reconnected, if the person's consent covers it."""
    assert consent.reconnects is not None  # only reconnects ask
    wanted = consent.reconnects.tenant_id
    if not consent.tenants:  # the provider had nothing to add to what it already connects
        return pasted(consent, wanted)
    return next((tenant for tenant in offered(consent) if tenant.tenant_id == wanted), None)


def finish(consent: Consent, tenants: Sequence[Tenant]) -> list[Connection]:
    """Connect what was chosen, and let go of what was not. Raises ConnectedElsewhere before
    anything is made.
    """
    by = consent.actor
    grant = consent.grant
    assert grant is not None  # open_for() looked
    for other in lifecycle.elsewhere(tenants, consent.workspace, consent.provider).values():
        raise lifecycle.ConnectedElsewhere(other)
    with transaction.atomic():
        if not Consent.objects.filter(pk=consent.pk, finished_at=None).update(finished_at=Now()):
            raise consents.Refused("used", consent)
        if not link_progress.chosen(consent.link, [tenant.name for tenant in tenants]):
            raise consents.Refused("link-over", consent)
    made = [
        lifecycle.connect(
            tenant=tenant,
            grant=grant,
            workspace=consent.workspace,
            provider=consent.provider,
            by=by,
            through=consent.link,
        )
        for tenant in tenants
    ]
    _revive(consent, by=by)
    let_go(consent, keep={tenant.tenant_id for tenant in tenants})
    return made


def take_over(consent: Consent) -> list[Connection]:
    """The agency's organisations under `consent.takes_over` that this consent covers too hang on it
    from now on.
    """
    grant = consent.grant
    assert grant is not None  # it was exchanged
    token = grants.access_token(grant)
    listed = {tenant.tenant_id: tenant for tenant in providers[consent.provider].tenants(token)}
    if not Consent.objects.filter(pk=consent.pk, finished_at=None).update(finished_at=Now()):
        raise consents.Refused("used", consent)
    held = held_by(consent.takes_over, consent.agency).exclude(grant=grant)
    moved = [
        _hand_over(row, tenant=listed[row.tenant_id], grant=grant, by=consent.actor)
        for row in held.filter(tenant_id__in=listed)
    ]
    _revive(consent, by=consent.actor)
    let_go(consent, keep={connection.tenant_id for connection in moved})
    return moved


def cancel(consent: Consent) -> None:
    """Nothing is chosen: what only this consent brought is given back."""
    why = "Nothing was chosen."
    with transaction.atomic():
        Consent.objects.filter(pk=consent.pk).update(finished_at=Now(), failure=why)
        link_progress.cancelled(consent.link, why)
        audit.record(
            "consent cancelled",
            by=consent.actor,
            agency=consent.agency,
            workspace=consent.workspace,
        )
    let_go(consent, keep=set())


def held_by(grant: Grant | None, agency: Agency) -> QuerySet[Connection]:
    """What hangs on a grant in this agency, of clients that are not put away; by client and name."""
    held = Connection.objects.filter(
        ~Q(state=ConnectionState.REVOKED), agency=agency, grant=grant, workspace__archived_at=None
    )
    return held.select_related("workspace", "agency").order_by("workspace__name", "name", "pk")


def _hand_over(connection: Connection, *, tenant: Tenant, grant: Grant, by: Actor) -> Connection:
    """The connection hangs on another person's consent from now on, which covers the same tenant."""
    before = connection.grant.provider_user_name if connection.grant else ""
    moved = lifecycle.connect(
        tenant=tenant,
        grant=grant,
        workspace=connection.workspace,
        provider=connection.provider,
        by=by,
    )
    states.note(
        "organisation handed over", moved, by=by, before=before, after=grant.provider_user_name
    )
    return moved


def _revive(consent: Consent, *, by: Actor) -> None:
    """Others under the same grant that broke: those which the provider still lists work again."""
    assert consent.grant is not None  # finish() looked
    broken = Connection.objects.filter(grant=consent.grant, state=ConnectionState.ERROR)
    if not broken.exists():
        return
    token = grants.access_token(consent.grant)
    listed = [tenant.tenant_id for tenant in providers[consent.provider].tenants(token)]
    with transaction.atomic():
        states.mend(
            broken.filter(tenant_id__in=listed)
            .select_related("agency", "workspace")
            .select_for_update(of=("self",)),
            by=by,
        )
