"""The pages of an invited person. GET changes nothing: e-mail scanners open every link."""

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
    invited = invitations.find(token)
    if invited is None:
        return _render_refusal(request, "unknown")
    if reason := invitations.dead(invited):
        return _render_refusal(request, reason, invited)
    if request.user.is_authenticated:
        reason = invitations.obstacle(invited, gate.person(request))
        return (
            _render_refusal(request, reason, invited, status=200)
            if reason
            else _render_offer(request, invited, token)
        )
    return _render_offer(request, invited, token)


@require_POST
def invitation_join(request: HttpRequest, token: str) -> HttpResponse:
    """Redirect to sign-up with the invited address."""
    invited = invitations.find(token)
    if invited is None or invitations.dead(invited) or request.user.is_authenticated:
        return redirect("workspaces:invitation", token)
    # The link was sent to this mailbox only, so the address counts as verified.
    get_adapter(request).stash_verified_email(request, invited.email)
    following = urlencode({"next": reverse("workspaces:invitation", args=[token])})
    return redirect(f"{reverse('account_signup')}?{following}")


@require_POST
def invitation_accept(request: HttpRequest, token: str) -> HttpResponseBase:
    if not request.user.is_authenticated:
        following = urlencode({"next": reverse("workspaces:invitation", args=[token])})
        return redirect(f"{reverse('account_login')}?{following}")
    try:
        invited = invitations.accept(token=token, by=gate.person(request))
    except invitations.Refused as refusal:
        current = invitations.find(token)
        return _render_refusal(
            request, refusal.reason, current, status=STATUS.get(refusal.reason, 403)
        )
    if invited.workspace is not None:
        return redirect("site:workspace-home", invited.agency.slug, invited.workspace.slug)
    return redirect("site:agency-home", invited.agency.slug)


def _render_offer(request: HttpRequest, invited: Invitation, token: str) -> HttpResponse:
    return render(request, "workspaces/invitation.html", {"invitation": invited, "token": token})


def _render_refusal(
    request: HttpRequest, reason: str, invited: Invitation | None = None, status: int | None = None
) -> HttpResponse:
    context = {
        "reason": reason,
        "invitation": invited,
        "here": request.path.removesuffix("accept/"),
    }
    template = "workspaces/invitation_refused.html"
    return render(request, template, context, status=status or STATUS.get(reason, 403))
