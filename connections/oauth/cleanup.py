"""Consent clean-up: what a consent granted and no connection uses is ended at the provider."""

import logging
from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from connections import errors
from connections.models import Connection, ConnectionState, Consent
from connections.oauth import grants, link_progress
from connections.providers import ConsentResult, Tenant, providers

logger = logging.getLogger(__name__)

CHOOSE_WITHIN = timedelta(minutes=30)
LATE = "Nothing was chosen in time."


def list_offered_tenants(consent: Consent) -> list[Tenant]:
    """List the tenants that the consent granted, by name."""
    found = [
        Tenant(UUID(row["id"]), UUID(row["tenant_id"]), row["name"]) for row in consent.tenants
    ]
    return sorted(found, key=lambda tenant: tenant.name.lower())


def clear_unchosen() -> None:
    """End what a person left unchosen at the provider, and delete old consents."""
    left = Consent.objects.filter(
        finished_at=None, grant__isnull=False, created_at__lt=Now() - CHOOSE_WITHIN
    ).select_related("grant", "agency", "workspace", "link")
    for consent in left[:50]:
        Consent.objects.filter(pk=consent.pk).update(finished_at=Now(), failure=LATE)
        link_progress.mark_cancelled(consent.link, LATE)
        release_unused_tenants(consent, keep=set())
    Consent.objects.filter(created_at__lt=Now() - timedelta(days=30)).delete()


def release_unused_tenants(consent: Consent, keep: set[UUID]) -> None:
    """End at the provider what this consent granted, but for `keep` and what connections use."""
    grant = consent.grant
    if grant is None:
        return
    used = set(
        Connection.objects.filter(~Q(state=ConnectionState.REVOKED), grant=grant).values_list(
            "tenant_id", flat=True
        )
    )
    unused = [
        tenant for tenant in list_offered_tenants(consent) if tenant.tenant_id not in used | keep
    ]
    try:
        if not used | keep:
            grants.revoke_grant(grant)
        for tenant in unused if used | keep else ():
            providers[consent.provider].remove(grants.get_access_token(grant), tenant.id)
    except errors.ProviderError as error:
        logger.warning("consent %s could not be given back: %s", consent.pk, error)


def give_back_consent(consent: Consent, consented: ConsentResult) -> None:
    """End at the provider what must not be kept: all of it, or what no connection relies on."""
    provider = providers[consent.provider]
    relied_on = Connection.objects.filter(
        ~Q(state=ConnectionState.REVOKED),
        grant__provider=consent.provider,
        grant__app_id=provider.app_id,
        grant__provider_user_id=consented.user_id,
    )
    used = set(relied_on.values_list("tenant_id", flat=True))
    token = consented.tokens.access_token
    try:
        for tenant in provider.tenants(token, consented.event_id):
            if tenant.tenant_id not in used:
                provider.remove(token, tenant.id)
        if not used and consented.tokens.refresh_token:
            provider.revoke(consented.tokens.refresh_token)
    except errors.ProviderError as error:
        logger.warning("consent %s could not be given back: %s", consent.pk, error)
