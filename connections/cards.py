"""What connections show on pages of the platform: on the agency's settings, and before a member is
removed.
"""

from connections import queries
from connections.oauth import grant_holders
from connections.providers import providers
from taskjuice.workspaces import panels
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import Membership
from taskjuice.workspaces.panels import Panel


def register() -> None:
    panels.of_agency_settings.add(app_status)
    panels.of_departures.add(hanging_on)


def app_status(scope: Scope) -> Panel:
    """The app at each provider, as far as an agency may know: its id masked, its secret not at all."""
    apps = [
        {
            "provider": provider,
            "masked": masked(provider.app_id),
            "used": queries.slots_used(provider.key),
        }
        for provider in providers.by_key.values()
    ]
    return Panel("connections/_app_status.html", {"apps": apps})


def hanging_on(scope: Scope, membership: Membership) -> Panel | None:
    """The organisations whose access came with this colleague's consent."""
    held = grant_holders.brought_by(scope.agency, membership.user)
    return Panel("connections/_departure.html", {"holders": held}) if held else None


def masked(app_id: str) -> str:
    """Enough to recognise an id: its first four and last four characters."""
    return f"{app_id[:4]}…{app_id[-4:]}" if len(app_id) > 12 else ""
