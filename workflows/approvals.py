"""Tasks for people: asked by a step, decided once by somebody on the agency's staff, read by the step again.

The activation rests as one that waits for its next attempt, until the task expires; a decision makes it due at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from taskjuice.queue import wake
from taskjuice.workspaces import audit
from taskjuice.workspaces.models import Agency, Role, User
from workflows import lanes
from workflows.lifecycle import NotAllowed
from workflows.models import DECIDED, Activation, ActivationState, Approval, ApprovalState

TELL_TASK = "workflows.tasks.tell_of_approval"
TOLD_WITHIN = timedelta(minutes=1)  # a letter that takes longer has lost its wake-up


@dataclass(frozen=True, slots=True)
class Question:
    """What a step asks. `to`: addresses of staff; nobody named means the owner and the admins."""

    activation_id: int
    step: str
    text: str
    details: str
    to: Sequence[str]
    expires_at: datetime


class NotOnTheTeam(Exception):
    """These addresses belong to nobody on the agency's staff; the text names them."""


def ask(questions: Sequence[Question]) -> Mapping[tuple[int, str], Approval]:
    """The task of each question, by activation and step: a new one, or what it was asked before.

    Raises NotOnTheTeam; then nothing was asked.
    """
    ids = {question.activation_id for question in questions}
    with transaction.atomic():
        found = _current(ids)
        fresh = [q for q in questions if (q.activation_id, q.step) not in found]
        if fresh:
            _store(fresh)
            found = _current(ids)
    return found


def decide(*, approval: Approval, approved: bool, comment: str, by: User) -> None:
    """Once and for all: raises NotAllowed where it was decided before, has expired or was withdrawn."""
    state = ApprovalState.APPROVED if approved else ApprovalState.DECLINED
    with transaction.atomic():
        taken = Approval.objects.filter(
            pk=approval.pk, state=ApprovalState.OPEN, current=True, expires_at__gt=Now()
        ).update(
            state=state, decided_by=by, decided_name=str(by)[:254], decided_at=Now(), comment=comment.strip()
        )
        if not taken:
            approval.refresh_from_db()
            raise NotAllowed(_why_not(approval))
        _let_go_on([approval.activation_id])
        audit.record(
            f"task {state}",
            by=by,
            agency=approval.agency,
            workspace=approval.workspace,
            subject=approval.question,
            activation=approval.activation_id,
            comment=comment.strip(),
        )


def expire(approval: Approval) -> bool:
    """Whether it ended undecided; a decision made meanwhile wins."""
    return bool(
        Approval.objects.filter(pk=approval.pk, state=ApprovalState.OPEN).update(state=ApprovalState.EXPIRED)
    )


def note_taken(approvals: Iterable[Approval]) -> None:
    Approval.objects.filter(pk__in=[approval.pk for approval in approvals]).update(taken_at=Now())


def withdraw(activation_id: int) -> None:
    """The activation was cancelled: nobody needs to decide any more."""
    _open(activation_id).update(state=ApprovalState.WITHDRAWN)


def ask_anew(activation_id: int, steps: Sequence[str]) -> None:
    """The activation is replayed from before these steps: what was decided there counts no more."""
    _open(activation_id).filter(step__in=steps).update(state=ApprovalState.WITHDRAWN)
    Approval.objects.filter(activation=activation_id, step__in=steps).update(current=False)


def mend() -> None:
    """The sweep: activations that overlooked a decision go on, letters whose wake-up was lost are sent."""
    with transaction.atomic():
        decided = Approval.objects.filter(state__in=DECIDED, taken_at=None, current=True)
        _let_go_on(list(decided.values_list("activation_id", flat=True)[:500]))
    late = Approval.objects.filter(
        state=ApprovalState.OPEN, told_at=None, asked_at__lt=Now() - TOLD_WITHIN
    ).exclude(told=[])
    for pk in late.values_list("pk", flat=True)[:100]:
        wake.enqueue(TELL_TASK, pk)


