"""Reauthentication: when a person last showed their credentials in this session.

The table of requests that need it is in taskjuice/site/proofs.py.
"""

import time

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.http import HttpRequest

BEGAN = "began_at"


def begin_session(request: HttpRequest, **_: object) -> None:
    """Note when a person signs in: use does not keep a session alive for ever."""
    request.session[BEGAN] = time.time()


def is_too_old(request: HttpRequest) -> bool:
    began = request.session.get(BEGAN)
    return began is None or time.time() - began > settings.SESSION_LONGEST_SECONDS


def is_fresh(request: HttpRequest) -> bool:
    """Return whether the person signed in or reauthenticated within the last minutes.

    Required for rare actions with large effects.
    """
    return (
        time.time() - max([0.0, *_list_proof_times(request)])
        <= settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
    )


def is_of_today(request: HttpRequest) -> bool:
    """Return whether the person signed in or reauthenticated within MONEY_SESSION_SECONDS.

    Required for actions that are done all day.
    """
    # A person who has just signed up used the link in the e-mail, of which allauth keeps no record.
    latest = max([float(request.session.get(BEGAN, 0.0)), *_list_proof_times(request)])
    return time.time() - latest <= settings.MONEY_SESSION_SECONDS


def _list_proof_times(request: HttpRequest) -> list[float]:
    return [float(record["at"]) for record in get_authentication_records(request, request.user)]
