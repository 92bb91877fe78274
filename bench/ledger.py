"""The ledger: list pages at 1,000, 100,000 and 1,000,000 documents, the first read of 10,000, and
decoding them.

A process of its own, `python -m bench.ledger`, over an empty database; prints one JSON object. The
pages are asked through the whole of Django (middleware, gate, queries, templates), the reads go to
the real sandbox over HTTP.
"""

import gc
import itertools
import json
import os
import random
import statistics
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from bench import ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskjuice.settings")
SIZES = (1_000, 100_000, 1_000_000)
ROUNDS = 7
CONTACTS = 2_000
INVOICES = 10_000
DECODED = 1_000

# Each is a page's query; `{contact}` stands for one of the contacts.
PAGES = {
    "newest first": "",
    "awaiting payment": "tab=authorised",
    "drafts": "tab=draft",
    "by number": "sort=-number",
    "by contact": "sort=contact",
    "awaiting payment by contact": "tab=authorised&sort=contact",
    "by amount due": "sort=-owed",
    "by reference": "sort=reference",
    "by status": "sort=status",
    "unsent first": "sort=sent",
    "page 200": "page=200",
    "one month": "since=2025-03-01&until=2025-03-31",
    "one month's drafts": "tab=draft&since=2025-03-01&until=2025-03-31",
    "half of all by amount due": "since=2024-01-01&sort=-owed",
    "due in a week, amounts": "on=due&since=2025-03-01&until=2025-03-07&least=100&most=200",
    "one contact": "contact={contact}",
    "one contact, a year, paid": "contact={contact}&tab=paid&since=2024-01-01&until=2024-12-31",
    "exact amount": "least=123.45&most=123.45",
    "rare amounts, oldest first": "least=4990&sort=date",
    "drafts of large amounts": "tab=draft&least=4900&sort=-total",
    "search a number": "q=INV-0000777",
    "search its last digits": "q=777",
    "search inside a number": "q=0777",
    "search two digits anywhere": "q=70",
    "search inside, drafts": "q=77&tab=draft",
    "search inside, month, paid, by total": "q=077&tab=paid&since=2025-03-01&until=2025-03-31&sort=-total",
    "search inside, large amounts": "q=3-0&least=4900",
    "search inside a reference": "q=o 997",
    "search what all begin with": "q=INV-",
    "search what is inside all": "q=V-0",
    "search in drafts": "q=INV-&tab=draft",
    "search a contact": "q=customer 17",
    "search a word of most contacts": "q=customer",
    "search an amount": "q=123.45",
    "search nothing": "q=zzzzzz",
    "search, month, paid, by total": "q=INV-&tab=paid&since=2025-03-01&until=2025-03-31&sort=-total",
}

# And any of these together: so many of all that there are, the same ones in each run.
TABS = ("", "tab=draft", "tab=submitted", "tab=authorised", "tab=paid")
DAYS = (
    "",
    "since=2026-09-01",
    "since=2021-02-01&until=2021-02-28",
    "since=2025-01-01&until=2025-12-31",
    "since=2024-01-01",
    "until=2021-06-30",
    "on=due&since=2026-09-01&until=2026-09-14",
)
AMOUNTS = ("", "least=100", "least=4990", "least=123&most=124", "most=5")
WHOSE = ("", "contact={contact}")
ORDERS = tuple(f"sort={turned}{name}" for name in (
    "number", "reference", "contact", "date", "due", "total", "paid", "owed", "status", "sent"
) for turned in ("", "-"))  # fmt: skip
TERMS = (
    "",
    "",
    "",
    "q=777",
    "q=INV-09",
    "q=customer 17",
    "q=123.45",
    "q=77",
    "q=o 997",
    "q=V-0",
    "q=zzz",
)
COMBINED = 100

