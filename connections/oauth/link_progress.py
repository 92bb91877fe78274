"""The progress of a connect link. Each step is a conditional update: an ended link stays as it is."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Coalesce, Now

from connections.models import ConnectLink, Consent
from taskjuice.queue.wake import enqueue_task

NOTIFY_AGAIN_AFTER = timedelta(minutes=1)
MOST = 100  # of one sweep
MOST_STARTS = (
    20  # of one link within STARTS_WITHIN: each is a row, a session and a trip to the provider
)
STARTS_WITHIN = timedelta(hours=1)


@transaction.atomic
def can_start(link: ConnectLink) -> bool:
    """Return whether the link may begin one more consent; lock it until the caller's transaction
    ends.
    """
    ConnectLink.objects.select_for_update(no_key=True).get(pk=link.pk)
    begun = Consent.objects.filter(link=link, created_at__gt=Now() - STARTS_WITHIN)
    return begun.count() < MOST_STARTS


def mark_opened(link: ConnectLink) -> bool:
    """Mark the link as started and forget an earlier cancellation. False: it has ended or expired."""
    open_still = _list_open(link).filter(expires_at__gt=Now())
    return bool(
        open_still.update(
            opened_at=Coalesce("opened_at", Now()), consented_at=None, cancelled_at=None, reason=""
        )
    )


def mark_consented(link: ConnectLink | None) -> None:
    if link is not None:
        _list_open(link).update(consented_at=Now())


def mark_chosen(link: ConnectLink | None, names: Sequence[str]) -> bool:
    """Use up the link. False: it was used, declined or revoked before. True without a link."""
    if link is None:
        return True
    organisations = [name[:254] for name in names]
    return _store_outcome(
        link, chosen_at=Now(), cancelled_at=None, reason="", organisations=organisations
    )


def mark_cancelled(link: ConnectLink | None, reason: str) -> None:
    """Note that a consent failed or was cancelled; the recipient may start again."""
    if link is not None:
        _store_outcome(link, cancelled_at=Now(), reason=reason[:300])


def mark_declined(link: ConnectLink, reason: str) -> bool:
    """Decline the link for good."""
    return _store_outcome(link, declined_at=Now(), reason=reason[:300])


def wake_unnotified() -> None:
    """Queue notifications to senders that a lost wake-up or an unavailable mail server held back."""
    since = Now() - NOTIFY_AGAIN_AFTER
    for pk in ConnectLink.objects.filter(untold_since__lt=since).values_list("pk", flat=True)[
        :MOST
    ]:
        enqueue_task("connections.tasks.tell_link", pk)


@transaction.atomic
def _store_outcome(link: ConnectLink, **outcome: Any) -> bool:
    """Store the outcome of the link and queue the notification to its sender."""
    ended = _list_open(link).update(untold_since=Now(), **outcome)
    if ended:
        enqueue_task("connections.tasks.tell_link", link.pk)
    return bool(ended)


def _list_open(link: ConnectLink) -> "QuerySet[ConnectLink]":
    return ConnectLink.objects.filter(pk=link.pk, chosen_at=None, declined_at=None, revoked_at=None)
