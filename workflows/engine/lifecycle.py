"""The life of workflows: created, changed, started and stopped. Every change is audited."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.db.models.functions import Now

from connections.integrations import registry
from connections.models import Connection
from taskjuice.workspaces import audit
from taskjuice.workspaces.models import Agency, User
from workflows.definition.drafts import Draft
from workflows.definition.validation import Problem, RunScope, list_problems
from workflows.engine import organisation_pauses, safety_pause
from workflows.models import Version, Workflow, WorkflowConnection, WorkflowState

NAME_TAKEN = "The agency has a workflow of this name."


class StaleDraft(Exception):
    """Another person saved the draft first, as `saved`; nothing was overwritten."""

    def __init__(self, saved: Version | None) -> None:
        super().__init__("The draft was changed meanwhile.")
        self.saved = saved


class NotPublishable(Exception):
    """Problems that keep the draft from being published."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class NotAllowedNow(Exception):
    """An action that this state does not allow; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content that an editor works on: the draft, or the version it will be forked from.

    `stamp` lets save_draft refuse an editor that began with an older content.
    """

    draft: Draft
    version: Version
    stamp: str


def current_content(workflow: Workflow) -> Content:
    """Return the newest version: the draft if there is one, else the last one published."""
    version = workflow.versions.select_related("edited_by").latest("number")
    return Content(Draft.of(version), version, stamp_of(version))


def stamp_of(version: Version) -> str:
    return (
        f"{version.number}.published"
        if version.published_at
        else f"{version.number}.{version.revision}"
    )


def get_run_scope(workflow: Workflow) -> RunScope:
    """Return the agency and all organisations of the workflow, disconnected ones included."""
    connections = Connection.objects.filter(applications__workflow=workflow).order_by("name", "pk")
    return RunScope(workflow.agency, list(connections))


@transaction.atomic
def create_workflow(
    *, agency: Agency, name: str, draft: Draft, connections: Iterable[Connection] = (), by: User
) -> Workflow:
    """Create a workflow with a draft. Raise ValidationError when the name is taken."""
    workflow = Workflow(agency=agency, name=name, created_by=by)
    _save_name(workflow)
    Version.objects.create(
        workflow=workflow,
        number=1,
        trigger=draft.trigger,
        trigger_settings=dict(draft.settings),
        steps=draft.steps_as_stored(),
        edited_by=by,
    )
    WorkflowConnection.objects.bulk_create(
        WorkflowConnection(agency=agency, workflow=workflow, connection=connection)
        for connection in connections
    )
    audit.record("workflow created", by=by, agency=agency, subject=name)
    return workflow


@transaction.atomic
def rename_workflow(*, workflow: Workflow, name: str, by: User) -> None:
    """Rename the workflow. Raise ValidationError when the name is taken."""
    current = _lock_workflow(workflow)
    if current.name != name:
        before, current.name = current.name, name
        _save_name(current)
        audit.record(
            "workflow renamed",
            by=by,
            agency=current.agency,
            subject=name,
            before=before,
            after=name,
        )


@transaction.atomic
def save_draft(*, workflow: Workflow, draft: Draft, stamp: str, by: User) -> Version:
    """Store the draft; where the newest version is published, as a new one with the next number.

    `stamp` is the one that the editor began with. Raise StaleDraft when the draft was saved or
    published since.
    """
    current = _lock_workflow(workflow)
    _refuse_archived(current)
    newest = current_content(current)
    if newest.stamp != stamp:
        raise StaleDraft(newest.version)
    if newest.draft == draft:
        return newest.version
    version = newest.version if newest.version.published_at is None else _fork_draft(current)
    version.trigger, version.trigger_settings = draft.trigger, dict(draft.settings)
    version.steps, version.edited_by, version.edited_at = draft.steps_as_stored(), by, Now()
    version.revision = (version.revision or 0) + 1
    version.save()
    version.refresh_from_db()
    audit.record(
        "workflow draft saved",
        by=by,
        agency=current.agency,
        subject=current.name,
        version=version.number,
    )
    return version


