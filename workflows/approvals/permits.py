"""Permits: one for each write of a guarded step, counted by the step's limits.

Requests of one workflow are decided one after the other (its row is locked), from any worker and
client, so that two at once cannot exceed a limit. A permit stands for a record that is written or
about to be; it is given back when nothing was written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat, Now

from connections.integrations import ActionContext, Done, Failed, Outcome, TryLater
from connections.models import LIVE_CALLS
from connections.models import Call as JournalCall
from connections.writes.admission import WriteRequest
from taskjuice.queue import clock
from workflows.approvals import tasks as approval_tasks
from workflows.approvals.tasks import Question
from workflows.definition import guards
from workflows.models import (
    DECIDED,
    Activation,
    ActivationState,
    Permit,
    SentRequest,
    StepRun,
    Workflow,
)

HOUR = timedelta(hours=1)
DAYS_TO_DECIDE = 7
NOT_KNOWN = "The step has a limit by amount; give its lines their prices, or take the limit off."
Key = tuple[int | None, str, int]  # activation, step, element


@dataclass(frozen=True, slots=True)
class SpentPermit:
    """A write within the last hour."""

    given_at: datetime
    amount: Decimal
    currency: str


def admit_writes(requests: Sequence[WriteRequest]) -> list[Outcome | None]:
    """Decide which of these writes may run now.

    Return None for each admitted one and its outcome for each other. Call it outside transactions.
    """
    with transaction.atomic():
        activations = _load_activations(requests)
        workflows = sorted(
            {a.workflow_id for a in activations.values() if a.workflow_id is not None}
        )
        # In the order of their keys, so that two workers never wait for each other's workflow.
        list(
            Workflow.objects.select_for_update(no_key=True).filter(pk__in=workflows).order_by("pk")
        )
        held = {
            (p.activation_id, p.step, p.element)
            for p in _list_permits(request.call for request in requests)
        }
        return [
            None
            if _key(request.call) in held
            else _judge_request(request, activations[request.call.activation_id])
            for request in requests
        ]


def give_back(calls: Iterable[ActionContext]) -> None:
    """Delete the permits of these calls, because they wrote nothing."""
    permits = _list_permits(calls)
    Permit.objects.filter(pk__in=[permit.pk for permit in permits]).delete()


def forget_unused(activation_id: int) -> None:
    """Delete the unused permits of a cancelled activation, so that its replay needs new ones."""
    _annotate_use().filter(UNUSED, activation=activation_id).delete()


# Cancelled, in nobody's hands, and nothing was written under it: it holds up no other.
UNUSED = Q(
    activation__state=ActivationState.CANCELLED,
    activation__lease_token=None,
    was_used=False,
    has_progress=False,
)


def _annotate_use() -> "QuerySet[Permit]":
    """Annotate permits with their use.

    `was_used`: a call, a request or a finished step exists for it; `has_progress`: some elements of
    its list are done.
    """
    same_write = {
        "activation_id": OuterRef("activation_id"),
        "step": OuterRef("step"),
        "element": OuterRef("element"),
    }
    called = JournalCall.objects.filter(**same_write, state__in=LIVE_CALLS)
    requested = SentRequest.objects.filter(**same_write)
    ran = StepRun.objects.filter(
        activation=OuterRef("activation_id"), name=OuterRef("step"), outcome__in=("done", "unknown")
    )
    progress = Func(
        F("activation__outputs"),
        Concat(Value("@"), F("step")),
        function="jsonb_exists",
        output_field=BooleanField(),
    )
    return Permit.objects.annotate(
        was_used=Exists(called) | Exists(requested) | Exists(ran), has_progress=progress
    )


def _load_activations(requests: Sequence[WriteRequest]) -> dict[int | None, Activation]:
    ids = {pk for request in requests if (pk := request.call.activation_id) is not None}
    rows = (
        Activation.objects.filter(pk__in=ids)
        .select_related("connection")
        .defer("trigger_data", "outputs")
    )
    return {row.pk: row for row in rows}


def _list_permits(calls: Iterable[ActionContext]) -> list[Permit]:
    keys = {_key(call) for call in calls}
    permits = Permit.objects.filter(activation__in={activation for activation, *_ in keys})
    return [
        permit for permit in permits if (permit.activation_id, permit.step, permit.element) in keys
    ]


def _key(call: ActionContext) -> Key:
    return call.activation_id, call.step, call.element


def _judge_request(request: WriteRequest, activation: Activation) -> Outcome | None:
    for rule in (_check_duplicate, _check_size, _check_approval, _check_hour):
        refusal = rule(request, activation)
        if refusal is not None:
            return refusal
    _create_permit(request, activation)
    return None


def _check_duplicate(request: WriteRequest, activation: Activation) -> Outcome | None:
    guard = request.call.guard
    if not guard.get("duplicate"):
        return None
    if request.twin is not None:
        return Failed("duplicate", request.twin.message, existing=request.twin.record)
    days = int(guard.get("days") or guards.DEFAULT_DAYS)
    alike = _annotate_use().filter(
        ~UNUSED,
        workflow=activation.workflow_id,
        step=request.call.step,
        connection=activation.connection_id,
        likeness=request.call.likeness,
        given_at__gt=Now() - timedelta(days=days),
    )
    earlier = alike.values_list("activation_id", flat=True).first()
    if earlier is None:
        return None
    return Failed(
        "duplicate",
        f"This step was given the same in activation {earlier}; it is not written twice.",
    )


def _check_size(request: WriteRequest, activation: Activation) -> Outcome | None:
    most = guards.read_amount(request.call.guard, "never_above")
    if most is None:
        return None
    if request.amount is None:
        return Failed(
            "guard", f"{request.subject}: what it comes to is not known beforehand. {NOT_KNOWN}"
        )
    if request.amount > most:
        text = f"{request.subject}: {_format_amount(request)} is more than the {most:,} it may write at once."
        return Failed("guard", text)
    return None


def _check_approval(request: WriteRequest, activation: Activation) -> Outcome | None:
    """Ask a person once per write, and again if its amount has changed since."""
    above = guards.read_amount(request.call.guard, "approve_above")
    if above is None or (above and request.amount is not None and request.amount <= above):
        return None
    question = _build_question(request, activation)
    task = approval_tasks.ask_questions([question])[activation.pk, question.step]
    if task.question != question.text:
        approval_tasks.reset_tasks(activation.pk, [question.step])
        task = approval_tasks.ask_questions([question])[activation.pk, question.step]
    outcome = approval_tasks.outcome_of(task)
    if task.state in DECIDED:
        approval_tasks.note_taken([task])
    return None if isinstance(outcome, Done) else outcome


def _build_question(request: WriteRequest, activation: Activation) -> Question:
    call = request.call
    money = f" ({_format_amount(request)})" if request.amount is not None else ""
    text = f"{request.subject}{money}?"
    details = f"The step {call.step} of “{activation.workflow_name}” waits with this, at {activation.connection.name}."
    step = f"{call.step[:50]}#{call.element + 1}" if call.element else call.step
    ends = clock.now() + timedelta(days=DAYS_TO_DECIDE)
    return Question(activation.pk, step, text[:200], details, [], ends)


def _list_spent(request: WriteRequest, activation: Activation) -> list[SpentPermit]:
    """List the step's writes in the last hour, oldest first."""
    rows = _annotate_use().filter(
        ~UNUSED, workflow=activation.workflow_id, step=request.call.step, given_at__gt=Now() - HOUR
    )
    columns = rows.order_by("given_at").values_list("given_at", "amount", "currency")
    return [SpentPermit(at, amount or Decimal(0), currency) for at, amount, currency in columns]


