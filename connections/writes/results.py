"""Results of writes: stored on the calls of the journal, and recorded in the audit chain."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from connections.models import Call, CallState, Sending
from connections.writes.writers import Found, RecordMade, RecordRefused, Undecided, Writer
from taskjuice.crash import crash_point
from taskjuice.database.outages import retry_during_outage
from taskjuice.workspaces import audit
from taskjuice.workspaces.models import User

UNSETTLED = (CallState.INTENDED, CallState.SENT)
_authors: list[Callable[[int], str]] = []


def store_verdicts(
    writer: Writer, sending: Sending, decided: Mapping[UUID, RecordMade | RecordRefused]
) -> None:
    """Keep what is known of these; a call that is settled already stays as it is."""
    retry_during_outage(lambda: _store_verdicts_once(writer, sending, decided))
    crash_point("journal.after_commit")


def _store_verdicts_once(
    writer: Writer, sending: Sending, decided: Mapping[UUID, RecordMade | RecordRefused]
) -> None:
    with transaction.atomic():
        locked = Call.objects.select_for_update(of=("self",)).filter(
            pk__in=list(decided), state__in=UNSETTLED
        )
        for call in locked.select_related("agency", "workspace", "user"):
            settle_call(writer, call, decided[call.pk])
        Sending.objects.filter(pk=sending.pk).update(status=200)
        crash_point("journal.before_commit")


def settle_call(
    writer: Writer, call: Call, verdict: RecordMade | RecordRefused, *, by: User | None = None
) -> None:
    call.answer, call.settled_at = verdict.answer, timezone.now()
    if isinstance(verdict, RecordMade):
        call.state, call.error = CallState.CONFIRMED, ""
        call.record_id, call.record_name = verdict.record_id, verdict.name[:255]
        call.messages = list(verdict.warnings)
        call.changed_at = verdict.changed_at
    else:
        call.state, call.messages = CallState.FAILED, verdict.messages
        call.error = " ".join(verdict.messages)[:500]
    call.save(
        update_fields=[
            "answer",
            "settled_at",
            "state",
            "error",
            "record_id",
            "record_name",
            "messages",
            "changed_at",
        ]
    )
    if isinstance(verdict, RecordMade):
        record_write(call, writer.verb, by=by or call.user)


def add_author_source(author: Callable[[int], str]) -> None:
    """Add a source of what an activation runs, for the audit chain: "Thank a payer v3"."""
    _authors.append(author)


def record_write(call: Call, verb: str, *, by: User | None, **details: str) -> None:
    """Record a write in the audit chain, as a person's or as a step's of a workflow version."""
    step = {"activation": call.activation_id, "step": call.step} if call.activation_id else {}
    authors = [author(call.activation_id) for author in _authors] if call.activation_id else []
    audit.record(
        verb,
        by=by or (f"Workflow {authors[0]}" if any(authors) else None),
        agency=call.agency,
        workspace=call.workspace,
        subject=call.record_name or call.subject,
        call=str(call.pk),
        **step,
        **details,
    )


def store_found(
    writer: Writer, sending: Sending, calls: Sequence[Call], found: Mapping[UUID, Found]
) -> list[Call]:
    """Store what the look-up decided; return the calls that are not at the provider, as far as
    known.
    """
    made = {pk: record for pk, record in found.items() if isinstance(record, RecordMade)}
    if made:
        store_verdicts(writer, sending, made)
    for pk, verdict in found.items():
        if isinstance(verdict, Undecided):
            _mark_unknown(pk, verdict.reason)
    return [call for call in calls if not isinstance(found.get(call.pk), RecordMade | Undecided)]


def close_calls(reasons: Mapping[UUID, str]) -> None:
    """Fail calls that are known not to be at the provider and are not sent any more."""
    for pk, reason in reasons.items():
        Call.objects.filter(pk=pk, state__in=UNSETTLED).update(
            state=CallState.FAILED, error=reason[:500], settled_at=Now()
        )


def _mark_unknown(pk: UUID, reason: str) -> None:
    Call.objects.filter(pk=pk, state__in=UNSETTLED).update(
        state=CallState.UNKNOWN, error=reason[:500]
    )
