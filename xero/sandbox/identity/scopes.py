"""Xero's scopes, broad and granular, and the endpoints that they open (facts: granular-scopes FAQ,
OpenAPI).
"""

from collections.abc import Iterable
from functools import cache

IDENTITY = frozenset({"openid", "profile", "email", "offline_access"})


def _with_read(*names: str) -> frozenset[str]:
    return frozenset(scope for name in names for scope in (name, f"{name}.read"))


REPORTS = frozenset(
    f"accounting.reports.{name}.read"
    for name in (
        "aged balancesheet banksummary budgetsummary executivesummary profitandloss trialbalance taxreports"
    ).split()
)
BROAD = _with_read("accounting.transactions") | {"accounting.reports.read"}
GRANULAR = REPORTS | _with_read(
    "accounting.invoices",
    "accounting.payments",
    "accounting.banktransactions",
    "accounting.manualjournals",
)
UNCHANGED = _with_read("accounting.settings", "accounting.contacts", "accounting.attachments") | {
    "accounting.budgets.read",
    "accounting.reports.tenninetynine.read",
    "accounting.journals.read",
}
ALLOWED = {
    "both": IDENTITY | UNCHANGED | BROAD | GRANULAR,
    "broad": IDENTITY | UNCHANGED | BROAD,
    "granular": IDENTITY | UNCHANGED | GRANULAR,
}

# endpoint (lower case) → the scopes of which any one is enough, without ".read"
_SALES = ("accounting.transactions", "accounting.invoices")
_MONEY = ("accounting.transactions", "accounting.payments")
_BANK = ("accounting.transactions", "accounting.banktransactions")
_SETTINGS = ("accounting.settings",)
ENDPOINTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "invoices",
            "creditnotes",
            "quotes",
            "purchaseorders",
            "repeatinginvoices",
            "linkedtransactions",
        ),
        _SALES,
    ),
    **dict.fromkeys(("payments", "batchpayments", "overpayments", "prepayments"), _MONEY),
    **dict.fromkeys(("banktransactions", "banktransfers"), _BANK),
    **dict.fromkeys(
        (
            "accounts brandingthemes currencies organisation organisations taxrates trackingcategories users "
            "invoicereminders"
        ).split(),
        _SETTINGS,
    ),
    **dict.fromkeys(("contacts", "contactgroups"), ("accounting.contacts",)),
    "manualjournals": ("accounting.transactions", "accounting.manualjournals"),
    "items": ("accounting.settings", "accounting.invoices"),
}
READ_ONLY: dict[str, frozenset[str]] = {
    "journals": frozenset({"accounting.journals.read"}),
    "budgets": frozenset({"accounting.budgets.read"}),
    "reports": REPORTS | {"accounting.reports.read"},
}


def refused(scopes: Iterable[str], kind: str) -> list[str]:
    """Return the scopes that an app of this kind may not request, in their order."""
    return [scope for scope in scopes if scope not in ALLOWED[kind]]


@cache
def _accepted(endpoint: str, part: str, write: bool) -> frozenset[str] | None:
    if part == "attachments":
        names: tuple[str, ...] | None = ("accounting.attachments",)
    elif endpoint in READ_ONLY:
        return READ_ONLY[endpoint]
    else:
        names = ENDPOINTS.get(endpoint)
    if names is None:
        return None
    return frozenset(names) if write else _with_read(*names)


def accepted(method: str, path: str) -> frozenset[str] | None:
    """Return the scopes of which one is needed for `path` ("/Invoices/<id>/Attachments").

    Returns None for a path that Xero does not have.
    """
    parts = path.lower().split("/", 4)
    part = parts[3] if len(parts) > 3 else ""
    known_part = part if part == "attachments" else ""
    endpoint = parts[1]
    if endpoint not in ENDPOINTS and endpoint not in READ_ONLY:
        return None
    return _accepted(endpoint, known_part, method not in {"GET", "HEAD"})
