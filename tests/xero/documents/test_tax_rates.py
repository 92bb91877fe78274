"""The tax rates of an organisation, kept in a cache that processes of two releases share."""

import base64
import pickletools
from decimal import Decimal

from django.conf import settings
from django.db import connection as database

from connections.models import Connection
from xero.documents import tax_rates

OURS = ("connections", "taskjuice", "workflows", "xero")


def list_cached_modules() -> set[str]:
    """Return the modules whose classes the cached values name."""
    with database.cursor() as cursor:
        cursor.execute(f"SELECT value FROM {settings.CACHES['default']['LOCATION']}")
        values = [base64.b64decode(value) for (value,) in cursor.fetchall()]
    words = {
        str(argument)
        for value in values
        for opcode, argument, _ in pickletools.genops(value)
        if "UNICODE" in opcode.name
    }
    assert values
    return {word for word in words if word.partition(".")[0] in OURS and "." in word}


def test_cached_rates_are_read_back_as_they_were(connection: Connection) -> None:
    fetched = tax_rates.fetch_rates(connection)
    assert fetched["OUTPUT2"].name
    assert isinstance(fetched["OUTPUT2"].rate, Decimal)
    assert tax_rates.read_cached_rates(connection) == fetched


def test_cache_names_no_class_that_another_release_may_have_moved(connection: Connection) -> None:
    tax_rates.fetch_rates(connection)
    assert list_cached_modules() == set()
