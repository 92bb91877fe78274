"""The daily limit of e-mails by an agency's workflows, counted in the database for all workers.

It counts addresses: an e-mail to twenty people is twenty e-mails. The day is in UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from taskjuice.workspaces import audit
from taskjuice.workspaces.models import Agency, User
from workflows.models import EMAILS_PER_DAY, EmailCount, EmailLimit

MOST_PER_DAY = 20_000  # that an agency may allow itself

# Check and count in one statement, so that two workers cannot pass the limit together.
TAKE = """
WITH allowed AS (
    SELECT coalesce((SELECT per_day FROM workflows_emaillimit WHERE agency_id = %(agency)s), %(usual)s) AS per_day
)
INSERT INTO workflows_emailcount AS c (agency_id, day, sent)
SELECT %(agency)s, (now() AT TIME ZONE 'UTC')::date, %(many)s FROM allowed WHERE %(many)s <= per_day
    ON CONFLICT (agency_id, day) DO UPDATE SET sent = c.sent + %(many)s
       WHERE c.sent + %(many)s <= (SELECT per_day FROM allowed)
RETURNING c.sent
"""
GIVE_BACK = """
UPDATE workflows_emailcount SET sent = greatest(sent - %(many)s, 0)
 WHERE agency_id = %(agency)s AND day = (now() AT TIME ZONE 'UTC')::date
"""
NOTE_REFUSAL = """
INSERT INTO workflows_emailcount (agency_id, day, sent, refused_at)
VALUES (%(agency)s, (now() AT TIME ZONE 'UTC')::date, 0, now())
    ON CONFLICT (agency_id, day) DO UPDATE SET refused_at = now()
"""


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """The e-mails of an agency today: `sent` of `per_day`; `was_reached` once the limit made a step
    wait.
    """

    sent: int
    per_day: int
    was_reached: bool


def take(agency_id: int, many: int) -> bool:
    """Count this many e-mails before they are sent; return False where the limit does not allow
    them.
    """
    with database.cursor() as cursor:
        cursor.execute(TAKE, {"agency": agency_id, "many": many, "usual": EMAILS_PER_DAY})
        if cursor.fetchone() is not None:
            return True
        cursor.execute(NOTE_REFUSAL, {"agency": agency_id})
    return False


def give_back(agency_id: int, many: int) -> None:
    """Take e-mails off the count because they were not sent."""
    with database.cursor() as cursor:
        cursor.execute(GIVE_BACK, {"agency": agency_id, "many": many})


def read_limit(agency_id: int) -> int:
    limit = EmailLimit.objects.filter(agency=agency_id).values_list("per_day", flat=True).first()
    return EMAILS_PER_DAY if limit is None else limit


def read_usage(agency_id: int) -> DailyUsage:
    count = EmailCount.objects.filter(
        agency=agency_id, day=timezone.now().astimezone(UTC).date()
    ).first()
    limit = read_limit(agency_id)
    return DailyUsage(count.sent if count else 0, limit, bool(count and count.refused_at))


def next_day_at() -> datetime:
    """Return the time when the count starts at zero again."""
    tomorrow = timezone.now().astimezone(UTC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time.min, UTC)


@transaction.atomic
def set_limit(*, agency: Agency, limit: int, by: User) -> None:
    before = read_limit(agency.pk)
    EmailLimit.objects.update_or_create(agency=agency, defaults={"per_day": limit})
    if before != limit:
        audit.record(
            "e-mail limit changed",
            by=by,
            agency=agency,
            subject=agency.name,
            before=before,
            after=limit,
        )
