"""Registration of the engine: built-in actions and triggers, the event listener, extensions."""

from connections import panels
from connections.integrations import registry
from connections.models import Connection
from connections.providers import providers
from connections.writes import (
    admission,
    decisions,
    echoes,
    reconciliation,
    record_history,
    resend_checks,
    results,
)
from taskjuice.queue import sweeping
from taskjuice.workspaces import holdings
from taskjuice.workspaces import panels as workspace_panels
from workflows import invariants
from workflows.activations import blocked
from workflows.activations import retention as activation_retention
from workflows.approvals import permits
from workflows.approvals import tasks as approval_tasks
from workflows.approvals.unknown_outcomes import continue_or_end
from workflows.builder import queries as builder_queries
from workflows.engine import lanes, organisation_pauses
from workflows.engine.write_permission import list_write_refusals
from workflows.models import (
    Activation,
    Approval,
    Lane,
    OrganisationPause,
    Permit,
    SentRequest,
    StepRun,
    Version,
    Workflow,
    WorkflowConnection,
)
from workflows.steps.ask_person import AskPerson
from workflows.steps.core import Filter, Note, SetValues
from workflows.steps.delay import Delay
from workflows.steps.email_views import build_panel as emails_panel
from workflows.steps.http.action import HttpRequest
from workflows.steps.send_email import SendEmail
from workflows.triggers import causes
from workflows.triggers import runner as trigger_runner
from workflows.triggers.intake import list_interests, start_activations
from workflows.triggers.runner import Manual, OnSchedule


def register() -> None:
    registry.add(
        actions=[Filter(), SetValues(), Note(), Delay(), AskPerson(), SendEmail(), HttpRequest()],
        triggers=[OnSchedule(), Manual()],
        listener=start_activations,
        interests=list_interests,
    )
    activation_retention.register()
    sweeping.add_sweep("forgotten lanes", seconds=2, run=lanes.rewake_forgotten)
    sweeping.add_sweep("schedules", seconds=5, run=trigger_runner.start_due)
    sweeping.add_sweep("pauses that are over", seconds=10, run=organisation_pauses.end_due_pauses)
    sweeping.add_sweep("overlooked decisions", seconds=5, run=approval_tasks.resume_overlooked)
    providers.tell_workflows(builder_queries.list_names_using)
    providers.when_usable(_go_on)
    decisions.on_decided(continue_or_end)
    admission.add_gatekeeper(admission.Gatekeeper(permits.admit_writes, permits.give_back))
    record_history.add_run_source(builder_queries.list_record_runs)
    panels.add(blocked.build_panel)
    workspace_panels.of_agency_settings.add(emails_panel)
    results.add_author_source(builder_queries.get_author)
    reconciliation.add_cause_source(causes.list_causes)
    echoes.add_chain_source(builder_queries.find_chains)
    resend_checks.add_activation_check(list_write_refusals)
    invariants.register()
    _tell_holdings()


def _tell_holdings() -> None:
    """Register the tables of a workspace.

    Workflows belong to the agency: those applied to a client are in its export, and stay when the
    client is deleted.
    """
    holdings.add(Workflow, "applications__connection__workspace", erased=False, many=True)
    holdings.add(Version, "workflow__applications__connection__workspace", erased=False, many=True)
    holdings.add(WorkflowConnection, "connection__workspace")
    holdings.add(OrganisationPause, "connection__workspace")
    holdings.add(Lane, "connection__workspace", exported=False)
    holdings.add(Activation, hidden=("lease_token",))
    holdings.add(StepRun, "activation__workspace")
    holdings.add(Permit)
    holdings.add(Approval)
    holdings.add(SentRequest, "activation__workspace")


def _go_on(connection: Connection) -> None:
    """Resume the activations that waited for this connection."""
    blocked.resume_held(connection.pk)
