"""Extension points: cards that one package shows on a page of another that does not know it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec

from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import Membership

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Panel:
    """A card. Its template gets this context as `panel`, beside the context of its page."""

    template: str
    context: dict[str, Any]


class Panels(Generic[P]):
    """The cards of one page. A package adds its makers in `ready()`."""

    def __init__(self) -> None:
        self._makers: list[Callable[P, Panel | None]] = []

    def add(self, maker: Callable[P, Panel | None]) -> None:
        """Add a maker, which returns its panel, or None where it has nothing to show."""
        self._makers.append(maker)

    def of(self, *args: P.args, **kwargs: P.kwargs) -> list[Panel]:
        """Return the panels in the order in which their makers were added."""
        panels = (maker(*args, **kwargs) for maker in self._makers)
        return [panel for panel in panels if panel is not None]


of_agency_settings: Panels[[Scope]] = Panels()
# What depends on a member who is about to be removed
of_departures: Panels[[Scope, Membership]] = Panels()
