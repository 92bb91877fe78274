"""The staff of an agency: roles, removal, leaving, transfer of ownership. Each change is audited.

Rights are read from the rows at each request, so a change acts on running sessions at once.
"""

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from taskjuice.workspaces import audit, invitations, ranks, two_step
from taskjuice.workspaces.models import Agency, ClientUser, Membership, Role, User


@transaction.atomic
def change_role(*, membership: Membership, role: str, by: User) -> None:
    """Make an admin a member or a member an admin. The owner's role changes by transfer only."""
    member = _lock_member(membership, by, role)
    if member.role == role:
        return
    before, member.role = member.role, role
    member.save(update_fields=["role"])
    _note("role changed", member, by, before=before, after=role)
    invitations.revoke_beyond(member.agency, member.user, role, by=by)


@transaction.atomic
def remove_member(*, membership: Membership, by: User) -> None:
    """End a membership. From the next request on this person is a stranger."""
    member = _lock_member(membership, by)
    _end_membership(member, "member removed", by)


@transaction.atomic
def leave(*, agency: Agency, by: User) -> None:
    """End one's own membership. Raises ValidationError for the owner, who has to transfer it first."""
    if ranks.standing(agency, by) == Role.OWNER:
        raise ValidationError(
            "You own this agency. Transfer the ownership before you leave.", code="owner"
        )
    _end_membership(_find_member(agency, user=by), "member left", by)


@transaction.atomic
def transfer_ownership(*, agency: Agency, to: Membership, by: User) -> None:
    """Make a colleague the owner; the owner until now stays as an admin."""
    if ranks.standing(agency, by) != Role.OWNER:
        raise PermissionDenied("Only the owner can transfer the ownership.")
    heir = _find_member(agency, pk=to.pk)
    if heir.user == by:
        raise ValidationError("You own this agency already.", code="self")
    # First, since a unique constraint allows one owner.
    Membership.objects.filter(agency=agency, user=by).update(role=Role.ADMIN)
    before, heir.role = heir.role, Role.OWNER
    heir.save(update_fields=["role"])
    _note("ownership transferred", heir, by, before=before, after=Role.OWNER)


@transaction.atomic
def remove_client_user(*, seat: ClientUser, by: User) -> None:
    """Remove a client user's access."""
    agency = seat.workspace.agency
    ranks.require(agency, by, "client")
    if ClientUser.objects.filter(pk=seat.pk).delete()[0]:
        audit.record(
            "client user removed",
            by=by,
            agency=agency,
            workspace=seat.workspace,
            subject=seat.user.email,
        )


@transaction.atomic
def require_two_step(*, agency: Agency, required: bool, by: User) -> None:
    """Set whether staff need a second step to see anything of the agency.

    Raises ValidationError where the owner has none: they would shut themselves out.
    """
    if ranks.standing(agency, by) != Role.OWNER:
        raise PermissionDenied("Only the owner can change this.")
    if required and not two_step.is_on(by):
        raise ValidationError("Set up two-step login for yourself first.", code="self")
    if Agency.objects.filter(pk=agency.pk, two_step_required=not required).update(
        two_step_required=required
    ):
        verb = "two-step login required" if required else "two-step login made optional"
        audit.record(verb, by=by, agency=agency, subject=agency.name)


def _lock_member(membership: Membership, by: User, *roles: str) -> Membership:
    """Return the membership as it is now, if `by` may act on it and on `roles`."""
    ranks.standing(membership.agency, by)
    member = _find_member(membership.agency, pk=membership.pk)
    ranks.require(member.agency, by, member.role, *roles)
    return member


def _find_member(agency: Agency, **which: object) -> Membership:
    membership = (
        Membership.objects.select_related("agency", "user").filter(agency=agency, **which).first()
    )
    if membership is None:
        raise ValidationError("This person is not on the staff any more.", code="gone")
    return membership


def _end_membership(member: Membership, verb: str, by: User) -> None:
    Membership.objects.filter(pk=member.pk).delete()
    _note(verb, member, by, role=member.role)
    invitations.revoke_beyond(member.agency, member.user, Role.MEMBER, by=by)


def _note(verb: str, member: Membership, by: User, **details: Any) -> None:
    audit.record(verb, by=by, agency=member.agency, subject=member.user.email, **details)
