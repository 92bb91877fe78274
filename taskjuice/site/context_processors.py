"""The context of the frame around every page. The database is read only where the page shows it."""

from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from taskjuice.notifications import reading
from taskjuice.site import rail
from taskjuice.site.attention import Attention
from taskjuice.workspaces import queries
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import User

THEMES = ("light", "dark")
THEME_COOKIE = "theme"


class Frame:
    def __init__(self, request: HttpRequest, scope: Scope | None) -> None:
        self.request = request
        self.scope = scope

    @cached_property
    def rail(self) -> list[rail.Link]:
        if self.scope is not None:
            return rail.links(self.scope, self.request.path)
        return rail.personal_links(self.request.path) if self.request.user.is_authenticated else []

    @cached_property
    def attention(self) -> Attention | None:
        return None if self.scope is None or self.scope.is_client else Attention(self.scope)

    @cached_property
    def unread(self) -> int:
        return 0 if self.scope is None or self.scope.is_client else reading.unread(self.scope)

    @cached_property
    def more_agencies(self) -> bool:
        return self.scope is not None and queries.agencies_of(self.scope.user).count() > 1

    @property
    def xero_sign_in(self) -> bool:
        return settings.XERO_SIGN_IN

    @property
    def agency_href(self) -> str:
        return self._agency_url("site:agency-home")

    @property
    def clients_href(self) -> str:
        return self._agency_url("site:client-list")

    @property
    def switch_href(self) -> str:
        return self._agency_url("workspaces:client-switch")

    @property
    def initials(self) -> str:
        """Return one or two letters for the person's badge."""
        user = self.request.user
        if not isinstance(user, User):
            return ""
        words = user.name.split() or [user.email]
        return "".join(word[0] for word in (words[0], *words[1:][-1:])).upper()

    def _agency_url(self, name: str) -> str:
        assert self.scope is not None  # the templates ask inside {% if scope %}
        return reverse(name, kwargs={"agency": self.scope.agency.slug})


def frame(request: HttpRequest) -> dict[str, Any]:
    scope = getattr(request, "scope", None)
    theme = request.COOKIES.get(THEME_COOKIE, "")
    return {
        "scope": scope,
        "frame": Frame(request, scope),
        "theme": theme if theme in THEMES else "",
    }
