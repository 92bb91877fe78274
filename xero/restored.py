"""What is compared with Xero after a restore from a backup (connections/restoring.py)."""

from collections.abc import Iterator
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from connections import restoring
from connections.models import ConnectionState, Reconciliation
from xero.actions.invoices import MARK
from xero.models import Invoice, Ledger


def open_points(row: Reconciliation) -> Iterator[str]:
    """Ledgers that were not read since the restore. Broken connections cannot be, and write nothing either."""
    unread = Ledger.objects.filter(
        Q(finished_at=None) | Q(finished_at__lt=row.begun_at) | Q(recover_since__isnull=False),
        connection__state=ConnectionState.ACTIVE,
    )
    for name in unread.order_by("pk").values_list("connection__name", flat=True):
        yield f"the ledger of {name} has not been read since"


def forgotten_documents(row: Reconciliation) -> list[str]:
    """Documents that carry the address of a call this database does not know: written after the backup."""
    ours = Invoice.objects.filter(updated_utc__gte=row.since, body__Url__startswith=settings.BASE_URL)
    marks: dict[UUID, str] = {}
    for number, url, workspace in ours.values_list("number", "body__Url", "workspace__name").order_by("pk"):
        if mark := MARK.search(str(url)):
            marks[UUID(mark[1])] = f"{workspace}: {number or 'a document without a number'} ({url})"
    return list(restoring.unknown_marks(marks).values())
