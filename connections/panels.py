"""Panels that other apps show on the page of a connection. Each adds its panel in `ready()`.

A panel's template receives `panel` (its own context), `connection` and `scope`.
"""

from connections.models import Connection
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.panels import Panel, Panels

__all__ = ["Panel", "add", "of"]

_panels: Panels[[Connection, Scope]] = Panels()
add, of = _panels.add, _panels.of