@transaction.atomic
def save_workflow(
    *,
    workflow: Workflow,
    name: str,
    draft: Draft,
    stamp: str,
    connections: Iterable[Connection],
    within: Iterable[Connection],
    by: User,
) -> None:
    """Save everything that the builder holds, or nothing of it.

    Raises ValidationError (name taken), StaleDraft and NotAllowedNow. Once a version has been
    published, the organisations change only on the workflow's own page, at once.
    """
    save_draft(workflow=workflow, draft=draft, stamp=stamp, by=by)
    rename_workflow(workflow=workflow, name=name, by=by)
    if not workflow.versions.filter(published_at__isnull=False).exists():
        set_connections(workflow=workflow, connections=connections, within=within, by=by)


@transaction.atomic
def discard_draft(*, workflow: Workflow, by: User) -> None:
    """Delete the draft and keep the published version.

    Raise NotAllowedNow where no version was ever published.
    """
    current = _lock_workflow(workflow)
    draft = current.versions.filter(published_at=None).first()
    if draft is None:
        return
    if not current.versions.filter(published_at__isnull=False).exists():
        raise NotAllowedNow("This draft is all there is of the workflow. Archive it instead.")
    draft.delete()
    audit.record(
        "workflow draft discarded",
        by=by,
        agency=current.agency,
        subject=current.name,
        version=draft.number,
    )


@transaction.atomic
def publish_draft(*, workflow: Workflow, by: User) -> Version:
    """Freeze the draft and make it live; activations that have begun finish on their own version.

    Raise NotPublishable with all problems.
    """
    current = _lock_workflow(workflow)
    _refuse_archived(current)
    version = current.versions.filter(published_at=None).first()
    if version is None:
        raise NotAllowedNow("There is no draft to publish.")
    draft = Draft.of(version)
    if problems := list_problems(draft, get_run_scope(current)):
        raise NotPublishable(problems)
    form = registry.triggers[draft.trigger].form(data=dict(draft.settings))
    form.is_valid()  # fills cleaned_data; list_problems found no errors
    current.versions.filter(live=True).update(live=False)
    version.trigger_settings = {k: v for k, v in form.cleaned_data.items() if v is not False}
    version.live, version.published_at = True, Now()
    version.published_by = by
    version.save()
    version.refresh_from_db()
    current.state = WorkflowState.PUBLISHED
    current.save(update_fields=["state", "updated_at"])
    safety_pause.release_held(current)
    # The new version is taken as the fix of earlier failures; a person's pauses stay.
    organisation_pauses.lift_safety_pauses(current)
    current.applications.update(due_at=None)  # a schedule begins again from now
    audit.record(
        "workflow published",
        by=by,
        agency=current.agency,
        subject=current.name,
        version=version.number,
    )
    return version


@transaction.atomic
def restore_version(*, workflow: Workflow, number: int, by: User) -> Version:
    """Create a draft that equals an older version. Raise NotAllowedNow while there is another
    draft.
    """
    current = _lock_workflow(workflow)
    _refuse_archived(current)
    if current.versions.filter(published_at=None).exists():
        raise NotAllowedNow(
            "A draft waits to be published. Publish or discard it first, so that nothing is lost."
        )
    source = current.versions.get(number=number)
    version = _fork_draft(current)
    version.trigger, version.trigger_settings, version.steps = (
        source.trigger,
        source.trigger_settings,
        source.steps,
    )
    version.edited_by = by
    version.save()
    audit.record(
        "workflow version restored",
        by=by,
        agency=current.agency,
        subject=current.name,
        version=number,
    )
    return version


