"""Addresses of workflows; most pages exist for the agency and, by the same name, for a workspace.

Actions on a workflow at all its clients exist for the agency only; for a single client it can be
paused.
"""

from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path

from workflows.activations import views as activation_views
from workflows.approvals import views as approval_views
from workflows.builder import (
    detail_views,
    import_export_views,
    manual_run_views,
    organisation_views,
    version_views,
)
from workflows.builder import views as builder_views
from workflows.steps import email_views

app_name = "workflows"

WORKFLOW = "workflows/<int:workflow>/"
ACTIVATION = "activations/<int:activation>/"
TASK = "tasks/<int:task>/"

PAGES: list[tuple[str, Callable[..., Any], str]] = [
    ("workflows/", builder_views.workflow_list, "workflow-list"),
    ("workflows/new/", builder_views.workflow_new, "workflow-new"),
    ("workflows/import/", import_export_views.workflow_import, "workflow-import"),
    (WORKFLOW, detail_views.workflow_detail, "workflow-detail"),
    (f"{WORKFLOW}edit/", builder_views.workflow_edit, "workflow-edit"),
    (f"{WORKFLOW}export/", import_export_views.workflow_export, "workflow-export"),
    (f"{WORKFLOW}publish/", detail_views.workflow_publish, "workflow-publish"),
    (f"{WORKFLOW}run/", manual_run_views.workflow_run, "workflow-run"),
    (f"{WORKFLOW}connections/", organisation_views.workflow_connections, "workflow-connections"),
    (f"{WORKFLOW}resume-here/", organisation_views.workflow_resume_here, "workflow-resume-here"),
    (f"{WORKFLOW}discard/", detail_views.workflow_discard, "workflow-discard"),
    (f"{WORKFLOW}versions/", version_views.version_list, "version-list"),
    (f"{WORKFLOW}versions/<int:number>/restore/", version_views.version_restore, "version-restore"),
    ("activations/", activation_views.activation_list, "activation-list"),
    ("lanes/<int:connection>/resume/", activation_views.lane_resume, "lane-resume"),
    ("activations/bulk/", activation_views.activation_bulk, "activation-bulk"),
    (ACTIVATION, activation_views.activation_detail, "activation-detail"),
    (f"{ACTIVATION}replay/", activation_views.activation_replay, "activation-replay"),
    (f"{ACTIVATION}cancel/", activation_views.activation_cancel, "activation-cancel"),
    (f"{ACTIVATION}resume/", activation_views.activation_resume, "activation-resume"),
    (f"{ACTIVATION}done/", activation_views.activation_done, "activation-done"),
    ("tasks/", approval_views.task_list, "task-list"),
    (TASK, approval_views.task_detail, "task-detail"),
    (f"{TASK}approve/", approval_views.task_approve, "task-approve"),
    (f"{TASK}decline/", approval_views.task_decline, "task-decline"),
]

AT_ALL_CLIENTS: list[tuple[str, Callable[..., Any], str]] = [
    (f"{WORKFLOW}pause/", detail_views.workflow_pause, "workflow-pause"),
    (f"{WORKFLOW}safety/", detail_views.workflow_safety, "workflow-safety"),
    (f"{WORKFLOW}resume/", detail_views.workflow_resume, "workflow-resume"),
    (f"{WORKFLOW}archive/", detail_views.workflow_archive, "workflow-archive"),
    (f"{WORKFLOW}unarchive/", detail_views.workflow_unarchive, "workflow-unarchive"),
]

OF_THE_AGENCY: list[tuple[str, Callable[..., Any], str]] = [
    ("settings/emails/", email_views.email_limit_save, "email-limit"),
]

AT_ONE_CLIENT: list[tuple[str, Callable[..., Any], str]] = [
    (f"{WORKFLOW}pause-here/", organisation_views.workflow_pause_here, "workflow-pause-here"),
]

AGENCY, CLIENT = "<slug:agency>/", "<slug:agency>/<slug:workspace>/"

urlpatterns: list[URLPattern] = [
    *(
        path(f"{place}{route}", view, name=name)
        for route, view, name in PAGES
        for place in (AGENCY, CLIENT)
    ),
    *(
        path(f"{AGENCY}{route}", view, name=name)
        for route, view, name in AT_ALL_CLIENTS + OF_THE_AGENCY
    ),
    *(path(f"{CLIENT}{route}", view, name=name) for route, view, name in AT_ONE_CLIENT),
]
