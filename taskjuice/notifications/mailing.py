"""E-mails about incidents and tasks, one for all of a person's, sent by the worker's sweep.

A person gets at most one of them in fifteen minutes; later news are in the next. Each incident and
task is sent to a person once. An e-mail that the mail server does not take is tried again at the
next sweep, without what is over by then.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from taskjuice.notifications import reading
from taskjuice.notifications.models import Cadence, Incident, Kind, Reader, Told
from taskjuice.workspaces.models import Agency, Membership, User
from workflows.approvals import tasks as approval_tasks
from workflows.models import Approval

log = logging.getLogger(__name__)

# The salt of links that end all e-mail. It is older than this package's name: another would end
# the links in every e-mail that was sent.
STOP = "taskjuice.notices.stop"
STOP_WITHIN = timedelta(days=90)  # after that a letter that was passed on ends nothing any more
LATELY = timedelta(hours=24)  # who joins or changes a wish is not written to about older ones
MORNING = 8  # o'clock where the person is
PACE = timedelta(minutes=15)  # between two letters to a person
EXAMPLES = 5  # of one kind in a letter
TASKS_LOOKED_AT = 5000  # of one sweep; the rest is for the next


class HasAgency(Protocol):
    agency: Agency


@dataclass(slots=True)
class News:
    """The incidents and tasks of one e-mail."""

    incidents: list[Incident] = field(default_factory=list)
    tasks: list[Approval] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.incidents) + len(self.tasks)

    @property
    def agencies(self) -> list[Agency]:
        found: list[HasAgency] = [*self.incidents, *self.tasks]
        return list({one.agency.pk: one.agency for one in found}.values())


@dataclass(frozen=True, slots=True)
class Group:
    """Everything of one kind in an e-mail: the count, and the first few."""

    title: str
    count: int
    examples: list[str]

    @property
    def more(self) -> int:
        return self.count - len(self.examples)


def send_immediate() -> int:
    """Send e-mails about what is new; return how many were sent."""
    fresh = Incident.objects.filter(closed_at=None, opened_at__gt=Now() - LATELY)
    incidents: dict[int, list[Incident]] = defaultdict(list)
    for incident in fresh.select_related("agency").order_by("pk"):
        incidents[incident.agency_id].append(incident)
    tasks: dict[int, list[Approval]] = defaultdict(list)
    for approval in approval_tasks.list_unnotified()[:TASKS_LOOKED_AT]:
        tasks[approval.agency_id].append(approval)
    members = list(_members().filter(agency__in={*incidents, *tasks}))
    _forget_strangers(tasks, members)
    wishes = reading.wishes_of(member.user_id for member in members)
    told = set(Told.objects.filter(incident__in=fresh).values_list("user_id", "incident_id"))
    news: dict[User, News] = defaultdict(News)
    for member in members:
        news[member.user].incidents += [
            incident
            for incident in incidents[member.agency_id]
            if (member.user_id, incident.pk) not in told
            and reading.cadence(wishes, member.user_id, member.role, incident.kind)
            == Cadence.IMMEDIATE
        ]
        news[member.user].tasks += [
            task
            for task in tasks[member.agency_id]
            if _addresses(task, member.user) - set(task.reached)
        ]
    return sum(_tell(user, wanted, daily=False) for user, wanted in news.items() if wanted.count)


def send_digests() -> int:
    """Send the daily digest to people for whom it is past eight; return how many were sent."""
    readers = {
        (r.user_id, r.agency_id): r.digest_on for r in Reader.objects.exclude(digest_on=None)
    }
    due = []
    for member in _members():
        local = timezone.localtime(timezone=ZoneInfo(member.user.timezone))
        last = readers.get((member.user_id, member.agency_id))
        if local.hour >= MORNING and (last is None or last < local.date()):
            due.append(member)
    wishes = reading.wishes_of(member.user_id for member in due)
    by_user: dict[User, list[Membership]] = defaultdict(list)
    for member in due:
        by_user[member.user].append(member)
    return sum(_digest(user, members, wishes) for user, members in by_user.items())


def _digest(user: User, members: Sequence[Membership], wishes: reading.Wishes) -> bool:
    """Send a person what is open, unsent and wanted daily, in all their agencies."""
    incidents: list[Incident] = []
    for member in members:
        kinds = [
            k for k in Kind if reading.cadence(wishes, user.pk, member.role, k) == Cadence.DAILY
        ]
        opened = Incident.objects.filter(agency=member.agency_id, closed_at=None, kind__in=kinds)
        incidents += opened.exclude(told__user=user).select_related("agency").order_by("kind", "pk")
    if incidents and not _tell(user, News(incidents), daily=True):
        return False
    today = timezone.localtime(timezone=ZoneInfo(user.timezone)).date()
    for member in members:
        Reader.objects.update_or_create(
            user=user, agency_id=member.agency_id, defaults={"digest_on": today}
        )
    return bool(incidents)


def _members() -> "QuerySet[Membership]":
    return (
        Membership.objects.filter(user__is_active=True)
        .select_related("user", "agency")
        .order_by("pk")
    )


def _addresses(task: Approval, user: User) -> set[str]:
    """Return the addresses of the task that are this person's."""
    return {address for address in task.told if address.lower() == user.email.lower()}


