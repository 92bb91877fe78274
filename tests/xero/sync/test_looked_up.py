"""What a step reads feeds the local copy, so that one event costs one read."""

from uuid import UUID

import pytest

from connections.models import Connection
from tests.sandbox_process import SandboxProcess
from tests.xero.actions.test_actions import connection, ledger, run, running, sandbox  # noqa: F401 - fixtures
from xero.models import Invoice, Stale
from xero.sync import upsert
from xero.sync.mapping import INVOICES

pytestmark = pytest.mark.django_db


def test_invoices_that_a_step_read_are_in_the_copy_and_not_asked_for_again(
    sandbox: SandboxProcess,  # noqa: F811
    connection: Connection,  # noqa: F811
) -> None:
    found = ledger(sandbox, connection, "Invoices")[:50]
    ids = [UUID(invoice["InvoiceID"]) for invoice in found]
    upsert.mark_stale([(connection.pk, INVOICES, id) for id in ids])
    run(connection, "xero/get-invoice", *({"invoice_id": str(id)} for id in ids))
    kept = Invoice.objects.filter(connection=connection)
    assert set(kept.values_list("xero_id", flat=True)) == set(ids)
    assert Stale.objects.count() == 0
