"""What other parts of the product show on the page of a connection. Each adds its panel in `ready()`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connections.models import Connection
from taskjuice.workspaces.gate import Scope


@dataclass(frozen=True, slots=True)
class Panel:
    """A card of the page. Its template finds `panel` (this context), `connection` and `scope`."""

    template: str
    context: dict[str, Any]


Maker = Callable[[Connection, Scope], Panel | None]
_makers: list[Maker] = []


def add(maker: Maker) -> None:
    """`maker` returns the panel of a connection for whoever looks, or None where it has nothing to say."""
    _makers.append(maker)


def of(connection: Connection, scope: Scope) -> list[Panel]:
    """In the order in which they were added."""
    found = (maker(connection, scope) for maker in _makers)
    return [panel for panel in found if panel is not None]