def _forget_strangers(tasks: dict[int, list[Approval]], members: Sequence[Membership]) -> None:
    """Note that people who left the staff since a task was asked will get no e-mail."""
    staff: dict[int, set[str]] = defaultdict(set)
    for member in members:
        staff[member.agency_id].add(member.user.email.lower())
    for agency_id, agency_tasks in tasks.items():
        gone = {
            task.pk: {address for address in task.told if address.lower() not in staff[agency_id]}
            - set(task.reached)
            for task in agency_tasks
        }
        approval_tasks.note_notified([task for task in agency_tasks if gone[task.pk]], gone)


def _tell(user: User, news: News, *, daily: bool) -> bool:
    """Send one letter about all of it.

    False within fifteen minutes of the last one, where another process was faster, or where the
    mail server did not take it. No transaction is open while the mail server is spoken to: it may
    take longer than one may stand idle. Whoever is killed between sending and noting it sends the
    letter again, fifteen minutes later at the soonest.
    """
    last = User.objects.values_list("notified_at", flat=True).get(pk=user.pk)
    mine = User.objects.filter(Q(notified_at=None) | Q(notified_at__lte=Now() - PACE), pk=user.pk)
    if not mine.update(notified_at=Now()):
        return False
    wanted = _still_wanted(user, news)
    try:
        if wanted.count:
            letter(user, wanted, daily=daily).send()
    except OSError:  # SMTPException is one, and so are refused connections and timeouts
        log.warning("A notice could not be sent; it is tried again.", exc_info=True)
        wanted = News()
    if not wanted.count:
        User.objects.filter(pk=user.pk).update(notified_at=last)
        return False
    with transaction.atomic():
        told = (Told(user=user, incident=incident) for incident in wanted.incidents)
        Told.objects.bulk_create(told, ignore_conflicts=True)
        approval_tasks.note_notified(
            wanted.tasks, {task.pk: _addresses(task, user) for task in wanted.tasks}
        )
    return True


def _still_wanted(user: User, news: News) -> News:
    """Return what this person was not sent by another process."""
    sent = Told.objects.filter(user=user, incident__in=news.incidents)
    sent_ids = set(sent.values_list("incident_id", flat=True))
    tasks = approval_tasks.list_unnotified().filter(pk__in=[task.pk for task in news.tasks])
    return News(
        [incident for incident in news.incidents if incident.pk not in sent_ids],
        [task for task in tasks if _addresses(task, user) - set(task.reached)],
    )


def letter(user: User, news: News, *, daily: bool) -> EmailMessage:
    """Build the e-mail: one item in full, or several by kind with examples and a link per agency."""
    stop = f"{settings.BASE_URL}{reverse('notices:notice-stop', args=[stop_token(user)])}"
    context = {
        "news": news,
        "agencies": [
            (agency, _groups(news, agency), _link(news, agency)) for agency in news.agencies
        ],
        "daily": daily,
        "base": settings.BASE_URL,
        "wishes": f"{settings.BASE_URL}{reverse('notices:notice-wishes')}",
        "stop": stop,
    }
    if news.count == 1 and news.tasks:
        [task] = news.tasks
        context |= {
            "approval": task,
            "url": f"{settings.BASE_URL}{approval_tasks.get_task_url(task)}",
        }
        context["expires_at"] = timezone.localtime(task.expires_at, ZoneInfo(user.timezone))
        template = "workflows/email/task"
    else:
        template = "notices/email/news"
    subject = render_to_string(f"{template}_subject.txt", context)
    return EmailMessage(
        subject=" ".join(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}".split()),
        body=render_to_string(f"{template}_message.txt", context),
        to=[user.email],
        headers={
            "List-Unsubscribe": f"<{stop}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )


def _groups(news: News, agency: Agency) -> list[Group]:
    """Return tasks, then incidents, grouped by kind."""
    by_title: dict[str, list[str]] = defaultdict(list)
    for task in news.tasks:
        if task.agency_id == agency.pk:
            by_title["To decide"].append(f"{task.question} ({task.workspace.name})")
    for incident in news.incidents:
        if incident.agency_id == agency.pk:
            by_title[Kind(incident.kind).label].append(incident.name)
    return [Group(title, len(names), names[:EXAMPLES]) for title, names in by_title.items()]


def _link(news: News, agency: Agency) -> str:
    """Return the page of everything: the only item's own page, or the list."""
    incidents = [incident for incident in news.incidents if incident.agency_id == agency.pk]
    tasks = [task for task in news.tasks if task.agency_id == agency.pk]
    if len(incidents) == 1 and not tasks:
        return incidents[0].path
    if not incidents:
        return reverse("workflows:task-list", args=[agency.slug]) + "?state=open"
    name = "site:agency-home" if tasks else "notices:notice-list"
    return reverse(name, args=[agency.slug])


def stop_token(user: User) -> str:
    """Return the token of a link that ends all e-mail to this person, and can do nothing else."""
    return signing.dumps(user.pk, salt=STOP)


def was_ours(token: str) -> bool:
    """Return whether an expired link that ends e-mail was once in an e-mail of ours."""
    try:
        signing.loads(token, salt=STOP, max_age=STOP_WITHIN)
    except signing.SignatureExpired:
        return True
    except signing.BadSignature:
        return False
    return False


def stopper(token: str) -> User | None:
    """Return the person whose link this is; None where it is invalid or too old."""
    try:
        pk = signing.loads(token, salt=STOP, max_age=STOP_WITHIN)
    except signing.BadSignature:
        return None
    return User.objects.filter(pk=pk, is_active=True).first()
