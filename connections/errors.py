"""What can go wrong at a provider, sorted by what to do about it."""

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
    """The grant and its scopes are good; whoever gave it may not do this at the provider, read-only
    for example.
    """

    code = "not-permitted"


class TenantGone(ProviderError):
    """The token is good, the tenant is no longer connected to it."""

    code = "tenant-gone"


class Invalid(ProviderError):
    """The provider understood and said no; trying again cannot help. `messages` are its own words."""

    code = "invalid"

    def __init__(self, messages: list[str], *, status: int | None = None) -> None:
        super().__init__(" ".join(messages), status=status)
        self.messages = messages


class NotFound(ProviderError):
    """The record is not there."""

    code = "not-found"


class UnknownOutcome(ProviderError):
    """A write was sent and nobody can say whether it was done."""

    code = "unknown-outcome"
