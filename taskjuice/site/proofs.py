"""Reauthentication: the POSTs that require it, and how they are resumed after it.

Every address that takes a POST is in the table; one that is not is treated as if it moved money.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.reauthentication import STATE_SESSION_KEY
from allauth.account.utils import get_next_redirect_url
from django.contrib import messages
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    QueryDict,
)
from django.urls import resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from connections.oauth import encryption
from taskjuice.workspaces import proof

FILE_AGAIN = "Choose the file again: it was not kept while you confirmed that it is you."


class Proof(Enum):
    """How recent the reauthentication must be."""

    NONE = "none"  # undone in a moment, a step on the way, or proven by itself
    TODAY = "today"  # done all day: what writes to Xero, starts workflows, lets somebody in or out
    FRESH = "fresh"  # rare: gives rights away, ends things for good, hands out what was kept


Rule = Proof | Callable[[HttpRequest], Proof]


def _when(name: str, *values: str, then: Proof = Proof.TODAY) -> Rule:
    """Require `then` where the form's field `name` has one of these values."""
    return lambda request: then if request.POST.get(name) in values else Proof.NONE


def _invites(request: HttpRequest) -> Proof:
    return Proof.FRESH if request.POST.get("as_role") == "admin" else Proof.TODAY


def _links_a_login(request: HttpRequest) -> Proof:
    """Return the proof for linking a login.

    allauth asks for the password before it links one, but asks nothing of people without a
    password.
    """
    process = request.GET.get("process") or request.POST.get("process")
    is_linking = process == "connect" and not request.user.has_usable_password()  # type: ignore[union-attr]
    return Proof.FRESH if is_linking else Proof.NONE


_NONE = """
    account_login account_logout account_signup account_reauthenticate account_change_password account_reset_password
    account_confirm_login_code account_confirm_email account_reset_password_from_key mfa_index mfa_authenticate
    mfa_reauthenticate mfa_view_recovery_codes mfa_list_webauthn mfa_reauthenticate_webauthn mfa_edit_webauthn
    mfa_login_webauthn socialaccount_signup openid_connect_callback
    site:theme workspaces:profile workspaces:welcome workspaces:invitation-join workspaces:invitation-accept
    notices:notice-wishes notices:notice-stop notices:notice-read
    connections:link-start connections:link-decline connections:link-choose connections:link-cancel
    connections:link-again connections:consent-cancel connections:connection-test connections:connection-pause
    connections:delivery-catch-up
    xero:webhook-receive xero:ledger-refresh
    workflows:workflow-new workflows:workflow-import workflows:workflow-pause workflows:workflow-discard
    workflows:workflow-pause-here
    workflows:version-restore workflows:activation-cancel workflows:task-decline
"""
_TODAY = """
    workspaces:client-create workspaces:agency-settings workspaces:agency-branding workspaces:team-leave
    workspaces:member-remove workspaces:client-user-remove workspaces:invitation-resend
    workspaces:invitation-revoke workspaces:export-remove workspaces:workspace-rename workspaces:workspace-time-zone
    workspaces:workspace-archive workspaces:workspace-unarchive
    connections:consent-start connections:consent-choose connections:connection-resume
    connections:connection-reconnect connections:connection-disconnect connections:grant-hand-over
    connections:link-new connections:link-bulk connections:link-remind connections:link-copy connections:link-revoke
    connections:delivery-replay connections:delivery-replay-window
    xero:contact-new xero:payment-new xero:document-approve xero:document-void
    xero:call-there xero:call-again xero:call-abandon
    workflows:workflow-publish workflows:workflow-run workflows:workflow-connections workflows:workflow-safety
    workflows:workflow-resume workflows:workflow-archive workflows:workflow-unarchive workflows:lane-resume
    workflows:activation-bulk workflows:activation-replay workflows:activation-resume workflows:activation-done
    workflows:task-approve workflows:workflow-resume-here workflows:email-limit
    usersessions_list
"""
_FRESH = """
    workspaces:member-role workspaces:team-transfer workspaces:team-two-step
    workspaces:export-request workspaces:export-download workspaces:workspace-delete
    connections:secret-add connections:secret-replace connections:secret-delete
    account_email account_set_password mfa_activate_totp mfa_deactivate_totp mfa_generate_recovery_codes
    mfa_download_recovery_codes mfa_add_webauthn mfa_remove_webauthn socialaccount_connections
"""
RULES: dict[str, Rule] = {
    **dict.fromkeys(_NONE.split(), Proof.NONE),
    **dict.fromkeys(_TODAY.split(), Proof.TODAY),
    **dict.fromkeys(_FRESH.split(), Proof.FRESH),
    # Pages whose form is also sent while one types: only what saves asks.
    "xero:invoice-new": _when("do", "approve", "submit", "draft"),
    "xero:bill-new": _when("do", "approve", "submit", "draft"),
    "workflows:workflow-edit": _when("do", "publish"),
    "workspaces:team-invite": _invites,
    "openid_connect_login": _links_a_login,
}


