"""Errors of calls to a provider, sorted by what to do about them."""

from datetime import datetime


class ProviderError(Exception):
    """A call to a provider that did not succeed. The text is fit for a person and holds no secret.

    `code` is short and stable, `status` the provider's HTTP status where there was one.
    """

    code = "provider-error"

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RetryLater(ProviderError):
    """Nothing was done; trying again can help, not before `at` (None: after a short back-off).

    `tenant_wide`: every call of this tenant meets it, so its lane should park.
    """

    code = "try-later"

    def __init__(
        self,
        message: str,
        *,
        at: datetime | None = None,
        tenant_wide: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(message, status=status)
        self.at = at
        self.tenant_wide = tenant_wide


class NeedsConsent(ProviderError):
    """The grant is refused or lacks a scope; a person must consent again."""

    code = "needs-consent"


class NotPermitted(NeedsConsent):
    """The grant and its scopes are good, but the person who gave it may not do this at the
    provider.

    A read-only role at Xero is an example.
    """

    code = "not-permitted"


class TenantGone(ProviderError):
    """The token is good, but the tenant is no longer connected to it."""

    code = "tenant-gone"


class Invalid(ProviderError):
    """The provider understood and said no; trying again cannot help. `messages` are its own words."""

    code = "invalid"

    def __init__(self, messages: list[str], *, status: int | None = None) -> None:
        super().__init__(" ".join(messages), status=status)
        self.messages = messages


class NotFound(ProviderError):
    """The provider has no such record."""

    code = "not-found"


class UnknownOutcome(ProviderError):
    """A write was sent, and it is not known whether it was carried out."""

    code = "unknown-outcome"
