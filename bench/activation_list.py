"""The list of activations with a million of them: every chip, filter and search, through the whole
of Django.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

ROWS = 1_000_000
CLIENTS = 20
ROUNDS = 7

# One of 200 failed, one of 2,000 needs a decision, few are under way; a year of them.
FILL = """
INSERT INTO workflows_activation (agency_id, workspace_id, connection_id, workflow_id, version_id, workflow_name,
    version_number, trigger_data, subject, state, position, attempt, next_at, outputs, error_code, error, created_at,
    started_at, finished_at)
SELECT %(agency)s, (%(workspaces)s::bigint[])[1 + n %% %(clients)s], (%(connections)s::bigint[])[1 + n %% %(clients)s],
       (%(workflows)s::bigint[])[1 + n %% 5], NULL, 'Workflow', 1, '{}', 'INV-' || lpad(n::text, 7, '0'), state, 3, 1,
       at, '{}', CASE WHEN state = 'failed' THEN 'invalid' ELSE '' END,
       CASE WHEN state = 'failed' THEN 'Xero refused it' ELSE '' END, at, at,
       CASE WHEN state NOT IN ('ready', 'running') THEN at + interval '1 second' END
  FROM (SELECT n, now() - (%(rows)s - n) * interval '30 seconds' AS at,
               CASE WHEN n %% 2000 = 7 THEN 'unknown' WHEN n %% 200 = 3 THEN 'failed' WHEN n %% 10 = 4 THEN 'stopped'
                    WHEN n %% 5000 = 11 THEN 'cancelled' WHEN n > %(rows)s - 30 THEN 'ready'
                    ELSE 'succeeded' END AS state
          FROM generate_series(1, %(rows)s) n) made
"""
PAGES = {
    "newest": "",
    "running": "state=running",
    "waiting": "state=waiting",
    "failed, by cause": "state=failed",
    "failed, one cause": "state=failed&cause=invalid",
    "needs a decision": "state=unknown",
    "succeeded": "state=succeeded",
    "stopped": "state=stopped",
    "cancelled": "state=cancelled",
    "one workflow": "workflow={workflow}",
    "failed of one workflow": "workflow={workflow}&state=failed",
    "waiting of one workflow": "workflow={workflow}&state=waiting",
    "cancelled of one workflow": "workflow={workflow}&state=cancelled",
    "search a number": "q=INV-0000777",
    "search many": "q=inv-00",
    "search many, failed": "q=INV-&state=failed",
    "search many, cause": "q=INV-&cause=invalid",
    "search nothing": "q=zzz",
    "deep": "before=5000",
    "deep, cancelled": "state=cancelled&before=100000",
}


def measure() -> dict[str, Any]:
    """Return milliseconds at the agency and at one client: p50 and p95 of all requests, and the
    slowest kinds.
    """
    from django.test import Client
    from django.test.utils import override_settings

    from tests.factories import (
        make_agency,
        make_connection,
        make_member,
        make_workflow,
        make_workspace,
    )

    agency = make_agency(slug=f"list-{time.time_ns()}")
    workspaces = [make_workspace(agency) for _ in range(CLIENTS)]
    connections = [make_connection(workspace) for workspace in workspaces]
    workflows = [make_workflow(agency, *connections) for _ in range(5)]
    _fill(agency.pk, workspaces, connections, workflows)
    client = Client()
    client.force_login(make_member(agency))
    times: dict[str, list[float]] = {}
    with override_settings(ALLOWED_HOSTS=["*"], DEBUG=False):
        for place in (f"/{agency.slug}/", f"/{agency.slug}/{workspaces[3].slug}/"):
            for name, query in PAGES.items():
                address = f"{place}activations/?{query.format(workflow=workflows[0].pk)}"
                client.get(address)
                where = "agency" if place.count("/") == 2 else "client"
                ask = partial(client.get, address)
                times[f"{where}: {name}"] = [_timed(ask) for _ in range(ROUNDS)]
    everything = sorted(one for each in times.values() for one in each)
    medians = {name: round(statistics.median(each), 1) for name, each in times.items()}
    return {
        "rows": ROWS,
        "p50_ms": round(statistics.median(everything), 1),
        "p95_ms": round(everything[int(len(everything) * 0.95)], 1),
        "slowest_ms": round(everything[-1], 1),
        "pages": dict(sorted(medians.items(), key=lambda item: -item[1])),
    }


def _fill(agency: int, workspaces: list[Any], connections: list[Any], workflows: list[Any]) -> None:
    from django.db import connection as database

    with database.cursor() as cursor:
        cursor.execute(
            FILL,
            {
                "agency": agency,
                "workspaces": [one.pk for one in workspaces],
                "connections": [one.pk for one in connections],
                "workflows": [one.pk for one in workflows],
                "clients": CLIENTS,
                "rows": ROWS,
            },
        )
        cursor.execute("VACUUM ANALYZE workflows_activation")


def _timed(ask: Callable[[], Any]) -> float:
    began = time.perf_counter()
    answer = ask()
    took = (time.perf_counter() - began) * 1000
    assert answer.status_code == 200
    return took
