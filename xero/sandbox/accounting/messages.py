"""The requests and answers of the accounting half of the sandbox."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # after /api.xro/2.0, e.g. "/Invoices/<guid>"
    query: Mapping[str, str]
    headers: Mapping[str, str]  # keys in lower case
    body: bytes
    oddity: str = ""  # how the answer is to be odd: a key of faults.ODDITIES


@dataclass(frozen=True)
class Change:
    """A change that webhook subscribers are notified of."""

    category: str  # "INVOICE" | "CONTACT"
    type: str  # "CREATE" | "UPDATE"
    resource_id: str
    at: datetime  # UTC, naive, to the millisecond


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes
    changes: tuple[Change, ...] = ()
