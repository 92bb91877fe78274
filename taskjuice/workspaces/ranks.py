"""Role rules: the owner manages admins; owner and admins manage members and client users."""

from django.core.exceptions import PermissionDenied

from taskjuice.workspaces.models import Agency, InvitedRole, Membership, Role, User

BELOW: dict[str, tuple[str, ...]] = {
    Role.OWNER: (InvitedRole.MEMBER, InvitedRole.ADMIN, InvitedRole.CLIENT),
    Role.ADMIN: (InvitedRole.MEMBER, InvitedRole.CLIENT),
    Role.MEMBER: (),
}


def outranks(role: str, *others: str) -> bool:
    """Return whether a person of this role may give and remove each of the others."""
    return all(other in BELOW[role] for other in others)


def standing(agency: Agency, by: User) -> str:
    """Return the role of `by` now, and lock the agency's row.

    So changes to its people happen one after the other. Raises PermissionDenied for others than
    staff.
    """
    # NO KEY: rows that merely refer to the agency stay writable, so webhooks and workers do not wait.
    Agency.objects.select_for_update(no_key=True).get(pk=agency.pk)
    membership = Membership.objects.filter(agency=agency, user=by).first()
    if membership is None:
        raise PermissionDenied("You are not on the staff of this agency any more.")
    return membership.role


def require(agency: Agency, by: User, *roles: str) -> None:
    """Raise PermissionDenied unless `by` may act on all these roles."""
    if not outranks(standing(agency, by), *roles):
        raise PermissionDenied("Your role does not allow this. Ask the owner of the agency.")