def _check_hour(request: WriteRequest, activation: Activation) -> Outcome | None:
    """Make the write wait until it fits into an hour's limits; fail one that never fits."""
    guard = request.call.guard
    if not (guard.get("per_hour") or guard.get("amount_per_hour")):
        return None
    spent = _list_spent(request, activation)
    most = int(guard.get("per_hour") or 0)
    if most and len(spent) >= most:
        return _wait_until(
            f"{most:,} writes in the last hour are all that this step may do",
            spent[len(spent) - most],
        )
    cap = guards.read_amount(guard, "amount_per_hour")
    if cap is None:
        return None
    if request.amount is None:
        return Failed(
            "guard", f"{request.subject}: what it comes to is not known beforehand. {NOT_KNOWN}"
        )
    if request.amount > cap:
        text = f"{request.subject}: {_format_amount(request)} is more than the {cap:,} that may be written in an hour."
        return Failed("guard", text)
    return _check_hourly_amount(
        request, cap, [permit for permit in spent if permit.currency == request.currency]
    )


def _check_hourly_amount(
    request: WriteRequest, cap: Decimal, spent: Sequence[SpentPermit]
) -> TryLater | None:
    assert request.amount is not None
    over = sum((permit.amount for permit in spent), request.amount) - cap
    for permit in spent:
        if over <= 0:
            break
        over, last = over - permit.amount, permit
        if over <= 0:
            return _wait_until(
                f"with {_format_amount(request)} more this step would pass its {cap:,} an hour",
                last,
            )
    return None


def _format_amount(request: WriteRequest) -> str:
    return f"{request.amount:,} {request.currency}".strip()


def _wait_until(reason: str, until_passes: SpentPermit) -> TryLater:
    at = until_passes.given_at + HOUR
    return TryLater(f"Held back by a limit of this step: {reason}.", at=at, counts=False)


def _create_permit(request: WriteRequest, activation: Activation) -> None:
    assert activation.workflow_id is not None  # without one it has no version to run
    Permit.objects.create(
        agency_id=activation.agency_id,
        workspace_id=activation.workspace_id,
        connection_id=activation.connection_id,
        workflow_id=activation.workflow_id,
        activation=activation,
        step=request.call.step,
        element=request.call.element,
        amount=request.amount,
        currency=request.currency,
        likeness=request.call.likeness,
    )
