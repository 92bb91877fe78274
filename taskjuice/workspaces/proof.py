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


@reauthentication_required  # type: ignore[untyped-decorator]  # allauth publishes no types
def fresh(request: HttpRequest) -> None:
    """For what is rare and far-reaching: given again within the last minutes (ACCOUNT_REAUTHENTICATION_TIMEOUT)."""


def of_today(request: HttpRequest) -> None:
    """For what is done all day and moves money: signed in, or given again, within MONEY_SESSION_SECONDS."""
    latest = max((record["at"] for record in get_authentication_records(request, request.user)), default=0.0)
    recent = time.time() - latest <= settings.MONEY_SESSION_SECONDS
    # Who signs in by another service alone has nothing to give again here.
    if not recent and get_adapter().get_reauthentication_methods(request.user):
        raise ReauthenticationRequired