def tell(pk: int) -> None:
    """One letter to those who were chosen, once; nothing where it is decided by now."""
    with transaction.atomic():
        rows = Approval.objects.select_for_update(of=("self",), skip_locked=True)
        waiting = rows.filter(pk=pk, state=ApprovalState.OPEN, told_at=None)
        approval = waiting.select_related("agency", "workspace", "activation").first()
        if approval is None or not approval.told:
            return
        _letter(approval).send()
        Approval.objects.filter(pk=pk).update(told_at=Now())


def staff_addresses(agency: Agency) -> set[str]:
    """E-mail addresses of everybody on the team, in small letters."""
    people = agency.memberships.filter(user__is_active=True)
    return {address.lower() for address in people.values_list("user__email", flat=True)}


def _current(activation_ids: Iterable[int]) -> dict[tuple[int, str], Approval]:
    rows = Approval.objects.filter(activation__in=activation_ids, current=True)
    return {(row.activation_id, row.step): row for row in rows}


def _store(questions: Sequence[Question]) -> None:
    activations = Activation.objects.select_related("agency").in_bulk([q.activation_id for q in questions])
    agency = next(iter(activations.values())).agency  # a wave is of one connection
    rows = [_row(question, activations[question.activation_id], agency) for question in questions]
    made = Approval.objects.bulk_create(rows)
    wake.enqueue_all([wake.package(TELL_TASK, row.pk) for row in made if row.told])


def _row(question: Question, activation: Activation, agency: Agency) -> Approval:
    return Approval(
        agency_id=activation.agency_id,
        workspace_id=activation.workspace_id,
        activation=activation,
        step=question.step,
        question=question.text,
        details=question.details,
        told=_told(agency, question.to),
        expires_at=question.expires_at,
    )


def _told(agency: Agency, chosen: Sequence[str]) -> list[str]:
    if not chosen:
        leads = agency.memberships.filter(role__in=(Role.OWNER, Role.ADMIN), user__is_active=True)
        return list(leads.order_by("pk").values_list("user__email", flat=True))
    staff = staff_addresses(agency)
    if strangers := [address for address in chosen if address.lower() not in staff]:
        raise NotOnTheTeam(", ".join(strangers))
    return list(dict.fromkeys(address.lower() for address in chosen))


def _open(activation_id: int) -> "QuerySet[Approval]":
    return Approval.objects.filter(activation=activation_id, state=ApprovalState.OPEN)


def _let_go_on(activation_ids: Sequence[int]) -> None:
    """Those that rest are due now. One that is just being stored is met by the sweep."""
    resting = Activation.objects.select_for_update().filter(
        pk__in=activation_ids, state=ActivationState.READY, next_at__gt=Now()
    )
    found = {activation.pk: activation.connection_id for activation in resting.order_by("pk")}
    Activation.objects.filter(pk__in=found).update(next_at=Now())
    lanes.wake_lanes(found.values())


def _why_not(approval: Approval) -> str:
    match approval.state:
        case ApprovalState.APPROVED | ApprovalState.DECLINED:
            return f"{approval.decided_name} has {approval.state} this already."
        case ApprovalState.WITHDRAWN:
            return "This is no longer asked: its activation was cancelled or replayed."
        case _:
            return "The time to decide is over."


def _letter(approval: Approval) -> EmailMessage:
    place = {"agency": approval.agency.slug, "workspace": approval.workspace.slug, "task": approval.pk}
    words: dict[str, Any] = {
        "approval": approval,
        "url": f"{settings.BASE_URL}{reverse('workflows:task-detail', kwargs=place)}",
        "expires_at": timezone.localtime(approval.expires_at),
    }
    subject = render_to_string("workflows/email/task_subject.txt", words)
    return EmailMessage(
        subject=" ".join(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}".split()),
        body=render_to_string("workflows/email/task_message.txt", words),
        to=approval.told,
    )
