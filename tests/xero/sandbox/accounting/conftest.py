from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.xero.sandbox.accounting.api import Api, Clock
from xero.sandbox.accounting import Books
from xero.sandbox.storage import Storage


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 23, 9, 30, 15, 250_000))  # noqa: DTZ001  naive is UTC in the sandbox


@pytest.fixture
def books(clock: Clock, tmp_path: Path) -> Books:
    """One organisation of each country with a few documents; a minute has passed since they were
    made.
    """
    books = Books(Storage(tmp_path / "sandbox.sqlite"), clock)
    books.seed(organisations=3, invoices=24)
    clock.advance(timedelta(minutes=1))
    return books


@pytest.fixture
def api(books: Books) -> Api:
    """The first organisation: New Zealand, no lock date, GST 15 %."""
    return Api(books, next(iter(books.organisations)))
