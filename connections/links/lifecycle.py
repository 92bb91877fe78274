"""Connect links: made, sent again, copied, revoked. What happens behind them is in `progress`."""

import hashlib
import secrets
from datetime import timedelta

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from connections.links import letters
from connections.models import Connection, ConnectLink
from taskjuice.workspaces import audit, ranks
from taskjuice.workspaces.letters import check_pace
from taskjuice.workspaces.models import Role, User, Workspace

LIFE = timedelta(days=7)
TOKEN_BYTES = 32
PAUSE = timedelta(minutes=1)  # between two letters of one link


def make(
    *,
    workspace: Workspace,
    provider: str,
    email: str = "",
    reconnects: Connection | None = None,
    by: User,
) -> tuple[ConnectLink, str]:
    """A link and its token, which is known only now. With an address the letter is sent.

    Raises ValidationError in words for the form. When the letter cannot be handed over, `sent_at`
    stays empty, and asking once more takes the same link.
    """
    with transaction.atomic():
        _require_right(workspace, by)
        if email:
            check_pace(workspace.agency)
        link = _unsent(workspace, email.lower(), reconnects) or ConnectLink(
            agency=workspace.agency,
            workspace=workspace,
            provider=provider,
            reconnects=reconnects,
            email=email.lower(),
        )
        token = _renew(link, by)
        _note("connect link sent" if email else "connect link made", link, by)
    return _send(link, token, again=False), token


def remind(*, link: ConnectLink, by: User) -> ConnectLink:
    """A new letter with a new link and seven new days; the old link ends. Raises ValidationError in
    words.
    """
    if not link.email:
        raise ValidationError("This link has no e-mail address. Copy it instead.", code="address")
    with transaction.atomic():
        found = _locked(link, by)
        if found.sent_at and found.sent_at > timezone.now() - PAUSE:
            raise ValidationError("This link was sent a moment ago. Wait a minute.", code="pace")
        check_pace(found.agency)
        token = _renew(found, by)
        _note("connect link sent again", found, by)
    return _send(found, token, again=found.sent_at is not None)


def copy(*, link: ConnectLink, by: User) -> str:
    """A new token for the same link, to be handed on by hand; the earlier one ends."""
    with transaction.atomic():
        found = _locked(link, by)
        token = _renew(found, by)
        _note("connect link copied", found, by)
    return token


@transaction.atomic
def revoke(*, link: ConnectLink, by: User) -> None:
    """The link stops working, also for who is on the way. Raises ValidationError when it is over
    already.
    """
    found = _locked(link, by)
    ConnectLink.objects.filter(pk=found.pk).update(revoked_at=Now())
    _note("connect link revoked", found, by)


def find(token: str) -> ConnectLink | None:
    rows = ConnectLink.objects.select_related("agency", "workspace", "sent_by", "reconnects")
    return rows.filter(token_hash=hash_of(token)).first()


def dead(link: ConnectLink) -> str:
    """Why nobody can start with it any more; empty while somebody can."""
    if link.declined_at:
        return "declined"
    if not link.is_open or link.is_expired:
        return str(link.state)
    return "archived" if link.workspace.archived_at else ""


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _send(link: ConnectLink, token: str, *, again: bool) -> ConnectLink:
    if link.email and letters.send(link, token, again=again):
        ConnectLink.objects.filter(pk=link.pk).update(sent_at=Now())
        link.refresh_from_db(fields=["sent_at"])
    return link


def _renew(link: ConnectLink, by: User) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    link.token_hash, link.expires_at, link.sent_by = hash_of(token), timezone.now() + LIFE, by
    link.save()
    return token


def _locked(link: ConnectLink, by: User) -> ConnectLink:
    """The open link as it is now, if `by` may act on it."""
    _require_right(link.workspace, by)
    found = ConnectLink.objects.select_for_update(of=("self",)).select_related(
        "agency", "workspace"
    )
    link = found.get(pk=link.pk)
    if not link.is_open:
        raise ValidationError("This link is over.", code="over")
    return link


def _require_right(workspace: Workspace, by: User) -> None:
    """Locks the agency's row, so that letters are counted one after the other."""
    if ranks.standing(workspace.agency, by) not in {Role.OWNER, Role.ADMIN}:
        raise PermissionDenied(
            "Your role does not allow this. Ask an owner or admin of the agency."
        )
    if Workspace.objects.filter(pk=workspace.pk, archived_at__isnull=False).exists():
        raise ValidationError("This client is archived. Bring it back first.", code="archived")


def _unsent(workspace: Workspace, email: str, reconnects: Connection | None) -> ConnectLink | None:
    """The open link to this person about this thing whose letter never went out.

    Raises ValidationError when one did, for a reminder is the way to write again, or when one is
    being sent.
    """
    if not email:
        return None
    found = (
        ConnectLink.objects.select_for_update()
        .filter(workspace=workspace, email=email, reconnects=reconnects)
        .filter(chosen_at=None, declined_at=None, revoked_at=None, expires_at__gt=Now())
        .first()
    )
    if found and (found.sent_at or found.opened_at):
        raise ValidationError(
            "This person has an open link for this client already. Remind them, or revoke it first.",
            code="open",
        )
    if found and found.expires_at - LIFE > timezone.now() - PAUSE:
        raise ValidationError(
            "A letter was tried a moment ago. Try again in a minute.", code="pace"
        )
    return found


def _note(verb: str, link: ConnectLink, by: User) -> None:
    audit.record(
        verb,
        by=by,
        agency=link.agency,
        workspace=link.workspace,
        subject=link.email or str(link.workspace),
        link=link.pk,
        **({"reconnects": link.reconnects.name} if link.reconnects else {}),
    )
