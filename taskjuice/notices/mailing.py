"""Incidents by e-mail: at once or in a digest, once per incident and person, sent by the worker.

That somebody was told is stored in the transaction that hands the letter to the mail server: a server that does not
take it is tried again at the next sweep, and what is mended by then is left out.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from taskjuice.notices import reading
from taskjuice.notices.models import Cadence, Incident, Kind, Reader, Told
from taskjuice.workspaces.models import Agency, Membership, User

log = logging.getLogger(__name__)

STOP = "taskjuice.notices.stop"  # the salt of links that end all e-mail
LATELY = timedelta(hours=24)  # who joins or changes a wish is not written to about older ones
MORNING = 8  # o'clock where the person is


def send_immediate() -> int:
    """Letters about what opened since the last time; how many went out."""
    fresh = Incident.objects.filter(closed_at=None, opened_at__gt=Now() - LATELY)
    by_agency: dict[int, list[Incident]] = defaultdict(list)
    for incident in fresh.select_related("agency").order_by("pk"):
        by_agency[incident.agency_id].append(incident)
    members = _members().filter(agency__in=by_agency)
    wishes = reading.wishes_of(member.user_id for member in members)
    told = set(Told.objects.filter(incident__in=fresh).values_list("user_id", "incident_id"))
    sent = 0
    for member in members:
        wanted = [
            incident
            for incident in by_agency[member.agency_id]
            if (member.user_id, incident.pk) not in told
            and reading.cadence(wishes, member.user_id, member.role, incident.kind) == Cadence.IMMEDIATE
        ]
        sent += bool(wanted) and _tell(member, wanted, daily=False)
    return sent


def send_digests() -> int:
    """To everybody for whom it is past eight and who had none today; how many went out."""
    readers = {(r.user_id, r.agency_id): r.digest_on for r in Reader.objects.exclude(digest_on=None)}
    due = []
    for member in _members():
        local = timezone.localtime(timezone=ZoneInfo(member.user.timezone))
        last = readers.get((member.user_id, member.agency_id))
        if local.hour >= MORNING and (last is None or last < local.date()):
            due.append(member)
    wishes = reading.wishes_of(member.user_id for member in due)
    return sum(_digest(member, wishes) for member in due)


def _digest(member: Membership, wishes: reading.Wishes) -> bool:
    """What is open, was not told yet, and the person wants to hear of daily."""
    kinds = [k for k in Kind if reading.cadence(wishes, member.user_id, member.role, k) == Cadence.DAILY]
    opened = Incident.objects.filter(agency=member.agency_id, closed_at=None, kind__in=kinds)
    fresh = opened.exclude(told__user=member.user_id).select_related("agency").order_by("kind", "pk")
    found = list(fresh)
    if found and not _tell(member, found, daily=True):
        return False
    today = timezone.localtime(timezone=ZoneInfo(member.user.timezone)).date()
    Reader.objects.update_or_create(
        user_id=member.user_id, agency_id=member.agency_id, defaults={"digest_on": today}
    )
    return bool(found)


def _members() -> "QuerySet[Membership]":
    return Membership.objects.filter(user__is_active=True).select_related("user", "agency").order_by("pk")


def _tell(member: Membership, incidents: Sequence[Incident], *, daily: bool) -> bool:
    """One letter about all of them. False where another process was faster, or the mail server did not take it."""
    try:
        with transaction.atomic():
            # The row's lock keeps a second worker out until this letter is on its way.
            User.objects.select_for_update(no_key=True).get(pk=member.user_id)
            there = Told.objects.filter(user=member.user_id, incident__in=incidents)
            known = set(there.values_list("incident_id", flat=True))
            new = [incident for incident in incidents if incident.pk not in known]
            if not new:
                return False
            Told.objects.bulk_create(Told(user=member.user, incident=incident) for incident in new)
            letter(member.user, member.agency, new, daily=daily).send()
    except OSError:  # SMTPException is one, and so are refused connections and timeouts
        log.warning("A notice could not be sent; it is tried again.", exc_info=True)
        return False
    return True


def letter(user: User, agency: Agency, incidents: Sequence[Incident], *, daily: bool) -> EmailMessage:
    stop = f"{settings.BASE_URL}{reverse('notices:notice-stop', args=[stop_token(user)])}"
    words = {
        "agency": agency,
        "incidents": incidents,
        "daily": daily,
        "base": settings.BASE_URL,
        "wishes": f"{settings.BASE_URL}{reverse('notices:notice-wishes')}",
        "stop": stop,
    }
    subject = render_to_string("notices/email/subject.txt", words)
    return EmailMessage(
        subject=" ".join(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}".split()),
        body=render_to_string("notices/email/message.txt", words),
        to=[user.email],
        headers={"List-Unsubscribe": f"<{stop}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
    )


def stop_token(user: User) -> str:
    """For a link that ends all notices by e-mail to this person, and can do nothing else."""
    return signing.dumps(user.pk, salt=STOP)


def stopper(token: str) -> User | None:
    """Whose link it is."""
    try:
        pk = signing.loads(token, salt=STOP)
    except signing.BadSignature:
        return None
    return User.objects.filter(pk=pk, is_active=True).first()
