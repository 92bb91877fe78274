"""The navigation: every page group of the product. An entry shows once its URL exists."""

from dataclasses import dataclass

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from taskjuice.workspaces.gate import ADMIN, READ, WORK, Scope


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry. `url_names`: the agency-wide page and that of one workspace, usually one name for
    both.
    """

    text: str
    icon: str
    url_name: str
    workspace_url_name: str = ""
    level: str = READ
    workspace_only: bool = False


ENTRIES = (
    Entry("Home", "home", "site:agency-home", "site:workspace-home"),
    Entry("Clients", "clients", "site:client-list", level=WORK),
    Entry("Receivables", "receivables", "xero:receivables"),
    Entry("Invoices", "invoice", "xero:invoice-list", workspace_only=True),
    Entry("Bills", "bill", "xero:bill-list", workspace_only=True),
    Entry("Contacts", "contact", "xero:contact-list", workspace_only=True),
    Entry("Payments", "card", "xero:payment-list", workspace_only=True),
    Entry("Accounts", "account", "xero:account-list", workspace_only=True),
    Entry("Items", "item", "xero:item-list", workspace_only=True),
    Entry("Connections", "connection", "connections:connection-list"),
    Entry("Workflows", "workflow", "workflows:workflow-list"),
    Entry("Activations", "activation", "workflows:activation-list"),
    Entry("Tasks", "check", "workflows:task-list", level=WORK),
    Entry("Writes", "edit", "xero:call-list"),
    Entry("Deliveries", "delivery", "connections:delivery-list", level=WORK),
    Entry("Team", "team", "workspaces:team", level=WORK),
    Entry("Audit", "audit", "workspaces:audit-list", level=WORK),
    Entry(
        "Settings",
        "settings",
        "workspaces:agency-settings",
        "workspaces:workspace-settings",
        level=ADMIN,
    ),
)

PERSONAL_ENTRIES = (
    Entry("Home", "home", "site:home"),
    Entry("Profile", "contact", "workspaces:profile"),
    Entry("Notifications", "bell", "notices:notice-wishes"),
    Entry("E-mail address", "mail", "account_email"),
    Entry("Password", "key", "account_change_password"),
    *(
        (Entry("Sign in with Xero", "connection", "socialaccount_connections"),)
        if settings.XERO_SIGN_IN
        else ()
    ),
    Entry("Two-step login", "shield", "mfa_index"),
    Entry("Sessions", "device", "usersessions_list"),
)


@dataclass(frozen=True, slots=True)
class Link:
    text: str
    icon: str
    href: str
    current: bool


def links(scope: Scope, path: str) -> list[Link]:
    """Return the navigation for a person in `scope` on the page at `path`."""
    found = [(entry, _href(entry, scope)) for entry in ENTRIES if scope.ranks(entry.level)]
    return _marked([(entry, href) for entry, href in found if href], path)


def personal_links(path: str) -> list[Link]:
    """Return the navigation of the person's own pages."""
    return _marked([(entry, reverse(entry.url_name)) for entry in PERSONAL_ENTRIES], path)


def _href(entry: Entry, scope: Scope) -> str:
    """Return the workspace's own page, otherwise the agency's; empty where there is none."""
    agency = {"agency": scope.agency.slug}
    if scope.workspace is not None:
        place = agency | {"workspace": scope.workspace.slug}
        href = _reverse(entry.workspace_url_name or entry.url_name, place)
        if href or scope.is_client:
            return href
    return "" if entry.workspace_only else _reverse(entry.url_name, agency)


def _reverse(name: str, kwargs: dict[str, str]) -> str:
    try:
        return reverse(name, kwargs=kwargs)
    except NoReverseMatch:  # not built yet, or no such page at this level
        return ""


def _marked(found: list[tuple[Entry, str]], path: str) -> list[Link]:
    """Mark the entry whose address is the longest prefix of `path` as the current one."""
    best = max((href for _, href in found if path.startswith(href)), key=len, default="")
    return [Link(entry.text, entry.icon, href, current=href == best) for entry, href in found]
