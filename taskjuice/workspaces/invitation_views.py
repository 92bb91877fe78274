"""What somebody who was invited sees. Looking changes nothing: scanners of mail open every link."""

from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from taskjuice.workspaces import gate, invitations
from taskjuice.workspaces.models import Invitation

STATUS = {"unknown": 404, "accepted": 410, "revoked": 410, "expired": 410, "archived": 410}


@require_safe
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    found = invitations.find(token)
    if found is None:
        return _refused(request, "unknown")
    if reason := invitations.dead(found):
        return _refused(request, reason, found)
    if request.user.is_authenticated:
        reason = invitations.obstacle(found, gate.person(request))
        return (
            _refused(request, reason, found, status=200)
            if reason
            else _offer(request, found, token)
        )
    return _offer(request, found, token)


@require_POST
def invitation_join(request: HttpRequest, token: str) -> HttpResponse:
    """On to sign-up with the address invited. Whoever has the letter's link has the mailbox: it
    counts as verified.
    """
    found = invitations.find(token)
    if found is None or invitations.dead(found) or request.user.is_authenticated:
        return redirect("workspaces:invitation", token)
    get_adapter(request).stash_verified_email(request, found.email)
    following = urlencode({"next": reverse("workspaces:invitation", args=[token])})
    return redirect(f"{reverse('account_signup')}?{following}")


@require_POST
def invitation_accept(request: HttpRequest, token: str) -> HttpResponseBase:
    if not request.user.is_authenticated:
        following = urlencode({"next": reverse("workspaces:invitation", args=[token])})
        return redirect(f"{reverse('account_login')}?{following}")
    try:
        found = invitations.accept(token=token, by=gate.person(request))
    except invitations.Refused as refusal:
        known = invitations.find(token)
        return _refused(request, refusal.reason, known, status=STATUS.get(refusal.reason, 403))
    if found.workspace is not None:
        return redirect("site:workspace-home", found.agency.slug, found.workspace.slug)
    return redirect("site:agency-home", found.agency.slug)


def _offer(request: HttpRequest, found: Invitation, token: str) -> HttpResponse:
    return render(request, "workspaces/invitation.html", {"invitation": found, "token": token})


def _refused(
    request: HttpRequest, reason: str, found: Invitation | None = None, status: int | None = None
) -> HttpResponse:
    context = {"reason": reason, "invitation": found, "here": request.path.removesuffix("accept/")}
    template = "workspaces/invitation_refused.html"
    return render(request, template, context, status=status or STATUS.get(reason, 403))