@transaction.atomic
def set_connections(
    *, workflow: Workflow, connections: Iterable[Connection], within: Iterable[Connection], by: User
) -> None:
    """Make the workflow listen to exactly `connections` among those in `within`, and no others of
    them.
    """
    current = _lock_workflow(workflow)
    wanted, seen = {c.pk: c for c in connections}, {c.pk: c for c in within}
    applied = set(
        current.applications.filter(connection__in=seen).values_list("connection_id", flat=True)
    )
    added, removed = wanted.keys() - applied, applied - wanted.keys()
    current.applications.filter(connection__in=removed).delete()
    WorkflowConnection.objects.bulk_create(
        WorkflowConnection(agency=current.agency, workflow=current, connection=wanted[pk])
        for pk in sorted(added)
    )
    for verb, changed in (("workflow applied", added), ("workflow withdrawn", removed)):
        for pk in sorted(changed):
            connection = seen.get(pk) or wanted[pk]
            audit.record(
                verb,
                by=by,
                agency=current.agency,
                workspace=connection.workspace,
                subject=current.name,
                organisation=connection.name,
            )


def pause_workflow(*, workflow: Workflow, by: User) -> None:
    """Start nothing for new events until the workflow is resumed; running activations finish."""
    _change_state(workflow, {WorkflowState.PUBLISHED}, WorkflowState.PAUSED, "workflow paused", by)


@transaction.atomic
def resume_workflow(*, workflow: Workflow, by: User) -> None:
    """Start activations for new events again, and release those that a safety pause held."""
    paused = {WorkflowState.PAUSED, WorkflowState.SAFETY}
    if _change_state(workflow, paused, WorkflowState.PUBLISHED, "workflow resumed", by):
        safety_pause.release_held(workflow)


def archive_workflow(*, workflow: Workflow, by: User) -> None:
    """Archive the workflow: it starts nothing more, and its history stays."""
    _change_state(
        workflow,
        set(WorkflowState) - {WorkflowState.ARCHIVED},
        WorkflowState.ARCHIVED,
        "workflow archived",
        by,
    )


def unarchive_workflow(*, workflow: Workflow, by: User) -> None:
    """Restore the workflow as paused, or as a draft where no version was ever published."""
    live = workflow.versions.filter(live=True).exists()
    held = Workflow.objects.filter(pk=workflow.pk, held=True).exists()
    rest = WorkflowState.SAFETY if held else WorkflowState.PAUSED
    target = rest if live else WorkflowState.DRAFT
    _change_state(workflow, {WorkflowState.ARCHIVED}, target, "workflow brought back", by)


@transaction.atomic
def _change_state(
    workflow: Workflow, sources: set[WorkflowState], target: WorkflowState, verb: str, by: User
) -> bool:
    """Change the state if it is one of `sources`, so that a second click is harmless; say if it
    did.
    """
    current = _lock_workflow(workflow)
    if current.state not in sources:
        return False
    current.state = target
    current.save(update_fields=["state", "updated_at"])
    current.applications.update(due_at=None)  # a schedule does not catch up on a pause
    audit.record(verb, by=by, agency=current.agency, subject=current.name)
    return True


def _lock_workflow(workflow: Workflow) -> Workflow:
    # no_key: rows with a foreign key to the workflow may still be inserted during the lock.
    rows = Workflow.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("agency").get(pk=workflow.pk)


def _refuse_archived(workflow: Workflow) -> None:
    if workflow.state == WorkflowState.ARCHIVED:
        raise NotAllowedNow("The workflow is archived. Bring it back before you change it.")


def _fork_draft(workflow: Workflow) -> Version:
    """Return an unsaved draft with the next number."""
    newest = workflow.versions.aggregate(newest=Max("number"))["newest"] or 0
    return Version(workflow=workflow, number=newest + 1, revision=0, edited_at=Now())


def _save_name(workflow: Workflow) -> None:
    try:
        with transaction.atomic():
            workflow.save()
    except IntegrityError as error:  # workflow_name_once_in_agency
        raise ValidationError(NAME_TAKEN, code="taken") from error
