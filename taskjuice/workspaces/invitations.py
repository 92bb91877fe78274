"""Invitations: sent by e-mail, accepted once by the owner of the address, within seven days."""

import hashlib
import secrets
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from taskjuice.workspaces import audit, letters, ranks
from taskjuice.workspaces.models import (
    Agency,
    ClientUser,
    Invitation,
    InvitationState,
    InvitedRole,
    Membership,
    User,
    Workspace,
)

LIFE = timedelta(days=7)
TOKEN_BYTES = 32
PAUSE = timedelta(minutes=1)  # between two letters to one address


class Refused(Exception):
    """This person cannot accept this invitation.

    `reason` selects the text in templates/workspaces/invitation_refused.html.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def invite(
    *, agency: Agency, email: str, role: str, workspace: Workspace | None = None, by: User
) -> Invitation:
    """Create an invitation and send it. Raises ValidationError with a text for the form.

    Where the mail server does not take the e-mail, the invitation stays without `sent_at`.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with transaction.atomic():
        ranks.require(agency, by, role)
        letters.check_pace(agency)
        _check_has_no_place(agency, email.lower())
        invitation = Invitation.objects.create(
            agency=agency,
            workspace=workspace,
            email=email.lower(),
            role=role,
            token_hash=hash_of(token),
            invited_by=by,
            expires_at=timezone.now() + LIFE,
        )
        verb = "client user invited" if role == InvitedRole.CLIENT else "member invited"
        _note(verb, invitation, by, role=role)
    return _send_and_note(invitation, token)


def resend(*, invitation: Invitation, by: User) -> Invitation:
    """A new letter with a new link and seven new days; the old link ends. Raises ValidationError in
    words.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with transaction.atomic():
        current = _lock_invitation(invitation, by)
        if current.workspace is not None and current.workspace.archived_at is not None:
            raise ValidationError("This client is archived. Bring it back first.", code="archived")
        if current.sent_at and current.sent_at > timezone.now() - PAUSE:
            raise ValidationError(
                "This invitation was sent a moment ago. Wait a minute.", code="pace"
            )
        letters.check_pace(current.agency)
        current.token_hash, current.sent_at = hash_of(token), None
        current.expires_at, current.invited_by = timezone.now() + LIFE, by
        current.save(update_fields=["token_hash", "sent_at", "expires_at", "invited_by"])
        _note("invitation sent again", current, by)
    return _send_and_note(current, token)


@transaction.atomic
def revoke(*, invitation: Invitation, by: User) -> None:
    """End the link. Raises ValidationError where it was accepted or revoked before."""
    current = _lock_invitation(invitation, by)
    current.revoked_at = timezone.now()
    current.save(update_fields=["revoked_at"])
    _note("invitation revoked", current, by)


def revoke_beyond(agency: Agency, inviter: User, role: str, *, by: User) -> None:
    """End the open invitations that a person of `role`, now the inviter's, could not make."""
    rows = Invitation.objects.filter(
        agency=agency, invited_by=inviter, accepted_at=None, revoked_at=None
    )
    for current in rows.exclude(role__in=ranks.BELOW[role]).select_related("agency", "workspace"):
        current.revoked_at = timezone.now()
        current.save(update_fields=["revoked_at"])
        _note("invitation revoked", current, by, reason="whoever invited may not do so any more")


def find(token: str) -> Invitation | None:
    rows = Invitation.objects.select_related("agency", "workspace", "invited_by")
    return rows.filter(token_hash=hash_of(token)).first()


@transaction.atomic
def accept(*, token: str, by: User) -> Invitation:
    """Take the invited place. Raises InvitationRefused; of two at once one wins."""
    current = find(token)
    if current is None:
        raise Refused("unknown")
    Agency.objects.select_for_update(no_key=True).get(pk=current.agency_id)
    # Locked too, since a person has one seat over all agencies.
    User.objects.select_for_update(no_key=True).get(pk=by.pk)
    current.refresh_from_db()
    if current.token_hash != hash_of(token):  # sent again meanwhile, under another link
        raise Refused("unknown")
    if reason := obstacle(current, by):
        raise Refused(reason)
    current.accepted_at, current.accepted_by = timezone.now(), by
    current.save(update_fields=["accepted_at", "accepted_by"])
    if current.workspace is not None:
        ClientUser.objects.create(workspace=current.workspace, user=by)
        _note("client user joined", current, by)
    else:
        Membership.objects.create(agency=current.agency, user=by, role=current.role)
        _note("member joined", current, by, role=current.role)
    return current


def dead(invitation: Invitation) -> str:
    """Return why no one can accept the invitation any more; empty while it is open."""
    if invitation.state in (
        InvitationState.ACCEPTED,
        InvitationState.REVOKED,
        InvitationState.EXPIRED,
    ):
        return str(invitation.state)
    archived = invitation.workspace is not None and invitation.workspace.archived_at is not None
    return "archived" if archived else ""


def obstacle(invitation: Invitation, user: User) -> str:
    """Return why this person cannot accept the invitation; empty when they can."""
    if reason := dead(invitation):
        return reason
    if not EmailAddress.objects.filter(
        user=user, email__iexact=invitation.email, verified=True
    ).exists():
        return "address"
    if Membership.objects.filter(agency=invitation.agency, user=user).exists():
        return "staff"
    seats = ClientUser.objects.filter(user=user)
    if invitation.role == InvitedRole.CLIENT:
        return "seat" if seats.exists() else ""
    return "client" if seats.filter(workspace__agency=invitation.agency).exists() else ""


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _send_and_note(invitation: Invitation, token: str) -> Invitation:
    if letters.send_invitation(invitation, token):
        invitation.sent_at = timezone.now()
        # Not the row as a whole: it may have been accepted or revoked meanwhile.
        Invitation.objects.filter(pk=invitation.pk).update(sent_at=invitation.sent_at)
    return invitation


def _lock_invitation(invitation: Invitation, by: User) -> Invitation:
    """Return the open invitation as it is now, if `by` may act on it."""
    ranks.require(invitation.agency, by, invitation.role)
    current = Invitation.objects.select_related("agency", "workspace").get(pk=invitation.pk)
    if not current.is_open:
        raise ValidationError("This invitation is not open any more.", code="closed")
    return current


def _check_has_no_place(agency: Agency, email: str) -> None:
    """Raise ValidationError where the address has a place in this agency already."""
    if agency.memberships.filter(user__email__iexact=email).exists():
        raise ValidationError("This person is on your staff already.", code="staff")
    seat = ClientUser.objects.select_related("workspace").filter(
        user__email__iexact=email, workspace__agency=agency
    )
    for existing in seat:
        raise ValidationError(
            f"This person is a client user of {existing.workspace.name} already."
            " Remove them there first.",
            code="seat",
        )
    for earlier in agency.invitations.filter(email=email, accepted_at=None, revoked_at=None):
        if earlier.state != InvitationState.EXPIRED:
            place = earlier.workspace.name if earlier.workspace else "the team"
            raise ValidationError(
                f"This person is invited to {place} already. Send that invitation"
                " again, or revoke it first.",
                code="open",
            )
        Invitation.objects.filter(pk=earlier.pk).update(revoked_at=timezone.now())


def _note(verb: str, invitation: Invitation, by: User, **details: str) -> None:
    audit.record(
        verb,
        by=by,
        agency=invitation.agency,
        workspace=invitation.workspace,
        subject=invitation.email,
        **details,
    )
