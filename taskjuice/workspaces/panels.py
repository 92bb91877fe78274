"""Doors by which a part of the product shows a card on a page of a part that does not know it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec

from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import Membership

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Panel:
    """A card. Its template finds this context as `panel`, and whatever its page shows besides."""

    template: str
    context: dict[str, Any]


class Panels(Generic[P]):
    """The cards of one page. Who has something to show there adds a maker in `ready()`."""

    def __init__(self) -> None:
        self._makers: list[Callable[P, Panel | None]] = []

    def add(self, maker: Callable[P, Panel | None]) -> None:
        """`maker` returns its panel, or None where it has nothing to say."""
        self._makers.append(maker)

    def of(self, *args: P.args, **kwargs: P.kwargs) -> list[Panel]:
        """In the order in which their makers were added."""
        found = (maker(*args, **kwargs) for maker in self._makers)
        return [panel for panel in found if panel is not None]


of_agency_settings: Panels[[Scope]] = Panels()
of_departures: Panels[[Scope, Membership]] = (
    Panels()
)  # what hangs on a member who is about to be removed
