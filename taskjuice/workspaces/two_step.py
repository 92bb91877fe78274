"""The second step at sign-in, and the page for people who need one and have none."""

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from taskjuice.workspaces.models import Agency, User

# Recovery codes alone are no second step: they stand in for one.
KINDS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


class TwoStepRequired(Exception):
    """Raised by the gate for staff who have no second step although their agency requires it."""

    def __init__(self, agency: Agency) -> None:
        super().__init__(agency.slug)
        self.agency = agency

    def response(self, request: HttpRequest) -> HttpResponseBase:
        if "HX-Request" in request.headers:  # a piece of a page: the whole page must show it
            return HttpResponse(headers={"HX-Refresh": "true"})
        return render(
            request, "workspaces/two_step_required.html", {"agency": self.agency}, status=403
        )


def is_on(user: User) -> bool:
    return bool(Authenticator.objects.filter(user=user, type__in=KINDS).exists())


def is_on_for(user_field: str) -> Exists:
    """Return the same for the rows of a list, by the name of their column of users."""
    return Exists(Authenticator.objects.filter(user=OuterRef(user_field), type__in=KINDS))
