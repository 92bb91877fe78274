"""Lock dates: nothing may be written on or before them."""

from xero.sandbox.accounting.errors import Invalid
from xero.sandbox.accounting.wire import day_in_words, read_date
from xero.sandbox.accounting.work import Work

_LOCKS = (("PeriodLockDate", "period lock date"), ("EndOfYearLockDate", "end of year lock date"))


def date_errors(work: Work, day: str) -> list[str]:
    """Return the messages for a document that is to be dated `day`."""
    for field, words in _LOCKS:
        locked = read_date(work.organisation.document.get(field, ""))
        if locked and day <= locked:
            return [
                f"The document date cannot be before the {words}, currently set at {day_in_words(locked)}"
            ]
    return []


def refuse_locked_document(work: Work, day: str) -> None:
    """Raise Invalid if a document dated `day` may not be changed any more."""
    for field, words in _LOCKS:
        locked = read_date(work.organisation.document.get(field, ""))
        if locked and day <= locked:
            raise Invalid(
                f"The document cannot be edited as it is currently dated before the {words}"
            )
