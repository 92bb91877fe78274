"""The end of logins that were made before the owner of an address has verified it.

Anyone can begin an account with another person's address: by a password, or by a Xero login that
says it has that address. Until the e-mail's link is opened the account has no owner. A person who
opens it in the browser that began the account is the same one; a person who opens it elsewhere, or
resets the password by e-mail, may be another.
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
    """End the earlier logins when the first address of the account is verified, in any browser."""
    verified = EmailAddress.objects.filter(user=email_address.user, verified=True)
    if not verified.exclude(pk=email_address.pk).exists():
        _end(request, email_address.user)


def end_at_reset(request: HttpRequest, user: User, **_: Any) -> None:
    """End the earlier logins when a password is reset by e-mail."""
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
    """Return whether this browser began the account, or is signed in to it."""
    login = unstash_login(request, peek=True)
    return request.user == user or (login is not None and login.user == user)
