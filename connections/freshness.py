"""How fresh the local copy of a connection's records is. Who keeps one tells:
`providers.tell_freshness`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

LATE = timedelta(minutes=45)  # three rounds


@dataclass(frozen=True, slots=True)
class Freshness:
    """`as_of` None: never read. `done` of `total` records while one kind is read, `kind` naming it."""

    connection_id: int
    as_of: datetime | None = None
    busy: bool = False  # a round runs or was asked for
    first: bool = False  # the first read is not finished
    kind: str = ""
    done: int = 0
    total: int | None = None
    not_before: datetime | None = None
    reason: str = ""
    problem: str = ""  # why this kind is not read although others are

    @property
    def is_late(self) -> bool:
        return self.as_of is not None and self.as_of < timezone.now() - LATE

    @property
    def waits(self) -> bool:
        return self.not_before is not None and self.not_before > timezone.now()
