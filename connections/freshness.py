"""The freshness of the local copy of a connection's records.

The app that keeps a copy reports on it with `providers.add_freshness_source`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

LATE = timedelta(minutes=45)  # three rounds


@dataclass(frozen=True, slots=True)
class Freshness:
    """The state of a local copy. `as_of` None: it was never read.

    While one kind of record is read, `kind` names it and `done` of `total` records are in.
    """

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
