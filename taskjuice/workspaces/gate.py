"""The tenant gate: the first line of every view. Strangers get 404, members without the right 403."""

from dataclasses import dataclass
from functools import cached_property

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase

from taskjuice.workspaces import two_step
from taskjuice.workspaces.models import Agency, ClientUser, Membership, Role, User, Workspace

# What a person may do, each level includes the ones below it.
READ, WORK, ADMIN, OWN = "read", "work", "admin", "own"
LEVELS = (READ, WORK, ADMIN, OWN)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LEVEL_OF_ROLE = {Role.MEMBER: WORK, Role.ADMIN: ADMIN, Role.OWNER: OWN}


class SignInRequired(Exception):
    """Raised by the gate for anonymous visitors; the middleware answers with the sign-in page."""

    def response(self, request: HttpRequest) -> HttpResponseBase:
        if "HX-Request" in request.headers:  # a piece of a page: the whole page must go to sign-in
            return HttpResponse(headers={"HX-Refresh": "true"})
        return redirect_to_login(request.get_full_path())


@dataclass(frozen=True)
class Scope:
    """The agency, perhaps one workspace of it, and what this person may do there."""

    user: User
    agency: Agency
    workspace: Workspace | None
    level: str
    is_client: bool

    def may(self, level: str) -> bool:
        """Return whether this person may do things of this level; in an archived workspace only
        read.
        """
        return level == READ or (not self.is_frozen and self.ranks(level))

    def ranks(self, level: str) -> bool:
        """Return whether the person's role reaches this level, archived or not."""
        return LEVELS.index(self.level) >= LEVELS.index(level)

    @property
    def is_frozen(self) -> bool:
        return self.workspace is not None and self.workspace.archived_at is not None

    @cached_property
    def workspaces(self) -> "QuerySet[Workspace]":
        """Return the workspaces this scope covers: the one, or all of the agency."""
        if self.workspace is not None:
            return Workspace.objects.filter(pk=self.workspace.pk)
        return self.agency.workspaces.filter(deleting_at=None)

    @property
    def path(self) -> str:
        """Return the path under which this scope's pages are, with slashes at both ends."""
        return (
            f"/{self.agency.slug}/{self.workspace.slug}/"
            if self.workspace
            else f"/{self.agency.slug}/"
        )


def enter(
    request: HttpRequest,
    agency: str,
    workspace: str | None = None,
    *,
    level: str = READ,
    archived_too: bool = False,
) -> Scope:
    """Return the scope of this person at these slugs.

    Raises SignInRequired, TwoStepRequired, Http404 for strangers, PermissionDenied below `level`.
    Staff of an agency that requires two-step login see nothing of it before they have set it up. In
    an archived workspace members read and no one changes anything, unless the page is
    `archived_too`.
    """
    # Rights are read on each request, so that a change acts on running sessions at once.
    user = person(request)
    scope = _find_member_scope(user, agency, workspace) or _find_client_scope(
        user, agency, workspace
    )
    if scope is None:
        raise Http404("Nothing here.")
    if scope.agency.two_step_required and not scope.is_client and not two_step.is_on(user):
        raise two_step.TwoStepRequired(scope.agency)
    if not scope.ranks(level):
        raise PermissionDenied(
            "Your role does not allow this. Ask an owner or admin of the agency."
        )
    if scope.is_frozen and not archived_too and request.method not in SAFE_METHODS:
        raise PermissionDenied(
            "This client is archived. Bring it back before you change anything in it."
        )
    request.scope = scope  # type: ignore[attr-defined]  # the frame's context processor reads it
    return scope


def enter_workspace(
    request: HttpRequest,
    agency: str,
    workspace: str,
    *,
    level: str = READ,
    archived_too: bool = False,
) -> Workspace:
    """Return the workspace, as `enter`, for pages that exist only inside one."""
    entered = enter(request, agency, workspace, level=level, archived_too=archived_too).workspace
    assert entered is not None  # a slug was given
    return entered


def person(request: HttpRequest) -> User:
    """Return the signed-in person. Raises SignInRequired."""
    if isinstance(request.user, AnonymousUser):
        raise SignInRequired
    return request.user


def _find_member_scope(user: User, agency: str, workspace: str | None) -> Scope | None:
    membership = (
        Membership.objects.select_related("agency").filter(user=user, agency__slug=agency).first()
    )
    if membership is None:
        return None
    client = None
    if workspace is not None:
        client = membership.agency.workspaces.filter(slug=workspace, deleting_at=None).first()
        if client is None:
            return None
        client.agency = membership.agency
    return Scope(
        user, membership.agency, client, LEVEL_OF_ROLE[Role(membership.role)], is_client=False
    )


def _find_client_scope(user: User, agency: str, workspace: str | None) -> Scope | None:
    if workspace is None:
        return None
    seat = (
        ClientUser.objects.select_related("workspace__agency")
        .filter(user=user, workspace__slug=workspace, workspace__agency__slug=agency)
        .filter(workspace__archived_at__isnull=True)
        .first()
    )
    return (
        Scope(user, seat.workspace.agency, seat.workspace, READ, is_client=True) if seat else None
    )
