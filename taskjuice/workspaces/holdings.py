"""The registry of a workspace's tables, which are exported and erased together.

Each app adds its tables in `ready()`, a table before those that point at it; erasing goes the other
way round.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import BinaryField, JSONField, Model, QuerySet

Parting = Callable[[int, bool], str]


@dataclass(frozen=True, slots=True)
class Holding:
    """The rows of `model` whose `path` leads to the workspace.

    `hidden` columns are in no export; `extra` ones are, reached over a relation: `user__email`.
    `before` is called before the rows are erased, with the workspace's id and whether time is up;
    it returns what is still pending, or "" once they may be erased.
    """

    model: type[Model]
    path: str
    hidden: frozenset[str]
    extra: tuple[str, ...]
    exported: bool
    erased: bool
    many: bool
    before: Parting | None

    @property
    def name(self) -> str:
        """Return the name of its files in an export: `invoices`."""
        return str(self.model._meta.verbose_name_plural).replace(" ", "-")

    @property
    def columns(self) -> list[str]:
        """Return the columns of an export."""
        own = [column.attname for column in self.model._meta.concrete_fields]
        return [*(name for name in own if name not in self.hidden), *self.extra]

    @property
    def flat_columns(self) -> list[str]:
        """Return the columns that fit a cell of a spreadsheet."""
        nested = {
            column.attname
            for column in self.model._meta.concrete_fields
            if isinstance(column, JSONField | BinaryField)
        }
        return [name for name in self.columns if name not in nested]

    def rows(self, workspace_id: int) -> "QuerySet[Any]":
        rows = self.model._base_manager.filter(**{self.path: workspace_id})
        if not self.many:
            return rows
        return self.model._base_manager.filter(pk__in=rows.values("pk"))  # each once


HOLDINGS: dict[type[Model], Holding] = {}
_leaving: dict[Callable[[int], None], None] = {}  # each once, in order


def add(
    model: type[Model],
    path: str = "workspace",
    *,
    hidden: tuple[str, ...] = (),
    extra: tuple[str, ...] = (),
    exported: bool = True,
    erased: bool = True,
    many: bool = False,
    before: Parting | None = None,
) -> None:
    """Register a table. `many`: the path goes over many rows. `erased` False: it stays."""
    HOLDINGS[model] = Holding(model, path, frozenset(hidden), extra, exported, erased, many, before)


def when_leaving(listener: Callable[[int], None]) -> None:
    """Have `listener` called with the workspace's id, in the transaction that starts its deletion."""
    _leaving[listener] = None


def leave(workspace_id: int) -> None:
    for listener in _leaving:
        listener(workspace_id)
