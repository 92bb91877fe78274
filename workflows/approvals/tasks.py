"""Tasks for people: asked by a step, decided once by a member of staff, read by the step.

The activation waits for its next attempt until the task expires; a decision makes it due at once.
E-mails about tasks are sent by taskjuice/notifications, which writes to a person about everything
at once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F, Func, QuerySet, Value
from django.db.models.functions import Cast, Now
from django.urls import reverse

from connections.integrations import Data, Done, Outcome, Stopped, TryLater
from taskjuice.queue import clock
from taskjuice.workspaces import audit
from taskjuice.workspaces.models import Agency, Role, User
from workflows.engine import lanes
from workflows.engine.lifecycle import NotAllowedNow
from workflows.models import DECIDED, Activation, ActivationState, Approval, ApprovalState


@dataclass(frozen=True, slots=True)
class Question:
    """A step's question; `to` lists addresses of staff, or nobody for the owner and the admins."""

    activation_id: int
    step: str
    text: str
    details: str
    to: Sequence[str]
    expires_at: datetime


class NotOnTheTeam(Exception):
    """Addresses that belong to none of the agency's staff; the text names them."""


def ask_questions(questions: Sequence[Question]) -> Mapping[tuple[int, str], Approval]:
    """Return the task of each question by activation and step, a new one or the existing one.

    Raises NotOnTheTeam, and then nothing was asked.
    """
    ids = {question.activation_id for question in questions}
    with transaction.atomic():
        tasks = _load_current(ids)
        fresh = [q for q in questions if (q.activation_id, q.step) not in tasks]
        if fresh:
            _create_tasks(fresh)
            tasks = _load_current(ids)
    return tasks


def decide_task(*, approval: Approval, approved: bool, comment: str, by: User) -> None:
    """Decide the task for good.

    Raise NotAllowedNow where it was decided before, has expired or was withdrawn.
    """
    state = ApprovalState.APPROVED if approved else ApprovalState.DECLINED
    with transaction.atomic():
        taken = Approval.objects.filter(
            pk=approval.pk, state=ApprovalState.OPEN, current=True, expires_at__gt=Now()
        ).update(
            state=state,
            decided_by=by,
            decided_name=str(by)[:254],
            decided_at=Now(),
            comment=comment.strip(),
        )
        if not taken:
            approval.refresh_from_db()
            raise NotAllowedNow(_explain_refusal(approval))
        _make_due([approval.activation_id])
        audit.record(
            f"task {state}",
            by=by,
            agency=approval.agency,
            workspace=approval.workspace,
            subject=approval.question,
            activation=approval.activation_id,
            comment=comment.strip(),
        )


def expire_task(approval: Approval) -> bool:
    """Close the task without a decision; return False where a decision was faster."""
    return bool(
        Approval.objects.filter(pk=approval.pk, state=ApprovalState.OPEN).update(
            state=ApprovalState.EXPIRED
        )
    )


def note_taken(approvals: Iterable[Approval]) -> None:
    Approval.objects.filter(pk__in=[approval.pk for approval in approvals]).update(taken_at=Now())


def withdraw_tasks(activation_id: int) -> None:
    """Withdraw the open tasks of a cancelled activation."""
    _open_tasks(activation_id).update(state=ApprovalState.WITHDRAWN)


def reset_tasks(activation_id: int, steps: Sequence[str]) -> None:
    """Withdraw the tasks of these steps, decided ones too, because the activation is replayed."""
    _open_tasks(activation_id).filter(step__in=steps).update(state=ApprovalState.WITHDRAWN)
    Approval.objects.filter(activation=activation_id, step__in=steps).update(current=False)


def resume_overlooked() -> None:
    """Make activations due that missed a decision, in the worker's sweep."""
    with transaction.atomic():
        decided = Approval.objects.filter(state__in=DECIDED, taken_at=None, current=True)
        _make_due(list(decided.values_list("activation_id", flat=True)[:500]))


def list_unnotified() -> "QuerySet[Approval]":
    """Return the open tasks that still need an e-mail to some of their people, oldest first."""
    rows = Approval.objects.filter(state=ApprovalState.OPEN, current=True, told_at=None).exclude(
        told=[]
    )
    return (
        rows.filter(expires_at__gt=Now())
        .select_related("agency", "workspace", "activation")
        .order_by("asked_at")
    )


def note_notified(approvals: Iterable[Approval], addresses: Mapping[int, Collection[str]]) -> None:
    """Note the people who were written to about each task, or never will be.

    `addresses` are by the task's id. Call it in the transaction that sends.
    """
    for approval in approvals:
        Approval.objects.filter(pk=approval.pk).update(
            reached=Func(
                F("reached"), _cast_addresses(addresses[approval.pk]), function="array_cat"
            )
        )
    Approval.objects.filter(
        pk__in=[approval.pk for approval in approvals],
        told_at=None,
        told__contained_by=F("reached"),
    ).update(told_at=Now())


