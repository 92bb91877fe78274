"""Finding incidents: what needs somebody now is compared with what is open, by every worker's sweep
in turn.
"""

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

LOCK = 5_150_001  # of pg_try_advisory_xact_lock: one process looks at a time
MOST = 500  # of one kind, newest first; more than that nobody reads
FAILED_LATELY = timedelta(hours=24)
LONG_PARKED = timedelta(hours=1)
KEPT = timedelta(days=90)  # closed ones


@dataclass(frozen=True, slots=True)
class Found:
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
    """Open what is new, close what is over."""
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not (cursor.fetchone() or (False,))[0]:
                return
        found = {one.identity: one for source in SOURCES for one in source()}
        there = {
            (i.agency_id, i.kind, i.key): i.pk for i in Incident.objects.filter(closed_at=None)
        }
        Incident.objects.bulk_create(
            Incident(
                agency_id=one.agency_id,
                workspace_id=one.workspace_id,
                kind=one.kind,
                key=one.key,
                name=one.name[:300],
                path=one.path,
            )
            for identity, one in found.items()
            if identity not in there
        )
        over = [pk for identity, pk in there.items() if identity not in found]
        Incident.objects.filter(pk__in=over).update(closed_at=Now())
        Incident.objects.filter(closed_at__lt=Now() - KEPT).delete()


def _broken() -> Iterator[Found]:
    for link in _connections(state=ConnectionState.ERROR):
        yield _of_connection(Kind.REAUTHORISE, link, link.reason)


def _webhooks() -> Iterator[Found]:
    """The whole app's, told to each agency it concerns; else those of single organisations."""
    if webhook_health.of_app().state != "well":
        concerned = Agency.objects.filter(connections__state=ConnectionState.ACTIVE).distinct()
        for pk, slug in concerned.values_list("pk", "slug"):
            yield Found(pk, None, Kind.WEBHOOKS, "app", "All organisations", f"/{slug}/deliveries/")
        return
    for link in webhook_health.unheard().select_related("workspace", "agency"):
        yield _of_connection(Kind.WEBHOOKS, link)


def _undecided_writes() -> Iterator[Found]:
    calls = Call.objects.filter(state=CallState.UNKNOWN, activation_id=None)
    for call in calls.select_related("agency", "workspace").order_by("-created_at")[:MOST]:
        path = f"/{call.agency.slug}/{call.workspace.slug}/calls/{call.pk}/"
        yield Found(
            call.agency_id, call.workspace_id, Kind.DECIDE, f"call:{call.pk}", call.subject, path
        )


def _undecided_activations() -> Iterator[Found]:
    rows = Activation.objects.filter(state=ActivationState.UNKNOWN)
    for one in rows.select_related("agency", "workspace").order_by("-pk")[:MOST]:
        path = f"/{one.agency.slug}/{one.workspace.slug}/activations/{one.pk}/"
        name = f"{one.workflow_name}: {one.subject}" if one.subject else one.workflow_name
        yield Found(
            one.agency_id, one.workspace_id, Kind.DECIDE, f"activation:{one.pk}", name, path
        )


def _failures() -> Iterator[Found]:
    """One for each workflow, however many of its activations fail."""
    lately = Activation.objects.filter(
        state=ActivationState.FAILED, created_at__gt=Now() - FAILED_LATELY
    )
    grouped = lately.values_list("agency_id", "agency__slug", "workflow_id").annotate(
        name=Max("workflow_name")
    )
    for agency_id, slug, workflow, name in grouped.order_by("agency_id", "workflow_id")[:MOST]:
        path = f"/{slug}/activations/?state=failed"
        yield Found(agency_id, None, Kind.FAILED, f"workflow:{workflow or name}", name, path)


def _paused() -> Iterator[Found]:
    """Workflows that paused themselves at an organisation, with the last failure."""
    pauses = OrganisationPause.objects.filter(by_safety=True)
    rows = pauses.select_related("agency", "workflow", "connection__workspace").order_by("-pk")
    for one in rows[:MOST]:
        place = one.connection.workspace
        path = f"/{one.agency.slug}/{place.slug}/workflows/{one.workflow_id}/"
        name = f"{one.workflow.name} at {one.connection.name}: {one.why}"
        yield Found(one.agency_id, place.pk, Kind.SAFETY, f"pause:{one.pk}", name, path)
    for old in Workflow.objects.filter(state=WorkflowState.SAFETY).select_related("agency")[:MOST]:
        path, name = f"/{old.agency.slug}/workflows/{old.pk}/", f"{old.name}: {old.paused_because}"
        yield Found(old.agency_id, None, Kind.SAFETY, f"workflow:{old.pk}", name, path)


def _emails() -> Iterator[Found]:
    """Agencies whose limit of e-mails makes steps wait until tomorrow."""
    today = EmailCount.objects.filter(
        day=timezone.now().astimezone(UTC).date(), refused_at__isnull=False
    )
    for count in today.select_related("agency").order_by("agency")[:MOST]:
        path = f"/{count.agency.slug}/settings/#emails"
        yield Found(
            count.agency_id, None, Kind.EMAILS, f"day:{count.day}", f"{count.sent} sent today", path
        )


def _parked() -> Iterator[Found]:
    lanes = Lane.objects.filter(parked_until__gt=Now() + LONG_PARKED)
    for link in _connections(pk__in=lanes.values("connection")):
        yield _of_connection(Kind.PARKED, link)


def _connections(**condition: object) -> list[Connection]:
    return list(
        Connection.objects.filter(**condition).select_related("agency", "workspace").order_by("pk")
    )


def _of_connection(kind: Kind, link: Connection, reason: str = "") -> Found:
    path = f"/{link.agency.slug}/{link.workspace.slug}/connections/{link.pk}/"
    name = f"{link.name} ({link.workspace.name}){': ' if reason else ''}{reason}"
    return Found(link.agency_id, link.workspace_id, kind, f"connection:{link.pk}", name, path)


Source = Callable[[], Iterator[Found]]
SOURCES: tuple[Source, ...] = (
    _broken,
    _webhooks,
    _undecided_writes,
    _undecided_activations,
    _paused,
    _failures,
    _emails,
    _parked,
)