FILL_CONTACTS = """
INSERT INTO xero_contact (workspace_id, connection_id, xero_id, updated_utc, first_updated_utc, body, name, search_key,
                          email, status, is_customer, is_supplier, receivable, payable, overdue)
SELECT %(workspace)s, %(connection)s, md5('c' || n)::uuid, now(), now(), '{}', 'Customer ' || n || ' Limited',
       'customer ' || n || ' limited', '', 'ACTIVE', true, false, 0, 0, 0
  FROM generate_series(1, %(contacts)s) n
"""
# As an old organisation's: what is open is of the last weeks, apart from a few debts; the rest is
# paid, some voided.
FILL_INVOICES = """
INSERT INTO xero_invoice (workspace_id, connection_id, xero_id, updated_utc, first_updated_utc, body, type, status,
                          number, number_key, number_tail, reference, reference_key, reference_tail, contact_xero_id,
                          contact_name, date, due_date, currency, sub_total, total_tax, total, amount_due, amount_paid,
                          amount_credited, sent)
SELECT %(workspace)s, %(connection)s, md5('i' || n)::uuid, now(), now(),
       jsonb_build_object('pad', repeat(md5(n::text), 40)),
       'ACCREC', status, 'INV-' || lpad(n::text, 7, '0'), 'inv-' || lpad(n::text, 7, '0'), n::text,
       'PO ' || n %% 9973, 'po ' || n %% 9973, (n %% 9973)::text, md5('c' || contact)::uuid,
       'Customer ' || contact || ' Limited', day, day + 30, CASE WHEN n %% 50 = 0 THEN 'USD' ELSE 'NZD' END,
       total / 1.15, total - total / 1.15, total, CASE WHEN status = 'AUTHORISED' THEN total ELSE 0 END,
       CASE WHEN status = 'PAID' THEN total ELSE 0 END, 0, status IN ('PAID', 'AUTHORISED') AND n %% 3 > 0
  FROM (SELECT n, 1 + (n * 7919::bigint) %% %(contacts)s AS contact,
               date '2021-01-01' + ((n::bigint * 2100) / %(count)s)::int AS day,
               ((n * 104729::bigint) %% 500000)::numeric / 100 AS total,
               CASE WHEN n %% 1000 < 15 THEN 'VOIDED'
                    WHEN n %% 1000 < 20 THEN 'AUTHORISED'
                    WHEN n < %(count)s * 0.97 THEN 'PAID'
                    WHEN n %% 100 < 5 THEN 'DRAFT' WHEN n %% 100 < 8 THEN 'SUBMITTED'
                    WHEN n %% 100 < 70 THEN 'AUTHORISED' ELSE 'PAID' END AS status
          FROM generate_series(1, %(count)s) n) AS made
"""


INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
 WHERE tablename = %(table)s AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""


def main() -> None:
    ready()
    wanted = set(sys.argv[1:]) or {"lists", "read", "decode"}
    found: dict[str, Any] = {}
    if "lists" in wanted:
        found["lists"] = {f"{size:,}": lists(size) for size in SIZES}
        found["more_queries_than_with_fewest_rows"] = more_queries(list(found["lists"].values()))
    if "read" in wanted:
        found["read"] = first_read()
    if "decode" in wanted:
        found["decode"] = decoding()
    print(json.dumps(found, indent=1))


# -- lists --


