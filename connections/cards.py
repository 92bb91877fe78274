"""Panels that connections add to pages of the platform: the agency's settings, and the removal of a
member.
"""

from connections import queries
from connections.oauth import grant_holders
from connections.providers import providers
from taskjuice.workspaces import panels
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import Membership
from taskjuice.workspaces.panels import Panel


def register() -> None:
    panels.of_agency_settings.add(build_app_status)
    panels.of_departures.add(build_departure_warning)


def build_app_status(scope: Scope) -> Panel:
    """Build the panel about the app at each provider. Its id is masked; its secret is never shown."""
    apps = [
        {
            "provider": provider,
            "masked": mask_app_id(provider.app_id),
            "used": queries.count_used_slots(provider.key),
        }
        for provider in providers.by_key.values()
    ]
    return Panel("connections/_app_status.html", {"apps": apps})


def build_departure_warning(scope: Scope, membership: Membership) -> Panel | None:
    """Build the panel that lists the organisations authorised by this colleague; None without any."""
    held = grant_holders.list_held_by_user(scope.agency, membership.user)
    return Panel("connections/_departure.html", {"holders": held}) if held else None


def mask_app_id(app_id: str) -> str:
    """Return the first four and last four characters of an id, enough to recognise it."""
    return f"{app_id[:4]}…{app_id[-4:]}" if len(app_id) > 12 else ""
