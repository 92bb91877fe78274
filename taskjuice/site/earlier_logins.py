"""What could open an account before its owner showed that the address is theirs ends when they do.

Anybody can begin an account with somebody else's address: by a password, or by a Xero login that
says it has that address. Until the letter's link is opened it is nobody's. Whoever opens it in the
browser that began the account is the same person; whoever opens it elsewhere, or chooses a new
password by a letter, may not be.
"""

from typing import Any

from allauth.account import signals
from allauth.account.internal.stagekit import unstash_login
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest

from taskjuice.workspaces.models import User

UNLINKED = (
    "The Xero login that was linked to this account before opens it no longer. If it is yours, choose a password by"
    " “Forgot your password?”, sign in, and link it again under Your account."
)


def connect() -> None:
    signals.email_confirmed.connect(
        end_at_first_verification, dispatch_uid="earlier_logins_verification"
    )
    signals.password_reset.connect(end_at_reset, dispatch_uid="earlier_logins_reset")


def end_at_first_verification(request: HttpRequest, email_address: EmailAddress, **_: Any) -> None:
    """The first address of the account is verified, in whatever browser."""
    verified = EmailAddress.objects.filter(user=email_address.user, verified=True)
    if not verified.exclude(pk=email_address.pk).exists():
        _end(request, email_address.user)


def end_at_reset(request: HttpRequest, user: User, **_: Any) -> None:
    """A new password was chosen by the link of a letter."""
    _end(request, user)


@transaction.atomic
def _end(request: HttpRequest, user: User) -> None:
    if _began_here(request, user):
        return
    for session in UserSession.objects.filter(user=user):
        session.end()
    ended, _ = SocialAccount.objects.filter(user=user).delete()
    if ended:
        messages.warning(request, UNLINKED)


def _began_here(request: HttpRequest, user: User) -> bool:
    """Whether this very browser began the account, or is signed in to it."""
    login = unstash_login(request, peek=True)
    return request.user == user or (login is not None and login.user == user)
