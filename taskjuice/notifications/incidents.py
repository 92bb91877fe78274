"""The search for incidents: each sweep compares what needs attention now with the open incidents."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta

from django.db import connection as database
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now
from django.utils import timezone

from connections.models import Call, CallState, Connection, ConnectionState
from connections.webhooks import health as webhook_health
from taskjuice.notifications.models import Incident, Kind
from taskjuice.workspaces.models import Agency
from workflows.models import (
    Activation,
    ActivationState,
    EmailCount,
    Lane,
    OrganisationPause,
    Workflow,
    WorkflowState,
)

LOCK = 5_150_001  # an arbitrary advisory lock: one process searches at a time
MOST = 500  # of one kind, newest first
FAILED_LATELY = timedelta(hours=24)
LONG_PARKED = timedelta(hours=1)
KEPT = timedelta(days=90)  # closed ones


@dataclass(frozen=True, slots=True)
class OngoingProblem:
    agency_id: int
    workspace_id: int | None
    kind: Kind
    key: str
    name: str
    path: str

    @property
    def identity(self) -> tuple[int, str, str]:
        return self.agency_id, self.kind, self.key


def look() -> None:
    """Open incidents for new problems and close those whose problem is over."""
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not (cursor.fetchone() or (False,))[0]:
                return
        problems = {problem.identity: problem for source in SOURCES for problem in source()}
        open_keys = {
            (i.agency_id, i.kind, i.key): i.pk for i in Incident.objects.filter(closed_at=None)
        }
        Incident.objects.bulk_create(
            Incident(
                agency_id=problem.agency_id,
                workspace_id=problem.workspace_id,
                kind=problem.kind,
                key=problem.key,
                name=problem.name[:300],
                path=problem.path,
            )
            for identity, problem in problems.items()
            if identity not in open_keys
        )
        over = [pk for identity, pk in open_keys.items() if identity not in problems]
        Incident.objects.filter(pk__in=over).update(closed_at=Now())
        Incident.objects.filter(closed_at__lt=Now() - KEPT).delete()


def _list_broken_connections() -> Iterator[OngoingProblem]:
    for link in _find_connections(state=ConnectionState.ERROR):
        yield _describe_connection(Kind.REAUTHORISE, link, link.reason)


def _list_silent_webhooks() -> Iterator[OngoingProblem]:
    """Yield the app's webhooks as an incident of each agency with a connection.

    Where the app's webhooks work, yield single organisations without them.
    """
    if webhook_health.get_app_health().state != "well":
        concerned = Agency.objects.filter(connections__state=ConnectionState.ACTIVE).distinct()
        for pk, slug in concerned.values_list("pk", "slug"):
            yield OngoingProblem(
                pk, None, Kind.WEBHOOKS, "app", "All organisations", f"/{slug}/deliveries/"
            )
        return
    for link in webhook_health.list_silent_connections().select_related("workspace", "agency"):
        yield _describe_connection(Kind.WEBHOOKS, link)


def _list_undecided_writes() -> Iterator[OngoingProblem]:
    calls = Call.objects.filter(state=CallState.UNKNOWN, activation_id=None)
    for call in calls.select_related("agency", "workspace").order_by("-created_at")[:MOST]:
        path = f"/{call.agency.slug}/{call.workspace.slug}/calls/{call.pk}/"
        yield OngoingProblem(
            call.agency_id, call.workspace_id, Kind.DECIDE, f"call:{call.pk}", call.subject, path
        )


def _list_undecided_activations() -> Iterator[OngoingProblem]:
    rows = Activation.objects.filter(state=ActivationState.UNKNOWN)
    for activation in rows.select_related("agency", "workspace").order_by("-pk")[:MOST]:
        path = f"/{activation.agency.slug}/{activation.workspace.slug}/activations/{activation.pk}/"
        name = (
            f"{activation.workflow_name}: {activation.subject}"
            if activation.subject
            else activation.workflow_name
        )
        yield OngoingProblem(
            activation.agency_id,
            activation.workspace_id,
            Kind.DECIDE,
            f"activation:{activation.pk}",
            name,
            path,
        )


def _list_failing_workflows() -> Iterator[OngoingProblem]:
    """Yield one incident for each workflow, however many of its activations fail."""
    lately = Activation.objects.filter(
        state=ActivationState.FAILED, created_at__gt=Now() - FAILED_LATELY
    )
    grouped = lately.values_list("agency_id", "agency__slug", "workflow_id").annotate(
        name=Max("workflow_name")
    )
    for agency_id, slug, workflow, name in grouped.order_by("agency_id", "workflow_id")[:MOST]:
        path = f"/{slug}/activations/?state=failed"
        yield OngoingProblem(
            agency_id, None, Kind.FAILED, f"workflow:{workflow or name}", name, path
        )


def _list_paused_workflows() -> Iterator[OngoingProblem]:
    """Yield workflows that paused themselves at an organisation, with the last failure."""
    pauses = OrganisationPause.objects.filter(by_safety=True)
    rows = pauses.select_related("agency", "workflow", "connection__workspace").order_by("-pk")
    for pause in rows[:MOST]:
        workspace = pause.connection.workspace
        path = f"/{pause.agency.slug}/{workspace.slug}/workflows/{pause.workflow_id}/"
        name = f"{pause.workflow.name} at {pause.connection.name}: {pause.why}"
        yield OngoingProblem(
            pause.agency_id, workspace.pk, Kind.SAFETY, f"pause:{pause.pk}", name, path
        )
    for workflow in Workflow.objects.filter(state=WorkflowState.SAFETY).select_related("agency")[
        :MOST
    ]:
        path, name = (
            f"/{workflow.agency.slug}/workflows/{workflow.pk}/",
            f"{workflow.name}: {workflow.paused_because}",
        )
        yield OngoingProblem(
            workflow.agency_id, None, Kind.SAFETY, f"workflow:{workflow.pk}", name, path
        )


def _list_email_limits() -> Iterator[OngoingProblem]:
    """Yield agencies whose limit of e-mails makes steps wait until tomorrow."""
    today = EmailCount.objects.filter(
        day=timezone.now().astimezone(UTC).date(), refused_at__isnull=False
    )
    for count in today.select_related("agency").order_by("agency")[:MOST]:
        path = f"/{count.agency.slug}/settings/#emails"
        yield OngoingProblem(
            count.agency_id, None, Kind.EMAILS, f"day:{count.day}", f"{count.sent} sent today", path
        )


def _list_parked_connections() -> Iterator[OngoingProblem]:
    lanes = Lane.objects.filter(parked_until__gt=Now() + LONG_PARKED)
    for link in _find_connections(pk__in=lanes.values("connection")):
        yield _describe_connection(Kind.PARKED, link)


def _find_connections(**condition: object) -> list[Connection]:
    return list(
        Connection.objects.filter(**condition).select_related("agency", "workspace").order_by("pk")
    )


def _describe_connection(kind: Kind, link: Connection, reason: str = "") -> OngoingProblem:
    path = f"/{link.agency.slug}/{link.workspace.slug}/connections/{link.pk}/"
    name = f"{link.name} ({link.workspace.name}){': ' if reason else ''}{reason}"
    return OngoingProblem(
        link.agency_id, link.workspace_id, kind, f"connection:{link.pk}", name, path
    )


Source = Callable[[], Iterator[OngoingProblem]]
SOURCES: tuple[Source, ...] = (
    _list_broken_connections,
    _list_silent_webhooks,
    _list_undecided_writes,
    _list_undecided_activations,
    _list_paused_workflows,
    _list_failing_workflows,
    _list_email_limits,
    _list_parked_connections,
)
