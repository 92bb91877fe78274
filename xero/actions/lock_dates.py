"""Lock dates: Xero changes nothing that is dated on or before them (facts 4.6), so it is not asked
to.

One check for pages and steps. What the local copy believes to be locked is asked for anew before
anything is refused: an organisation that was opened again must not wait for the next sync.
"""

from collections.abc import Sequence
from datetime import date

from connections.integrations import Failed, Outcome
from connections.models import Connection
from connections.writes.writers import Draft
from xero import organisations
from xero.api.client import Client
from xero.models import Ledger
from xero.records.fields import read_objects

LOCKED = "The document date cannot be before the {lock}, currently set at {day}."
LOCKS = (("period_lock_date", "period lock date"), ("year_end_lock_date", "end of year lock date"))


def refuse_locked(
    client: Client, drafts: Sequence[Draft | Outcome], days: Sequence[date | None]
) -> list[Draft | Outcome]:
    """Return the drafts, those that are dated in a locked period as refused. `days`: what each is
    dated.
    """
    ledger = Ledger.objects.filter(pk=client.connection.pk).first()
    if ledger is None or not any(_why_locked(ledger, day) for day in days):
        return list(drafts)
    _read_locks(client, ledger)
    return [_judged(ledger, draft, day) for draft, day in zip(drafts, days, strict=True)]


def locked_until(connection: Connection) -> date | None:
    """The last day that is locked, as far as the local copy knows."""
    ledger = Ledger.objects.filter(pk=connection.pk).first()
    return max((day for name, _ in LOCKS if (day := getattr(ledger, name, None))), default=None)


def _judged(ledger: Ledger, draft: Draft | Outcome, day: date | None) -> Draft | Outcome:
    why = _why_locked(ledger, day) if isinstance(draft, Draft) else ""
    return Failed("invalid", why, status=200) if why else draft


def _why_locked(ledger: Ledger, day: date | None) -> str:
    for name, words in LOCKS:
        locked: date | None = getattr(ledger, name)
        if locked and day and day <= locked:
            return LOCKED.format(lock=words, day=f"{locked.day} {locked:%B %Y}")
    return ""


def _read_locks(client: Client, ledger: Ledger) -> None:
    """Ask for the organisation as it is now, and keep that."""
    found = read_objects(client.get("/Organisation"), "Organisations")
    if found:
        facts = organisations.facts(found[0])
        Ledger.objects.filter(pk=ledger.pk).update(**facts)
        for name, value in facts.items():
            setattr(ledger, name, value)