def lists(size: int) -> dict[str, Any]:
    """Measure the pages: p95 of all requests, the slowest kind by its median, and the queries, in
    milliseconds.
    """
    from django.test import Client
    from django.test.utils import override_settings

    from tests.factories import make_agency, make_client_user, make_connection, make_workspace

    workspace = make_workspace(make_agency())
    connection = make_connection(workspace)
    seconds = fill(workspace.pk, connection.pk, size)
    client = Client()
    client.force_login(make_client_user(workspace))
    contact = contact_id(17)
    times: dict[str, list[float]] = {}
    queries: dict[str, int | None] = {}
    with override_settings(ALLOWED_HOSTS=["*"], DEBUG=False):
        for name, query in (PAGES | combinations()).items():
            address = f"/{workspace.agency.slug}/{workspace.slug}/invoices/?{query.format(contact=contact)}"
            queries[name] = asked(lambda: client.get(address))  # noqa: B023 - run at once
            rounds = ROUNDS if name in PAGES else 2
            times[name] = [timed(lambda: client.get(address)) for _ in range(rounds)]  # noqa: B023
    everything = sorted(time for each in times.values() for time in each)
    return {
        "p50_ms": statistics.median(everything),
        "p95_ms": everything[int(len(everything) * 0.95)],
        "slowest_ms": everything[-1],
        "fill_seconds": round(seconds, 1),
        "pages": {name: round(statistics.median(each), 1) for name, each in times.items()},
        "queries": queries,
    }


def more_queries(sizes: list[dict[str, Any]]) -> list[str]:
    """Return the pages that send more queries for more rows, among those that find rows."""
    most = sizes[-1]["queries"]
    found = {name: [one["queries"][name] for one in sizes if one["queries"][name]] for name in most}
    return sorted(name for name, counts in found.items() if counts and max(counts) > counts[0])


def combinations() -> dict[str, str]:
    every = list(itertools.product(TABS, DAYS, AMOUNTS, WHOSE, ORDERS, TERMS))
    chosen = random.Random(1).sample(every, COMBINED)
    return {query: query for query in ("&".join(filter(None, parts)) for parts in chosen)}


def asked(ask: Callable[[], Any]) -> int | None:
    """Return the number of queries of a page, or None if it found nothing and so read no rows."""
    from django.db import connection as database
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(database) as seen:
        page = ask()
    return None if b'<div class="empty">' in page.content else len(seen)


def fill(workspace: int, connection: int, count: int) -> float:
    from django.db import connection as database

    add_ledger(workspace, connection)
    values = {
        "workspace": workspace,
        "connection": connection,
        "contacts": CONTACTS,
        "count": count,
    }
    began = time.perf_counter()
    with database.cursor() as cursor:
        with without_indexes(cursor, "xero_invoice"):
            cursor.execute(FILL_CONTACTS, values)
            cursor.execute(FILL_INVOICES, values)
        cursor.execute("VACUUM ANALYZE xero_invoice, xero_contact, xero_tally")
    return time.perf_counter() - began


def add_ledger(workspace: int, connection: int) -> None:
    """Add a ledger that was read, and that no worker tries to read again."""
    from xero.models import Ledger

    read_at, never = datetime(2026, 11, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    Ledger.objects.create(
        connection_id=connection,
        workspace_id=workspace,
        base_currency="NZD",
        first_finished_at=read_at,
        finished_at=read_at,
        due_at=never,
    )


@contextmanager
def without_indexes(cursor: Any, table: str) -> Iterator[None]:
    """Drop the indexes and rebuild them afterwards, several times faster than filling them row by
    row.
    """
    cursor.execute(INDEXES, {"table": table})
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f'DROP INDEX "{name}"')
    yield
    for _, definition in indexes:
        cursor.execute(definition)


def contact_id(number: int) -> UUID:
    import hashlib

    return UUID(hashlib.md5(f"c{number}".encode(), usedforsecurity=False).hexdigest())


def timed(ask: Callable[[], Any]) -> float:
    began = time.perf_counter()
    answer = ask()
    took = (time.perf_counter() - began) * 1000
    assert answer.status_code == 200
    return took


# -- the first read --


