"""`/metrics`: what an operator's monitoring asks for, as Prometheus text. Only with the token of METRICS_TOKEN."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import connection as database
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# name, type, help, labels, SQL. A statement gives rows of the labels' values and the number; each by an index.
METRICS: tuple[tuple[str, str, str, tuple[str, ...], str], ...] = (
    (
        "taskjuice_queue_messages",
        "gauge",
        "Wake-ups in the queue.",
        (),
        "SELECT count(*) FROM django_q_ormq",
    ),
    (
        "taskjuice_deliveries_waiting",
        "gauge",
        "Deliveries stored and not yet read.",
        (),
        "SELECT count(*) FROM connections_delivery WHERE state = 'waiting'",
    ),
    (
        "taskjuice_deliveries_oldest_waiting_seconds",
        "gauge",
        "Age of the oldest delivery not yet read; 0 when none waits.",
        (),
        (
            "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(received_at)), 0)"
            " FROM connections_delivery WHERE state = 'waiting'"
        ),
    ),
    (
        "taskjuice_deliveries_last_minute",
        "gauge",
        "Well-signed deliveries of the last 60 seconds.",
        (),
        "SELECT count(*) FROM connections_delivery WHERE received_at > clock_timestamp() - interval '1 minute'",
    ),
    (
        "taskjuice_delivery_answer_milliseconds",
        "gauge",
        "From arrival to stored, of the deliveries of the last 5 minutes.",
        ("quantile",),
        (
            "SELECT q::text, coalesce(percentile_cont(q) WITHIN GROUP (ORDER BY answer_ms), 0)"
            " FROM unnest(ARRAY[0.5, 0.95, 0.99]) q LEFT JOIN connections_delivery"
            " ON received_at > clock_timestamp() - interval '5 minutes' GROUP BY q"
        ),
    ),
    (
        "taskjuice_webhooks_refused_last_hour",
        "gauge",
        "Webhook requests with a wrong signature in the last hour.",
        (),
        (
            "SELECT coalesce(sum(count), 0) FROM connections_refusal"
            " WHERE minute > clock_timestamp() - interval '1 hour'"
        ),
    ),
    (
        "taskjuice_activations_open",
        "gauge",
        "Activations that are not finished, by state.",
        ("state",),
        (
            "SELECT s, (SELECT count(*) FROM workflows_activation a WHERE a.state = s"
            " AND a.state IN ('ready', 'running')) FROM unnest(ARRAY['ready', 'running']) s"
        ),
    ),
    (
        "taskjuice_activations_oldest_due_seconds",
        "gauge",
        "How long the activation that waits longest has been due.",
        (),
        (
            "SELECT coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(next_at))), 0)"
            " FROM workflows_activation WHERE state IN ('ready', 'running')"
        ),
    ),
    (
        "taskjuice_activations_last_hour",
        "gauge",
        "Activations that began in the last hour, by their state now.",
        ("state",),
        (
            "SELECT a.state, count(*) FROM workspaces_agency g JOIN workflows_activation a"
            " ON a.agency_id = g.id AND a.created_at > clock_timestamp() - interval '1 hour' GROUP BY a.state"
        ),
    ),
    (
        "taskjuice_lanes_parked",
        "gauge",
        "Connections whose activations wait for the provider's limits.",
        (),
        "SELECT count(*) FROM workflows_lane WHERE parked_until > clock_timestamp()",
    ),
    (
        "taskjuice_budget_used_today",
        "gauge",
        "Calls spent of the running day: of the organisation that spent most, and of all together.",
        ("of",),
        (
            "SELECT unnest(ARRAY['most', 'all']), unnest(ARRAY[coalesce(max(day_used), 0), coalesce(sum(day_used), 0)])"
            " FROM connections_budget WHERE day_ends > clock_timestamp()"
            " AND tenant_id <> '00000000-0000-0000-0000-000000000000'"
        ),
    ),
    (
        "taskjuice_calls_last_hour",
        "gauge",
        "Writes to providers of the last hour by outcome.",
        ("state",),
        (
            "SELECT c.state, count(*) FROM workspaces_workspace w JOIN connections_call c"
            " ON c.workspace_id = w.id AND c.created_at > clock_timestamp() - interval '1 hour' GROUP BY c.state"
        ),
    ),
    (
        "taskjuice_connections",
        "gauge",
        "Connections by state.",
        ("state",),
        "SELECT state, count(*) FROM connections_connection GROUP BY state",
    ),
    (
        "taskjuice_worker_heartbeat_age_seconds",
        "gauge",
        "How long ago each worker node gave a sign of life.",
        ("node",),
        "SELECT node, extract(epoch FROM clock_timestamp() - beat_at) FROM queue_heartbeat",
    ),
    (
        "taskjuice_worker_restarts_total",
        "counter",
        "How often the watchdog restarted a node's cluster.",
        ("node",),
        "SELECT node, restarts FROM queue_heartbeat",
    ),
    (
        "taskjuice_writes_held",
        "gauge",
        "1 while a reconciliation after a restore holds all writes.",
        (),
        "SELECT count(*) FROM connections_reconciliation WHERE released_at IS NULL",
    ),
    (
        "taskjuice_incidents_open",
        "gauge",
        "What needs somebody, by kind.",
        ("kind",),
        "SELECT kind, count(*) FROM notices_incident WHERE closed_at IS NULL GROUP BY kind",
    ),
)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """404 while no token is set, so that nobody learns there is something; 401 for a wrong one."""
    if not settings.METRICS_TOKEN:
        raise Http404("Nothing here.")
    given = request.headers.get("Authorization", "")
    if not constant_time_compare(given, f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse("".join(_lines()), content_type=CONTENT_TYPE)


def _lines() -> Iterator[str]:
    for name, kind, text, labels, statement in METRICS:
        with database.cursor() as cursor:
            cursor.execute(statement)
            yield f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
            yield from (_line(name, labels, row) for row in cursor.fetchall())


def _line(name: str, labels: Iterable[str], row: tuple[Any, ...]) -> str:
    pairs = ",".join(f'{label}="{_escaped(str(text))}"' for label, text in zip(labels, row, strict=False))
    return f"{name}{{{pairs}}} {row[-1]}\n" if pairs else f"{name} {row[-1]}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
