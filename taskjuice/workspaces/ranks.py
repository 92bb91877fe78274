"""Who may act on whose place: owner over admins, owner and admins over members and client users."""

from django.core.exceptions import PermissionDenied

from taskjuice.workspaces.models import Agency, InvitedRole, Membership, Role, User

BELOW: dict[str, tuple[str, ...]] = {
    Role.OWNER: (InvitedRole.MEMBER, InvitedRole.ADMIN, InvitedRole.CLIENT),
    Role.ADMIN: (InvitedRole.MEMBER, InvitedRole.CLIENT),
    Role.MEMBER: (),
}


def outranks(role: str, *others: str) -> bool:
    """Whether somebody of this role may give and take each of the others."""
    return all(other in BELOW[role] for other in others)


def standing(agency: Agency, by: User) -> str:
    """The role of `by` now. Locks the agency's row, so that changes to its people happen one after
    the other.

    The lock leaves rows that merely point at the agency alone: webhooks and workers do not wait for
    it.
    """
    Agency.objects.select_for_update(no_key=True).get(pk=agency.pk)
    membership = Membership.objects.filter(agency=agency, user=by).first()
    if membership is None:
        raise PermissionDenied("You are not on the staff of this agency any more.")
    return membership.role


def require(agency: Agency, by: User, *roles: str) -> None:
    """Raise PermissionDenied unless `by` may act on all these roles."""
    if not outranks(standing(agency, by), *roles):
        raise PermissionDenied("Your role does not allow this. Ask the owner of the agency.")
