"""When a person last showed that it is them: what an unattended browser must not do asks for that
again.

Which request asks for what stands in one table, taskjuice/site/proofs.py.
"""

import time

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.http import HttpRequest

BEGAN = "began_at"


def begin_session(request: HttpRequest, **_: object) -> None:
    """Note when somebody signs in: a session does not live for ever by being used."""
    request.session[BEGAN] = time.time()


def is_too_old(request: HttpRequest) -> bool:
    began = request.session.get(BEGAN)
    return began is None or time.time() - began > settings.SESSION_LONGEST_SECONDS


def is_fresh(request: HttpRequest) -> bool:
    """For what is rare and far-reaching: signed in, or shown again, within the last minutes."""
    return time.time() - max([0.0, *_given(request)]) <= settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def is_of_today(request: HttpRequest) -> bool:
    """For what is done all day: signed in, or shown again, within MONEY_SESSION_SECONDS."""
    # Who has just signed up came in by the link in the e-mail, of which allauth keeps no record.
    latest = max([float(request.session.get(BEGAN, 0.0)), *_given(request)])
    return time.time() - latest <= settings.MONEY_SESSION_SECONDS


def _given(request: HttpRequest) -> list[float]:
    return [float(record["at"]) for record in get_authentication_records(request, request.user)]
