"""The one client of Xero's Accounting API."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import requests
from django.conf import settings

from connections import errors, lifecycle, states
from connections.models import Connection
from connections.oauth import grants
from taskjuice.database.outages import retry_during_outage
from xero.api import answers, rate_limits, transport
from xero.api import errors as xero_errors
from xero.records import wire

Params = Mapping[str, str | int]


def client_for(connection: Connection, *, purpose: str = rate_limits.WORK) -> "XeroClient":
    """Return a client that spends the share of `purpose`: rate_limits.PAGE, WORK or SYNC."""
    return XeroClient(connection, purpose=purpose)


class XeroClient:
    """A client for one connection. Paths begin below `/api.xro/2.0`: "/Invoices".

    Raises connections.errors only: RetryLater (not before its `at`), NeedsConsent, TenantGone,
    Invalid (with Xero's messages), NotFound, and UnknownOutcome for a write whose answer is
    missing. The caller holds no transaction open.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        whatever_state: bool = False,
        purpose: str = rate_limits.WORK,
    ) -> None:
        """Set up the client. `whatever_state` allows calls of a connection that is marked as
        broken.
        """
        self.connection = connection
        self.purpose = purpose
        self._whatever_state = whatever_state

    def get(
        self, path: str, *, params: Params | None = None, modified_since: datetime | None = None
    ) -> dict[str, Any]:
        headers = (
            {"If-Modified-Since": wire.format_instant(modified_since)} if modified_since else {}
        )
        return self._request("GET", path, params=params, headers=headers)

    def put(
        self, path: str, body: Any, *, idempotency_key: str, params: Params | None = None
    ) -> dict[str, Any]:
        """Create records. `body` is anything that wire.encode takes, or its bytes when a resend
        must be byte-equal.
        """
        return self._write("PUT", path, body, idempotency_key, params)

    def post(
        self, path: str, body: Any, *, idempotency_key: str, params: Params | None = None
    ) -> dict[str, Any]:
        """Update records, or create those that do not exist yet."""
        return self._write("POST", path, body, idempotency_key, params)

    def _write(
        self, method: str, path: str, body: Any, key: str, params: Params | None
    ) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        data = body if isinstance(body, bytes) else wire.encode(body)
        return self._request(method, path, params=params, headers=headers, data=data)

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None,
        headers: dict[str, str],
        data: bytes | None = None,
    ) -> dict[str, Any]:
        if not self._whatever_state:
            states.require_usable(self.connection)
        token = grants.get_token(self.connection.grant_id)
        try:
            return self._call(method, path, token.text, params, headers, data)
        except xero_errors.TokenExpired:
            token = grants.renew_token(self.connection.grant_id, token.version)
        try:
            return self._call(method, path, token.text, params, headers, data)
        except xero_errors.TokenExpired as error:
            raise errors.RetryLater(
                "Xero does not take a token that it has just issued.", status=401
            ) from error

    def _call(
        self,
        method: str,
        path: str,
        token: str,
        params: Params | None,
        headers: dict[str, str],
        data: bytes | None,
    ) -> dict[str, Any]:
        response = self._send_within_limits(
            method,
            f"{settings.XERO_API_URL}/api.xro/2.0{path}",
            params=params,
            data=data,
            headers={
                **headers,
                "Authorization": f"Bearer {token}",
                "Xero-Tenant-Id": str(self.connection.tenant_id),
            },
        )
        try:
            answer = xero_errors.read_content(response, writes=method != "GET")
            if method == "GET":
                answers.check_collection(path, answer)
            return answer
        except answers.UnexpectedAnswer as error:
            raise errors.RetryLater(str(error), status=response.status_code) from error
        except xero_errors.Forbidden as error:
            raise lifecycle.explain_forbidden(self.connection, str(error)) from error
        except errors.NeedsConsent as error:
            states.mark_scope_missing(self.connection, str(error))
            raise

    def _send_within_limits(self, method: str, url: str, **request: Any) -> requests.Response:
        call_slot = rate_limits.take_slot(self.connection.tenant_id, self.purpose)
        try:
            response = transport.send(method, url, **request)
            parked_until = retry_during_outage(
                lambda: rate_limits.return_slot(
                    call_slot, response.headers, status=response.status_code
                )
            )
        except transport.RequestNotSent as error:
            retry_during_outage(lambda: rate_limits.return_slot(call_slot, {}))
            raise errors.RetryLater(str(error)) from error
        except transport.AnswerLost as error:
            retry_during_outage(lambda: rate_limits.return_slot(call_slot, None))
            kind = errors.RetryLater if method == "GET" else errors.UnknownOutcome
            raise kind(str(error)) from error
        if response.status_code == 429:
            raise xero_errors.build_limit_error(response.headers, at=parked_until)
        return response
