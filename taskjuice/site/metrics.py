"""`/metrics`: figures for an operator's monitoring, as Prometheus text, with METRICS_TOKEN only."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime

from django.conf import settings
from django.db import Error
from django.db import connection as database
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

import taskjuice
from taskjuice.database import limits
from taskjuice.queue import invariants

logger = logging.getLogger(__name__)

ADDRESS = "/metrics"
SECONDS = 10.0  # longer no scraper waits
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# name, type, help, labels, SQL. A statement gives rows of the labels' values and the number; each
# by an index.
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
        (
            "SELECT node, extract(epoch FROM clock_timestamp() - beat_at) FROM queue_heartbeat"
            " WHERE kind = 'worker'"
        ),
    ),
    (
        "taskjuice_worker_restarts_total",
        "counter",
        "How often the watchdog restarted a node's cluster.",
        ("node",),
        "SELECT node, restarts FROM queue_heartbeat WHERE kind = 'worker'",
    ),
    (
        "taskjuice_writes_held",
        "gauge",
        "1 while a reconciliation after a restore holds all writes.",
        (),
        "SELECT count(*) FROM connections_reconciliation WHERE released_at IS NULL",
    ),
    (
        "taskjuice_workflows",
        "gauge",
        "Workflows by state.",
        ("state",),
        "SELECT state, count(*) FROM workflows_workflow GROUP BY state",
    ),
    (
        "taskjuice_queue_tasks_failed",
        "gauge",
        "Tasks of the queue that ended with an error and are still on record.",
        (),
        "SELECT count(*) FROM django_q_task WHERE NOT success",
    ),
    (
        "taskjuice_incidents_open",
        "gauge",
        "What needs somebody, by kind.",
        ("kind",),
        "SELECT kind, count(*) FROM notices_incident WHERE closed_at IS NULL GROUP BY kind",
    ),
)


class MetricsMiddleware:
    """Answers a scraper early: it calls each node at its own address, so ALLOWED_HOSTS does not
    matter.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_asked = request.path == ADDRESS and request.method in {"GET", "HEAD"}
        return (
            answer_scraper(request)
            if is_asked and settings.METRICS_TOKEN
            else self.get_response(request)
        )


@require_safe
def no_metrics(request: HttpRequest) -> HttpResponse:
    """Answer 404 while no token is set, as an unknown address does."""
    raise Http404("Nothing here.")


@never_cache
def answer_scraper(request: HttpRequest) -> HttpResponse:
    """Answer with the figures, or 401 where the token is wrong."""
    given = request.headers.get("Authorization", "")
    if not constant_time_compare(given, f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    registry = CollectorRegistry(auto_describe=False)
    registry.register(TaskJuice())
    with limits.set_deadline(SECONDS):
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE)


class TaskJuice(Collector):
    """The figures of one scrape: of this process, then those in the database for all nodes."""

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("taskjuice", "What runs here.", {"version": taskjuice.__version__})
        yield from _collect_pool()
        figures: list[Metric] = []
        try:
            figures.extend(_collect_statements())
            figures.extend(_collect_overdue())
        except Error as error:  # its words may name hosts and roles; the database logs them
            logger.warning("the database gives no figures: %s", type(error).__name__)
        up = 1 if figures else 0
        yield GaugeMetricFamily(
            "taskjuice_database_up", "1 when the database answered this scrape.", up
        )
        yield from figures


def _collect_pool() -> Iterator[Metric]:
    pool = getattr(database, "pool", None)
    stats = pool.get_stats() if pool is not None else {}
    used = GaugeMetricFamily(
        "taskjuice_database_pool",
        "Database connections of the process that answered.",
        labels=["state"],
    )
    size, free = stats.get("pool_size", 0), stats.get("pool_available", 0)
    for state, number in (
        ("in_use", size - free),
        ("free", free),
        ("waited_for", stats.get("requests_waiting", 0)),
    ):
        used.add_metric([state], number)
    yield used


def _collect_statements() -> Iterator[Metric]:
    for name, kind, text, labels, statement in METRICS:
        family: GaugeMetricFamily | CounterMetricFamily
        family = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(
            name, text, labels=labels
        )
        with database.cursor() as cursor:
            cursor.execute(statement)
            for *values, number in cursor.fetchall():
                family.add_metric([str(value) for value in values], float(number))
        yield family


def _collect_overdue() -> Iterator[Metric]:
    """Yield the outcomes that `manage.py check_invariants` lists."""
    since: dict[str, list[datetime]] = defaultdict(list)
    for outcome in invariants.list_overdue_outcomes():
        since[outcome.kind].append(outcome.since)
    count = GaugeMetricFamily(
        "taskjuice_outcomes_overdue", "Open for longer than it may be.", labels=["kind"]
    )
    oldest = GaugeMetricFamily(
        "taskjuice_outcomes_overdue_oldest_seconds", "Age of the oldest.", labels=["kind"]
    )
    for kind in sorted({check.kind for check in invariants.CHECKS}):
        count.add_metric([kind], len(since[kind]))
        ages = [(timezone.now() - at).total_seconds() for at in since[kind]]
        oldest.add_metric([kind], max(ages, default=0))
    yield from (count, oldest)