class ProofMiddleware:
    """A check before the view, so that no view can forget it. The gate turns strangers away after
    it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponseBase | None:
        if request.method != "POST" or not request.user.is_authenticated or _is_given(request):
            return None
        return _ask(request)


def _is_given(request: HttpRequest) -> bool:
    match = request.resolver_match
    rule = RULES.get(match.view_name, Proof.TODAY) if match else Proof.TODAY
    needed = rule if isinstance(rule, Proof) else rule(request)
    if needed is Proof.NONE:
        return True
    return proof.is_fresh(request) if needed is Proof.FRESH else proof.is_of_today(request)


def _ask(request: HttpRequest) -> HttpResponseBase:
    """Keep the request, encrypted (it may hold a secret), and redirect to reauthentication."""
    back = request.get_full_path()
    if request.FILES:  # a file is not kept: they come back to the page it was chosen on
        messages.warning(request, FILE_AGAIN)
        back = _page_of(request)
        request.session.pop(STATE_SESSION_KEY, None)
    else:
        sent = {
            "path": request.path,
            "query": request.GET.urlencode(),
            "form": request.POST.urlencode(),
            "back": back,
        }
        state = {"sealed": encryption.seal(_owner(request), sent)}
        request.session[STATE_SESSION_KEY] = {"state": state, "callback": f"{__name__}.resume"}
    methods = get_adapter().get_reauthentication_methods(request.user)
    # Who has nothing to show any more chooses a password by e-mail.
    url = methods[0]["url"] if methods else reverse("account_reset_password")
    there = f"{url}?{urlencode({'next': back})}"
    if "HX-Request" in request.headers:  # the whole page goes there, not a part of it
        return HttpResponse(headers={"HX-Redirect": there})
    return HttpResponseRedirect(there)


def resume(request: HttpRequest, state: dict[str, str]) -> HttpResponseBase:
    """Repeat the kept request as the same person. allauth calls it after reauthentication."""
    try:
        sent = encryption.unseal(_owner(request), state["sealed"])
    except encryption.CannotOpen as error:
        raise Http404("Somebody else began this.") from error
    back = get_next_redirect_url(request) or "/"
    if back != sent["back"]:  # they gave that up and went elsewhere
        return HttpResponseRedirect(back)
    request.method, request.path, request.path_info = "POST", sent["path"], sent["path"]
    request.GET, request.POST = QueryDict(sent["query"]), QueryDict(sent["form"])
    request.META.update(REQUEST_METHOD="POST", QUERY_STRING=sent["query"])
    match = resolve(sent["path"])
    request.resolver_match = match
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    return response


def _owner(request: HttpRequest) -> str:
    return f"proof:{request.user.pk}"


def _page_of(request: HttpRequest) -> str:
    referer = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(
        referer, {request.get_host()}, require_https=request.is_secure()
    )
    return "/" + referer.split("/", 3)[3] if is_ours and referer.count("/") >= 3 else "/"
