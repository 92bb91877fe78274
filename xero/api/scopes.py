"""The scopes that each action needs of a grant, broad or granular (facts 1.7)."""

from django.conf import settings

from connections import errors, states
from connections.integrations import Action
from connections.models import Connection, Grant

READ_INVOICES = frozenset(
    {
        "accounting.transactions",
        "accounting.transactions.read",
        "accounting.invoices",
        "accounting.invoices.read",
    }
)
WRITE_INVOICES = frozenset({"accounting.transactions", "accounting.invoices"})
WRITE_PAYMENTS = frozenset({"accounting.transactions", "accounting.payments"})
READ_CONTACTS = frozenset({"accounting.contacts", "accounting.contacts.read"})
WRITE_CONTACTS = frozenset({"accounting.contacts"})
READ_SETTINGS = frozenset({"accounting.settings", "accounting.settings.read"})

# Every set must be met, each by any one of its scopes.
NEEDS: dict[str, tuple[frozenset[str], ...]] = {
    "xero/list-invoices": (READ_INVOICES,),
    "xero/get-invoice": (READ_INVOICES,),
    "xero/create-invoice": (WRITE_INVOICES,),
    "xero/list-contacts": (READ_CONTACTS,),
    "xero/get-contact": (READ_CONTACTS,),
    "xero/create-contact": (WRITE_CONTACTS,),
    "xero/list-accounts": (READ_SETTINGS,),
    "xero/create-payment": (WRITE_PAYMENTS, READ_INVOICES),
    "xero/list-items": (READ_SETTINGS | WRITE_INVOICES,),
}

# Of what only pages do.
NEEDS_OF_PAGES: dict[str, tuple[frozenset[str], ...]] = {
    "xero/approve-invoice": (WRITE_INVOICES,),
    "xero/void-invoice": (WRITE_INVOICES,),
}


def list_missing_scopes(action: Action, grant: Grant | None) -> list[str]:
    """Return the scopes to ask for so that this action can run.

    Empty when nothing is missing, or Xero did not say what it granted.
    """
    granted = set(grant.scopes) if grant else set()
    if not granted:
        return []
    needs = NEEDS.get(action.key) or NEEDS_OF_PAGES.get(action.key, ())
    return sorted(_choose_scope(need) for need in needs if not need & granted)


def require_scopes(action: Action, connection: Connection) -> None:
    """Raise NeedsConsent where scopes are missing, and note that on the connection, which stays
    active.
    """
    missing = list_missing_scopes(action, connection.grant)
    if missing:
        reason = f"“{action.title}” needs consent for {' and '.join(missing)}."
        states.mark_scope_missing(connection, reason)
        raise errors.NeedsConsent(reason)


def _choose_scope(need: frozenset[str]) -> str:
    """Return the scope that this app asks for in its consents, else the smallest granular one."""
    own_scopes = [scope for scope in settings.XERO_SCOPES if scope in need]
    granular = sorted(scope for scope in need if "transactions" not in scope)
    return (own_scopes or granular)[0]
