"""Lock dates: Xero changes nothing that is dated on or before them (facts 4.6).

One check serves pages and steps. Lock dates of the local copy are read again from Xero before
anything is refused, so that an organisation whose period was reopened need not wait for the next
sync.
"""

from collections.abc import Sequence
from datetime import date

from connections.integrations import Failed, Outcome
from connections.models import Connection
from connections.writes.writers import WriteDraft
from xero import organisations
from xero.api.client import XeroClient
from xero.models import Ledger
from xero.records.fields import read_objects

LOCKED = "The document date cannot be before the {lock}, currently set at {day}."
LOCKS = (("period_lock_date", "period lock date"), ("year_end_lock_date", "end of year lock date"))


def refuse_locked(
    client: XeroClient, drafts: Sequence[WriteDraft | Outcome], days: Sequence[date | None]
) -> list[WriteDraft | Outcome]:
    """Return the drafts, those dated in a locked period replaced by a refusal.

    `days` holds the date of each draft.
    """
    ledger = Ledger.objects.filter(pk=client.connection.pk).first()
    if ledger is None or not any(_why_locked(ledger, day) for day in days):
        return list(drafts)
    _refresh_lock_dates(client, ledger)
    return [_refuse_if_locked(ledger, draft, day) for draft, day in zip(drafts, days, strict=True)]


def find_last_locked_day(connection: Connection) -> date | None:
    """Return the last locked day in the local copy; None where nothing is locked."""
    ledger = Ledger.objects.filter(pk=connection.pk).first()
    return max((day for name, _ in LOCKS if (day := getattr(ledger, name, None))), default=None)


def _refuse_if_locked(
    ledger: Ledger, draft: WriteDraft | Outcome, day: date | None
) -> WriteDraft | Outcome:
    why = _why_locked(ledger, day) if isinstance(draft, WriteDraft) else ""
    return Failed("invalid", why, status=200) if why else draft


def _why_locked(ledger: Ledger, day: date | None) -> str:
    for name, words in LOCKS:
        locked: date | None = getattr(ledger, name)
        if locked and day and day <= locked:
            return LOCKED.format(lock=words, day=f"{locked.day} {locked:%B %Y}")
    return ""


def _refresh_lock_dates(client: XeroClient, ledger: Ledger) -> None:
    """Read the organisation from Xero and store its lock dates, in `ledger` as well."""
    records = read_objects(client.get("/Organisation"), "Organisations")
    if records:
        facts = organisations.read_ledger_fields(records[0])
        Ledger.objects.filter(pk=ledger.pk).update(**facts)
        for name, value in facts.items():
            setattr(ledger, name, value)
