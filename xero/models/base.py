"""The base of all record models, and the fields and indexes that several of them share."""

from decimal import Decimal

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models

from connections.models import Connection
from taskjuice.exact_json import ExactJSONField
from taskjuice.workspaces.models import Workspace
from xero import search_index


# Xero's amounts have 2 decimals, its unit prices up to 4.
def money_field() -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(max_digits=19, decimal_places=4)


class Record(models.Model):
    """The fields that all records share.

    `first_updated_utc` is the `updated_utc` under which the record was first stored here.
    """

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", db_index=False)
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="+", db_index=False)
    xero_id = models.UUIDField()
    updated_utc = models.DateTimeField()
    first_updated_utc = models.DateTimeField()
    body = ExactJSONField()

    class Meta:
        abstract = True


def index_sorted_by(field: str, name: str) -> models.Index:
    """Return an index for a list of one type in this order."""
    return models.Index("connection", "type", field, "id", name=name)


def index_beginning(field: str, name: str) -> models.Index:
    """Return an index for a search by the beginning of a text."""
    # text_pattern_ops serves LIKE '…%' whatever the database's collation.
    return models.Index("connection", "type", OpClass(field, "text_pattern_ops"), name=name)


def index_containing(*fields: str, name: str) -> GinIndex:
    """Return an index for a search by any part of these texts."""
    # A search reads the whole pending list, so it is kept short; new rows are few.
    return GinIndex(search_index.build_grams(*fields), name=name, gin_pending_list_limit=256)
