"""What an unattended browser must not do: the password, or the second step, is asked again if not given lately.

allauth keeps what was posted meanwhile and goes on with it.
"""

import time

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.http import HttpRequest

BEGAN = "began_at"


def begin_session(request: HttpRequest, **_: object) -> None:
    """Whoever signs in: a session does not live for ever by being used."""
    request.session[BEGAN] = time.time()


def is_too_old(request: HttpRequest) -> bool:
    began = request.session.get(BEGAN)
    return began is None or time.time() - began > settings.SESSION_LONGEST_SECONDS


@reauthentication_required  # type: ignore[untyped-decorator]  # allauth publishes no types
def fresh(request: HttpRequest) -> None:
    """For what is rare and far-reaching: given again within the last minutes (ACCOUNT_REAUTHENTICATION_TIMEOUT)."""


def of_today(request: HttpRequest) -> None:
    """For what is done all day and moves money: signed in, or given again, within MONEY_SESSION_SECONDS."""
    given = [record["at"] for record in get_authentication_records(request, request.user)]
    # Who has just signed up came in by the link in the letter, of which allauth keeps no record.
    latest = max([request.session.get(BEGAN, 0.0), *given])
    recent = time.time() - latest <= settings.MONEY_SESSION_SECONDS
    # Who signs in by another service alone has nothing to give again here.
    if not recent and get_adapter().get_reauthentication_methods(request.user):
        raise ReauthenticationRequired
