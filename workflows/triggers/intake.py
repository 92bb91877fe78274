"""Intake of events: one activation per event and matching published workflow.

Runs in the caller's transaction.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection as database
from django.db.models import Exists, Q
from django.db.models.functions import Coalesce

from connections.events import Interest
from connections.integrations import Data, registry
from connections.models import ConnectionState, Event
from taskjuice import exact_json
from workflows.engine import lanes, organisation_pauses
from workflows.models import LISTENING, Version, WorkflowConnection, WorkflowState

logger = logging.getLogger(__name__)

LONGEST_CHAIN = 5  # workflows that set each other off, one after the other
CROWD = 10  # activations at once: more are just coming

# One activation per event and workflow: an event that is processed twice starts nothing again.
INSERT = """
INSERT INTO workflows_activation
    (agency_id, workspace_id, connection_id, workflow_id, version_id, event_id, workflow_name,
     version_number, trigger_data, subject, outputs)
SELECT agency_id, workspace_id, connection_id, workflow_id, version_id, event_id, name, number,
       data, subject, '{}'
  FROM jsonb_to_recordset(%s::jsonb)
    AS new (agency_id bigint, workspace_id bigint, connection_id bigint, workflow_id bigint,
            version_id bigint, event_id bigint, name text, number int, data jsonb, subject text)
ON CONFLICT (event_id, workflow_id) DO NOTHING
RETURNING event_id, connection_id, id
"""


@dataclass(frozen=True)
class TriggerSubscription:
    """A live version that listens on a connection."""

    version: Version
    settings: Data

    def wants(self, event: Event) -> bool:
        trigger = registry.triggers.get(self.version.trigger)
        return (
            trigger is not None
            and not event.undecided
            and (not event.ours or bool(self.settings.get("own")))
            and self.version.workflow_id
            not in event.chain  # else it would set itself off, perhaps by way of others
            and trigger.category == event.category
            and trigger.matches(event, self.settings)
        )


def start_activations(events: Sequence[Event]) -> Mapping[int, int]:
    """Insert the activations of these events and wake their lanes; return how many per event."""
    subscriptions = _list_subscriptions({event.connection_id for event in events})
    rows = [
        _build_row(event, subscription.version)
        for event in events
        for subscription in subscriptions[event.connection_id]
        if subscription.wants(event)
    ]
    if not rows:
        return {}
    return Counter(event_id for event_id, _ in _insert_activations(rows))


def start_one(event: Event, version: Version) -> int | None:
    """Start this version for an event at a person's request.

    Return the activation's id, or None where the workflow has an activation for this event.
    """
    started = _insert_activations([_build_row(event, version)])
    return started[0][1] if started else None


def _insert_activations(rows: Sequence[Data]) -> list[tuple[int, int]]:
    """Insert the new activations, wake their lanes and return (event id, activation id) of each."""
    with database.cursor() as cursor:
        cursor.execute(INSERT, [exact_json.dumps(rows)])
        started = cursor.fetchall()
    lanes.wake_lanes(
        (connection_id for _, connection_id, _ in started), gather=len(started) >= CROWD
    )
    return [(event_id, pk) for event_id, _, pk in started]


def list_interests(trigger_keys: Collection[str]) -> list[Interest]:
    """List what published workflows listen to with these triggers, and what drafts would.

    Drafts count because they are tested on those events.
    """
    is_live = Q(workflow__versions__live=True, workflow__state__in=LISTENING)
    is_draft = Q(workflow__versions__published_at=None) & ~Q(workflow__state=WorkflowState.ARCHIVED)
    listening = WorkflowConnection.objects.filter(
        is_live | is_draft,
        ~Exists(organisation_pauses.list_for_application(holds=False)),
        connection__workspace__archived_at=None,
        connection__state=ConnectionState.ACTIVE,
        workflow__versions__trigger__in=trigger_keys,
    )
    version = "workflow__versions__"
    since = Coalesce(f"{version}published_at", f"{version}edited_at")
    columns = ("connection_id", f"{version}trigger", f"{version}trigger_settings")
    return [Interest(*row) for row in listening.values_list(*columns, since)]


def _list_subscriptions(connection_ids: set[int]) -> dict[int, list[TriggerSubscription]]:
    applications = WorkflowConnection.objects.filter(
        ~Exists(organisation_pauses.list_for_application(holds=False)),
        connection_id__in=connection_ids,
        connection__workspace__archived_at=None,
        workflow__state__in=LISTENING,
    ).values_list("connection_id", "workflow_id")
    live = Version.objects.filter(
        live=True, workflow__in={workflow for _, workflow in applications}
    )
    versions = {version.workflow_id: version for version in live.select_related("workflow")}
    subscriptions: dict[int, list[TriggerSubscription]] = defaultdict(list)
    for connection_id, workflow_id in applications:
        if workflow_id in versions:
            version = versions[workflow_id]
            subscriptions[connection_id].append(
                TriggerSubscription(version, version.trigger_settings)
            )
    return subscriptions


def _build_row(event: Event, version: Version) -> Data:
    trigger = registry.triggers[version.trigger]
    data = trigger.data(event)
    workflow = version.workflow
    return {
        "agency_id": workflow.agency_id,
        "workspace_id": event.workspace_id,
        "connection_id": event.connection_id,
        "workflow_id": workflow.pk,
        "version_id": version.pk,
        "event_id": event.pk,
        "name": workflow.name,
        "number": version.number,
        "data": data,
        "subject": trigger.subject(data)[:200],
    }
