"""Invitations: offered by letter, accepted once by whoever has the address, within seven days."""

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
    """This person cannot accept this invitation; `reason` picks the words
    (templates/workspaces/_refused.html).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def invite(
    *, agency: Agency, email: str, role: str, workspace: Workspace | None = None, by: User
) -> Invitation:
    """Offer a place and send the letter. Raises ValidationError in words for the form.

    When the letter cannot be handed to the mail server, the invitation stands without `sent_at`.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with transaction.atomic():
        ranks.require(agency, by, role)
        letters.check_pace(agency)
        _check_place(agency, email.lower())
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
    return _send(invitation, token)


def resend(*, invitation: Invitation, by: User) -> Invitation:
    """A new letter with a new link and seven new days; the old link ends. Raises ValidationError in
    words.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with transaction.atomic():
        found = _locked(invitation, by)
        if found.workspace is not None and found.workspace.archived_at is not None:
            raise ValidationError("This client is archived. Bring it back first.", code="archived")
        if found.sent_at and found.sent_at > timezone.now() - PAUSE:
            raise ValidationError(
                "This invitation was sent a moment ago. Wait a minute.", code="pace"
            )
        letters.check_pace(found.agency)
        found.token_hash, found.sent_at = hash_of(token), None
        found.expires_at, found.invited_by = timezone.now() + LIFE, by
        found.save(update_fields=["token_hash", "sent_at", "expires_at", "invited_by"])
        _note("invitation sent again", found, by)
    return _send(found, token)


@transaction.atomic
def revoke(*, invitation: Invitation, by: User) -> None:
    """The link stops working. Raises ValidationError when it was accepted or revoked meanwhile."""
    found = _locked(invitation, by)
    found.revoked_at = timezone.now()
    found.save(update_fields=["revoked_at"])
    _note("invitation revoked", found, by)


def revoke_beyond(agency: Agency, inviter: User, role: str, *, by: User) -> None:
    """End the open invitations that somebody of `role` (what the inviter is from now on) could not
    make.
    """
    rows = Invitation.objects.filter(
        agency=agency, invited_by=inviter, accepted_at=None, revoked_at=None
    )
    for found in rows.exclude(role__in=ranks.BELOW[role]).select_related("agency", "workspace"):
        found.revoked_at = timezone.now()
        found.save(update_fields=["revoked_at"])
        _note("invitation revoked", found, by, reason="whoever invited may not do so any more")


def find(token: str) -> Invitation | None:
    rows = Invitation.objects.select_related("agency", "workspace", "invited_by")
    return rows.filter(token_hash=hash_of(token)).first()


@transaction.atomic
def accept(*, token: str, by: User) -> Invitation:
    """Take the place offered. Raises Refused; of two at once one wins."""
    found = find(token)
    if found is None:
        raise Refused("unknown")
    Agency.objects.select_for_update(no_key=True).get(pk=found.agency_id)
    User.objects.select_for_update(no_key=True).get(
        pk=by.pk
    )  # a person has one seat over all agencies
    found.refresh_from_db()
    if found.token_hash != hash_of(token):  # sent again meanwhile, under another link
        raise Refused("unknown")
    if reason := obstacle(found, by):
        raise Refused(reason)
    found.accepted_at, found.accepted_by = timezone.now(), by
    found.save(update_fields=["accepted_at", "accepted_by"])
    if found.workspace is not None:
        ClientUser.objects.create(workspace=found.workspace, user=by)
        _note("client user joined", found, by)
    else:
        Membership.objects.create(agency=found.agency, user=by, role=found.role)
        _note("member joined", found, by, role=found.role)
    return found


def dead(invitation: Invitation) -> str:
    """Why nobody can accept it any more; empty while it is open."""
    if invitation.state in (
        InvitationState.ACCEPTED,
        InvitationState.REVOKED,
        InvitationState.EXPIRED,
    ):
        return str(invitation.state)
    archived = invitation.workspace is not None and invitation.workspace.archived_at is not None
    return "archived" if archived else ""


def obstacle(invitation: Invitation, user: User) -> str:
    """Why this person cannot accept it; empty when they can."""
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


def _send(invitation: Invitation, token: str) -> Invitation:
    if letters.send_invitation(invitation, token):
        invitation.sent_at = timezone.now()
        # Not the row as a whole: it may have been accepted or revoked meanwhile.
        Invitation.objects.filter(pk=invitation.pk).update(sent_at=invitation.sent_at)
    return invitation


def _locked(invitation: Invitation, by: User) -> Invitation:
    """The open invitation as it is now, if `by` may act on it."""
    ranks.require(invitation.agency, by, invitation.role)
    found = Invitation.objects.select_related("agency", "workspace").get(pk=invitation.pk)
    if not found.is_open:
        raise ValidationError("This invitation is not open any more.", code="closed")
    return found


def _check_place(agency: Agency, email: str) -> None:
    """One address has one place in an agency. What it has elsewhere is nobody's business here."""
    if agency.memberships.filter(user__email__iexact=email).exists():
        raise ValidationError("This person is on your staff already.", code="staff")
    seat = ClientUser.objects.select_related("workspace").filter(
        user__email__iexact=email, workspace__agency=agency
    )
    for taken in seat:
        raise ValidationError(
            f"This person is a client user of {taken.workspace.name} already. Remove them there first.",
            code="seat",
        )
    for earlier in agency.invitations.filter(email=email, accepted_at=None, revoked_at=None):
        if earlier.state != InvitationState.EXPIRED:
            place = earlier.workspace.name if earlier.workspace else "the team"
            raise ValidationError(
                f"This person is invited to {place} already. Send that invitation again, or revoke it first.",
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
