"""How far a connect link has come. Every step is a conditional update: a link that is over stays as
it is.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Coalesce, Now

from connections.models import ConnectLink, Consent
from taskjuice.queue.wake import enqueue_task

RETELL_AFTER = timedelta(minutes=1)
MOST = 100  # of one sweep
MOST_STARTS = (
    20  # of one link within STARTS_WITHIN: each is a row, a session and a trip to the provider
)
STARTS_WITHIN = timedelta(hours=1)


@transaction.atomic
def may_start(link: ConnectLink) -> bool:
    """Whether one more trip may begin with this link. Holds the link until the caller's transaction
    ends.
    """
    ConnectLink.objects.select_for_update(no_key=True).get(pk=link.pk)
    begun = Consent.objects.filter(link=link, created_at__gt=Now() - STARTS_WITHIN)
    return begun.count() < MOST_STARTS


def opened(link: ConnectLink) -> bool:
    """Somebody pressed Start. What was cancelled before is forgotten. False: the link is over, or
    expired.
    """
    open_still = _open(link).filter(expires_at__gt=Now())
    return bool(
        open_still.update(
            opened_at=Coalesce("opened_at", Now()), consented_at=None, cancelled_at=None, reason=""
        )
    )


def consented(link: ConnectLink | None) -> None:
    if link is not None:
        _open(link).update(consented_at=Now())


def chosen(link: ConnectLink | None, names: Sequence[str]) -> bool:
    """The one use of the link. False: it was used, declined or revoked meanwhile. True without a
    link.
    """
    if link is None:
        return True
    organisations = [name[:254] for name in names]
    return _end(link, chosen_at=Now(), cancelled_at=None, reason="", organisations=organisations)


def cancelled(link: ConnectLink | None, reason: str) -> None:
    """Nothing came of this trip; they may start again."""
    if link is not None:
        _end(link, cancelled_at=Now(), reason=reason[:300])


def declined(link: ConnectLink, reason: str) -> bool:
    """They do not want to, for good."""
    return _end(link, declined_at=Now(), reason=reason[:300])


def wake_untold() -> None:
    """Have the senders told whom a lost wake-up or a mail server that was away left without a word."""
    since = Now() - RETELL_AFTER
    for pk in ConnectLink.objects.filter(untold_since__lt=since).values_list("pk", flat=True)[
        :MOST
    ]:
        enqueue_task("connections.tasks.tell_link", pk)


@transaction.atomic
def _end(link: ConnectLink, **outcome: Any) -> bool:
    """Store what came of the link, and have its sender told."""
    ended = _open(link).update(untold_since=Now(), **outcome)
    if ended:
        enqueue_task("connections.tasks.tell_link", link.pk)
    return bool(ended)


def _open(link: ConnectLink) -> "QuerySet[ConnectLink]":
    return ConnectLink.objects.filter(pk=link.pk, chosen_at=None, declined_at=None, revoked_at=None)
