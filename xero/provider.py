"""Xero as a provider of connections."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import requests
from django.conf import settings

from connections import errors
from connections.models import Connection
from connections.providers import ConsentResult, Provider, RemainingCalls, Tenant, TokenSet
from xero import organisations
from xero.api import errors as xero_errors
from xero.api import oauth, rate_limits, transport
from xero.api.client import XeroClient
from xero.records import wire
from xero.records.fields import read_objects, read_text, read_uuid
from xero.sync import schedule as sync_schedule

BROAD_SCOPE = "accounting.transactions"  # replaced by several granular scopes in 2026
ORGANISATION = "ORGANISATION"  # the other kinds are of practice tools, which have no ledger


class XeroProvider(Provider):
    key = "xero"
    title = "Xero"
    description = "Invoices, bills, contacts and payments of a Xero organisation."

    @property
    def app_id(self) -> str:
        return settings.XERO_CLIENT_ID

    @property
    def scopes(self) -> list[str]:
        return settings.XERO_SCOPES

    @property
    def tier(self) -> str:
        return settings.XERO_TIER.title()

    @property
    def scope_advice(self) -> str:
        if BROAD_SCOPE not in settings.XERO_SCOPES:
            return "These are granular scopes, which Xero grants to every app."
        return (
            "These are broad scopes, which Xero grants only to apps made before 2 March 2026."
            " For a newer app, set XERO_SCOPES=granular."
        )

    @property
    def unreturned_advice(self) -> str:
        if BROAD_SCOPE not in settings.XERO_SCOPES:
            return (
                "Did Xero say “invalid scope”?"
                " Compare the scopes below with those of your app at Xero."
            )
        return (
            "Did Xero say “invalid scope”? Then your Xero app was made after 2 March 2026 and takes"
            " granular scopes only: whoever runs this installation sets XERO_SCOPES=granular and restarts it."
        )

    @property
    def connection_limit(self) -> int | None:
        return settings.XERO_CONNECTION_LIMIT

    @property
    def daily_limit(self) -> int:
        return settings.XERO_DAILY_LIMIT

    def left(self, tenant_ids: Collection[UUID]) -> Mapping[UUID, RemainingCalls]:
        return rate_limits.read_remaining(tenant_ids)

    def authorise_url(self, *, state: str, nonce: str, verifier: str) -> str:
        return oauth.build_authorise_url(state=state, nonce=nonce, verifier=verifier)

    def exchange(self, *, code: str, nonce: str, verifier: str) -> ConsentResult:
        return oauth.exchange_code(code=code, nonce=nonce, verifier=verifier)

    def refresh(self, refresh_token: str) -> TokenSet:
        return oauth.refresh_tokens(refresh_token)

    def revoke(self, refresh_token: str) -> None:
        oauth.revoke_token(refresh_token)

    def tenants(self, access_token: str, event_id: str = "") -> list[Tenant]:
        response = _call_identity(
            "GET", "/connections", access_token, {"authEventId": event_id} if event_id else None
        )
        return [
            Tenant(id, tenant_id, read_text(entry, "tenantName") or str(tenant_id))
            for entry in _read_list(response)
            if entry.get("tenantType") == ORGANISATION
            and event_id in ("", entry.get("authEventId"))
            and (id := read_uuid(entry, "id"))
            and (tenant_id := read_uuid(entry, "tenantId"))
        ]

    def remove(self, access_token: str, connection_id: UUID) -> None:
        _call_identity("DELETE", f"/connections/{connection_id}", access_token, None)

    def catch_up(self, connection_ids: Sequence[int], since: datetime) -> int:
        return sync_schedule.catch_up(since, connection_ids=connection_ids)

    def describe(self, connection: Connection) -> dict[str, Any]:
        answer = XeroClient(connection, whatever_state=True, purpose=rate_limits.PAGE).get(
            "/Organisation"
        )
        return organisations.read_connection_details(
            next(iter(read_objects(answer, "Organisations")), {})
        )


def _call_identity(
    method: str, path: str, token: str, params: dict[str, str | int] | None
) -> requests.Response:
    """Call an address of Xero's that names no tenant; none of them is a write that could be
    doubled.
    """
    try:
        response = transport.send(
            method,
            f"{settings.XERO_API_URL}{path}",
            headers={"Authorization": f"Bearer {token}"},
            params=params,
        )
    except (transport.RequestNotSent, transport.AnswerLost) as error:
        raise errors.RetryLater(str(error)) from error
    if response.status_code < 300 or (method == "DELETE" and response.status_code == 404):
        return response
    refusal = xero_errors.build_error(response, writes=False)
    if isinstance(refusal, errors.ProviderError):
        raise refusal
    raise errors.NeedsConsent(
        "Xero does not take the access any more.", status=response.status_code
    )


def _read_list(response: requests.Response) -> list[dict[str, Any]]:
    try:
        body = wire.decode(response.content)
    except ValueError:
        body = None
    if not isinstance(body, list):
        raise errors.RetryLater("Xero's list of organisations cannot be read.")
    return [entry for entry in body if isinstance(entry, dict)]