def first_read() -> dict[str, Any]:
    """Return the calls and seconds until 10,000 invoices and all that belongs to them are
    stored.
    """
    from django.conf import settings

    from connections.models import Connection, ConnectionState
    from tests.factories import make_agency, make_workspace
    from tests.sandbox_process import SandboxProcess
    from tests.xero.linked import link, point_at
    from xero.models import Invoice, Ledger
    from xero.sync import schedule as sync_schedule
    from xero.sync import sync

    with SandboxProcess(organisations=1, invoices=INVOICES, minute_limit=6000) as sandbox:
        point_at(settings, sandbox)
        connection = link(sandbox, make_workspace(make_agency()))
        sync_schedule.start_reading(connection)
        sent = count_calls()
        began = time.perf_counter()
        while not Ledger.objects.filter(pk=connection.pk, first_finished_at__isnull=False).exists():
            sync.run_ledger(connection.pk)
            assert not Ledger.objects.filter(pk=connection.pk, not_before__isnull=False).exists()
        seconds = time.perf_counter() - began
        there = sandbox.organisation()
        Connection.objects.filter(pk=connection.pk).update(state=ConnectionState.REVOKED)
    return {
        "invoices": Invoice.objects.filter(connection=connection).count(),
        "there": {name: there[name] for name in ("invoices", "contacts", "payments")},
        "calls": sum(sent.values()),
        "calls_for_invoices": sent["Invoices"],
        "calls_by_path": dict(sent),
        "seconds": round(seconds, 1),
    }


def count_calls() -> Counter[str]:
    """Count the calls to the Accounting API from here on, by path."""
    from xero.api import transport

    send, sent = transport.send, Counter[str]()

    def counting(method: str, url: str, **options: Any) -> Any:
        sent[url.rpartition("/")[2]] += 1
        return send(method, url, **options)

    transport.send = counting  # the client looks it up at each call
    return sent


# -- decoding --


def decoding() -> dict[str, Any]:
    """Compare the decoding of 1,000 invoices, from bytes to exact amounts, with that of the
    official SDK.

    `rows` adds what the SDK does not do: turning them into checked rows of the local copy.
    """
    body = real_shaped_invoices()
    ours, theirs = measured(lambda: decode_ours(body)), measured(lambda: decode_sdk(body))
    return {
        "bytes": len(body),
        "ours": ours,
        "ours_to_rows": measured(lambda: decode_to_rows(body)),
        "sdk": theirs,
        "times_faster": round(theirs["seconds"] / ours["seconds"], 1),
        "times_smaller": round(theirs["peak_mb"] / ours["peak_mb"], 1),
    }


def decode_ours(body: bytes) -> Any:
    from xero.records import wire

    return wire.decode(body)["Invoices"]


def decode_to_rows(body: bytes) -> Any:
    from xero.sync import mapping

    return mapping.KINDS["invoices"].map_bodies(decode_ours(body))


def decode_sdk(body: bytes) -> Any:
    """Decode as the SDK's ApiClient does with the text of an answer."""
    from xero_python.accounting import models
    from xero_python.api_client import ModelFinder
    from xero_python.api_client.deserializer import deserialize

    return deserialize("Invoices", json.loads(body, parse_float=Decimal), ModelFinder(models))


def real_shaped_invoices() -> bytes:
    """Return a page of the sandbox's answer, which has the shape of Xero's own."""
    import requests

    from tests.sandbox_process import SandboxProcess
    from tests.xero.sandbox.app import App

    with SandboxProcess(organisations=1, invoices=DECODED, minute_limit=6000) as sandbox:
        app = App(sandbox).connect(0)
        answer = requests.get(
            f"{sandbox.base_url}/api.xro/2.0/Invoices?page=1&pageSize={DECODED}&unitdp=4",
            headers={
                "Authorization": f"Bearer {app.tokens['access_token']}",
                "Xero-Tenant-Id": sandbox.organisation()["tenant_id"],
                "Accept": "application/json",
            },
            timeout=60,
        )
    return answer.content


def measured(run: Callable[[], Any]) -> dict[str, float]:
    """Return the processor seconds, the best of three, and the memory of one."""
    run()
    times = []
    for _ in range(3):
        gc.collect()
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    gc.collect()
    tracemalloc.start()
    kept = run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return {"seconds": round(min(times), 4), "peak_mb": round(peak / 2**20, 2)}


if __name__ == "__main__":
    main()
