"""Reauthentication at Xero, for people who sign in with Xero alone."""

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.flows.reauthentication import resume_request
from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from taskjuice.workspaces import gate
from taskjuice.workspaces.models import User

GIVEN = "xero_proof_given"  # in the session, between the callback and the way back
OTHER = (
    "You signed in to Xero as somebody else. Sign in there with the login that opens this account."
)


def methods_of(user: User) -> list[dict[str, str]]:
    """Return allauth's description of the method, for accounts that a Xero login opens."""
    if not settings.XERO_SIGN_IN or not SocialAccount.objects.filter(user=user).exists():
        return []
    return [{"id": "xero", "description": "Use your Xero login", "url": reverse("site:xero-proof")}]


def take(request: HttpRequest, login: SocialLogin) -> None:
    """Note that the person who came back from Xero is the one signed in; show others an error."""
    if login.state.get("process") != AuthProcess.REDIRECT or not request.user.is_authenticated:
        return
    if not login.is_existing or login.user != request.user:
        messages.error(request, OTHER)
        return
    account: Any = login.account
    record_authentication(
        request,
        request.user,
        "socialaccount",
        provider=account.provider,
        uid=account.uid,
        reauthenticated=True,
    )
    request.session[GIVEN] = True


@require_safe
def xero_proof(request: HttpRequest) -> HttpResponseBase:
    """Show the page that sends the person to Xero."""
    person = gate.person(request)
    if not methods_of(person):
        return redirect("account_reauthenticate")
    back = get_next_redirect_url(request) or "/"
    done = f"{reverse('site:xero-proof-done')}?{urlencode({'next': back})}"
    query = urlencode({"process": AuthProcess.REDIRECT, "next": done})
    there = f"{reverse('openid_connect_login', args=['xero'])}?{query}"
    return render(request, "account/reauthenticate_xero.html", {"there": there})


@require_safe
def xero_proof_done(request: HttpRequest) -> HttpResponseBase:
    """Resume the kept request, once, if Xero has just identified the person."""
    gate.person(request)
    if not request.session.pop(GIVEN, False):
        back = get_next_redirect_url(request) or "/"
        return redirect(f"{reverse('site:xero-proof')}?{urlencode({'next': back})}")
    response: HttpResponseBase | None = resume_request(request)
    return response or redirect("/")