def _cast_addresses(addresses: Collection[str]) -> Cast:
    """Return the addresses as the column's type; a bare list would be an array of another type."""
    column = Approval._meta.get_field("reached")
    return Cast(Value(sorted(addresses), output_field=column), output_field=column)


def staff_addresses(agency: Agency) -> set[str]:
    """Return the e-mail addresses of the agency's active staff, in lower case."""
    people = agency.memberships.filter(user__is_active=True)
    return {address.lower() for address in people.values_list("user__email", flat=True)}


def _load_current(activation_ids: Iterable[int]) -> dict[tuple[int, str], Approval]:
    rows = Approval.objects.filter(activation__in=activation_ids, current=True)
    return {(row.activation_id, row.step): row for row in rows}


def _create_tasks(questions: Sequence[Question]) -> None:
    activations = Activation.objects.select_related("agency").in_bulk(
        [q.activation_id for q in questions]
    )
    agency = next(iter(activations.values())).agency  # a wave is of one connection
    rows = [
        _build_task(question, activations[question.activation_id], agency) for question in questions
    ]
    Approval.objects.bulk_create(rows)


def _build_task(question: Question, activation: Activation, agency: Agency) -> Approval:
    return Approval(
        agency_id=activation.agency_id,
        workspace_id=activation.workspace_id,
        activation=activation,
        step=question.step,
        question=question.text,
        details=question.details,
        told=_choose_recipients(agency, question.to),
        expires_at=question.expires_at,
    )


def _choose_recipients(agency: Agency, chosen: Sequence[str]) -> list[str]:
    if not chosen:
        leads = agency.memberships.filter(role__in=(Role.OWNER, Role.ADMIN), user__is_active=True)
        return [
            address.lower()
            for address in leads.order_by("pk").values_list("user__email", flat=True)
        ]
    staff = staff_addresses(agency)
    if strangers := [address for address in chosen if address.lower() not in staff]:
        raise NotOnTheTeam(", ".join(strangers))
    return list(dict.fromkeys(address.lower() for address in chosen))


def _open_tasks(activation_id: int) -> "QuerySet[Approval]":
    return Approval.objects.filter(activation=activation_id, state=ApprovalState.OPEN)


def _make_due(activation_ids: Sequence[int]) -> None:
    """Make the waiting activations due now.

    One whose task is just being stored is caught by the sweep.
    """
    # Locked in the order of their keys, so that two decisions at once cannot deadlock.
    resting = Activation.objects.select_for_update().filter(
        pk__in=activation_ids, state=ActivationState.READY, next_at__gt=Now()
    )
    connection_ids = {
        activation.pk: activation.connection_id for activation in resting.order_by("pk")
    }
    Activation.objects.filter(pk__in=connection_ids).update(next_at=Now())
    lanes.wake_lanes(connection_ids.values())


def _explain_refusal(approval: Approval) -> str:
    match approval.state:
        case ApprovalState.APPROVED | ApprovalState.DECLINED:
            return f"{approval.decided_name} has {approval.state} this already."
        case ApprovalState.WITHDRAWN:
            return "This is no longer asked: its activation was cancelled or replayed."
        case _:
            return "The time to decide is over."


def get_task_url(approval: Approval) -> str:
    """Return the address of the task's page."""
    kwargs = {
        "agency": approval.agency.slug,
        "workspace": approval.workspace.slug,
        "task": approval.pk,
    }
    return reverse("workflows:task-detail", kwargs=kwargs)


def outcome_of(task: Approval, *, goes_on: bool = False) -> Outcome:
    """Return the outcome of the asking step.

    `goes_on`: a declined task is done as well, and its output says so.
    """
    if task.state == ApprovalState.OPEN and task.expires_at <= clock.now():
        if expire_task(task):
            return Stopped("Nobody decided in time.", _decision(task))
        task.refresh_from_db()
    match task.state:
        case ApprovalState.OPEN:
            return TryLater(
                f"Waits for a decision: {task.question}", at=task.expires_at, counts=False
            )
        case ApprovalState.APPROVED:
            return Done(_decision(task))
        case ApprovalState.DECLINED if goes_on:
            return Done(_decision(task))
        case ApprovalState.DECLINED:
            reason = f"Declined by {task.decided_name}" + (
                f": {task.comment}" if task.comment else "."
            )
            return Stopped(reason, _decision(task))
        case _:
            return Stopped("Nobody decided in time.", _decision(task))


def _decision(task: Approval) -> Data:
    return {
        "approved": task.state == ApprovalState.APPROVED,
        "by": task.decided_name,
        "at": task.decided_at.isoformat() if task.decided_at else "",
        "comment": task.comment,
    }
