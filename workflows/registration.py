"""What the engine brings to the registries: the built-in actions, its ear for events, its interest in connections."""

from connections import admission, decisions, history, panels
from connections.integrations import registry
from connections.models import Connection
from connections.providers import providers
from taskjuice.queue import sweeping
from workflows import approvals, blocked, lanes, permits, queries, timetable
from workflows.actions import Filter, Note, SetValues
from workflows.asking import AskPerson
from workflows.decisions import go_on
from workflows.http_request import HttpRequest
from workflows.intake import interests, start_activations
from workflows.mailing import SendEmail
from workflows.timetable import Manual, OnSchedule
from workflows.waiting import Delay


def register() -> None:
    registry.add(
        actions=[Filter(), SetValues(), Note(), Delay(), AskPerson(), SendEmail(), HttpRequest()],
        triggers=[OnSchedule(), Manual()],
        listener=start_activations,
        interests=interests,
    )
    sweeping.add("forgotten lanes", seconds=2, run=lanes.rewake_forgotten)
    sweeping.add("schedules", seconds=5, run=timetable.start_due)
    sweeping.add("overlooked decisions", seconds=5, run=approvals.mend)
    providers.tell_workflows(queries.names_using)
    providers.when_usable(_go_on)
    decisions.when_decided(go_on)
    admission.add(permits.admit)
    history.tell_runs(queries.runs_of)
    panels.add(blocked.panel)


def _go_on(connection: Connection) -> None:
    """What waited for this connection goes on."""
    blocked.go_on(connection.pk)
