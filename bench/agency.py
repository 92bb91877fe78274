"""An agency of 200 clients with 1,000,000 invoices: home, receivables and connections in
milliseconds and queries.

A process of its own, `python -m bench.agency`; prints one JSON object. The pages are asked through
the whole of Django.
"""

import json
import os
import statistics
import time
from typing import Any

from bench import ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskjuice.settings")
CLIENTS = 200
INVOICES = 1_000_000
CONTACTS = 200  # of each client
ACTIVATIONS = 100_000  # of the last seven days
ROUNDS = 40

PAGES = {
    "home": "",
    "receivables": "receivables/",
    "receivables by contact": "receivables/?by=contact",
    "receivables by invoice": "receivables/?by=invoice",
    "receivables in USD": "receivables/?currency=USD",
    "receivables a month ago": "receivables/?on={month_ago}",
    "payables": "receivables/?side=bills",
    "connections": "connections/",
    "connections searched": "connections/?q=organisation",
    "clients": "clients/",
    "deliveries": "deliveries/",
}

# One for each paid invoice, within 45 days: a month ago's figures are today's with the payments
# since then undone.
FILL_PAYMENTS = """
INSERT INTO xero_payment (workspace_id, connection_id, xero_id, updated_utc, first_updated_utc, body, type, status,
                          date, amount, currency, reference, reference_key, reconciled, invoice_xero_id, invoice_number,
                          invoice_number_key, invoice_number_tail, contact_xero_id, contact_name, account_code)
SELECT workspace_id, connection_id, md5('p' || id)::uuid, now(), now(), '{}', 'ACCRECPAYMENT', 'AUTHORISED',
       least(date + (id %% 45)::int, current_date), total, currency, '', '', false, xero_id, number,
       number_key, number_tail, contact_xero_id, contact_name, '090'
  FROM xero_invoice WHERE connection_id = ANY(%(connections)s) AND status = 'PAID'
"""
FILL_ACTIVATIONS = """
INSERT INTO workflows_activation (agency_id, workspace_id, connection_id, workflow_id, version_id, workflow_name,
                                  version_number, trigger_data, outputs, state, created_at)
SELECT %(agency)s, workspaces[1 + n %% cardinality(connections)], connections[1 + n %% cardinality(connections)],
       %(workflow)s, %(version)s, 'Bench', 1, '{}', '{}',
       CASE WHEN n %% 100 = 0 THEN 'failed' WHEN n %% 10 = 0 THEN 'stopped' ELSE 'succeeded' END,
       now() - n * interval '7 days' / %(count)s
  FROM generate_series(0, %(count)s - 1) n,
       (SELECT %(connections)s::bigint[] AS connections, %(workspaces)s::bigint[] AS workspaces) AS made
"""


def main() -> None:
    ready()
    small, _ = filled(clients=1, invoices=1_000, activations=10)  # some of them open
    large, seconds = filled(CLIENTS, INVOICES, ACTIVATIONS)
    few = {name: one["queries"] for name, one in measured(small, rounds=1).items()}
    pages = measured(large, rounds=ROUNDS)
    found = {
        "clients": CLIENTS,
        "invoices": INVOICES,
        "fill_seconds": round(seconds, 1),
        "pages": pages,
        "worst_p95_ms": max(one["p95_ms"] for one in pages.values()),
        "more_queries_than_with_one_client": {
            name: one["queries"] - few[name]
            for name, one in pages.items()
            if one["queries"] != few[name]
        },
    }
    print(json.dumps(found, indent=1))


def filled(clients: int, invoices: int, activations: int) -> tuple[Any, float]:
    """Make an agency of that size, and return it with the time that it took."""
    from django.db import connection as database

    from bench.ledger import FILL_CONTACTS, FILL_INVOICES, add_ledger, without_indexes
    from tests.factories import make_agency, make_connection, make_workflow, make_workspace

    agency = make_agency()
    links = [make_connection(make_workspace(agency)) for _ in range(clients)]
    flow = make_workflow(agency, links[0])
    began = time.perf_counter()
    with database.cursor() as cursor, without_indexes(cursor, "xero_invoice"):
        for link in links:
            add_ledger(link.workspace_id, link.pk)
            values = {"workspace": link.workspace_id, "connection": link.pk, "contacts": CONTACTS}
            cursor.execute(FILL_CONTACTS, values)
            cursor.execute(FILL_INVOICES, values | {"count": invoices // clients})
        cursor.execute(
            FILL_ACTIVATIONS,
            {
                "agency": agency.pk,
                "connections": [link.pk for link in links],
                "workspaces": [link.workspace_id for link in links],
                "workflow": flow.pk,
                "version": flow.versions.get().pk,
                "count": activations,
            },
        )
    with database.cursor() as cursor, without_indexes(cursor, "xero_payment"):
        cursor.execute(FILL_PAYMENTS, {"connections": [link.pk for link in links]})
    with database.cursor() as cursor:
        cursor.execute(
            "VACUUM ANALYZE xero_invoice, xero_contact, xero_payment, xero_tally, workflows_activation"
        )
        cursor.execute(
            "CHECKPOINT"
        )  # what was written goes to the disk now, not while pages are measured
    database.close()  # nor are they asked for over the connection that has grown by filling
    return agency, time.perf_counter() - began


def measured(agency: Any, *, rounds: int) -> dict[str, dict[str, float]]:
    from datetime import timedelta

    from django.db import connection as database
    from django.test import Client
    from django.test.utils import CaptureQueriesContext, override_settings
    from django.utils import timezone

    from bench.ledger import timed

    client = Client()
    client.force_login(agency.memberships.get(role="owner").user)
    month_ago = (timezone.localdate() - timedelta(days=30)).isoformat()
    found = {}
    with override_settings(ALLOWED_HOSTS=["*"], DEBUG=False):
        for name, path in PAGES.items():
            address = f"/{agency.slug}/{path.format(month_ago=month_ago)}"
            client.get(address)
            with CaptureQueriesContext(database) as caught:
                client.get(address)
            queries = len(caught)  # now: the next request begins a new count
            times = sorted(timed(lambda: client.get(address)) for _ in range(rounds))  # noqa: B023 - run at once
            found[name] = {
                "p50_ms": round(statistics.median(times), 1),
                "p95_ms": round(times[int(len(times) * 0.95)], 1),
                "queries": queries,
            }
    return found


if __name__ == "__main__":
    main()
