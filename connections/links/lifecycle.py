"""Connect links: created, sent again, copied, revoked. Their use is recorded in `link_progress`."""

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


def create_link(
    *,
    workspace: Workspace,
    provider: str,
    email: str = "",
    reconnects: Connection | None = None,
    by: User,
) -> tuple[ConnectLink, str]:
    """Create a link, or take up an unsent one, and return it with its token, which is not stored.

    With an address the e-mail is sent. Raises ValidationError with a text for the form. When the
    mail server does not accept the e-mail, `sent_at` stays empty, and asking once more takes the
    same link.
    """
    with transaction.atomic():
        _require_right(workspace, by)
        if email:
            check_pace(workspace.agency)
        link = _find_unsent_link(workspace, email.lower(), reconnects) or ConnectLink(
            agency=workspace.agency,
            workspace=workspace,
            provider=provider,
            reconnects=reconnects,
            email=email.lower(),
        )
        token = _renew_token(link, by)
        _record_change("connect link sent" if email else "connect link made", link, by)
    return _send_link(link, token, again=False), token


def send_reminder(*, link: ConnectLink, by: User) -> ConnectLink:
    """Send a new e-mail with a new link, good for seven more days; the old link ends.

    Raises ValidationError with a text for the page.
    """
    if not link.email:
        raise ValidationError("This link has no e-mail address. Copy it instead.", code="address")
    with transaction.atomic():
        found = _lock_open_link(link, by)
        if found.sent_at and found.sent_at > timezone.now() - PAUSE:
            raise ValidationError("This link was sent a moment ago. Wait a minute.", code="pace")
        check_pace(found.agency)
        token = _renew_token(found, by)
        _record_change("connect link sent again", found, by)
    return _send_link(found, token, again=found.sent_at is not None)


def renew_copied_link(*, link: ConnectLink, by: User) -> str:
    """Return a new token for the same link, to be passed on by hand; the earlier one ends."""
    with transaction.atomic():
        found = _lock_open_link(link, by)
        token = _renew_token(found, by)
        _record_change("connect link copied", found, by)
    return token


@transaction.atomic
def revoke_link(*, link: ConnectLink, by: User) -> None:
    """Revoke the link, even if its recipient is using it now. Raises ValidationError if it has
    ended.
    """
    found = _lock_open_link(link, by)
    ConnectLink.objects.filter(pk=found.pk).update(revoked_at=Now())
    _record_change("connect link revoked", found, by)


def find_link(token: str) -> ConnectLink | None:
    rows = ConnectLink.objects.select_related("agency", "workspace", "sent_by", "reconnects")
    return rows.filter(token_hash=hash_token(token)).first()


def find_end_reason(link: ConnectLink) -> str:
    """Return why the link can no longer be started; empty while it can."""
    if link.declined_at:
        return "declined"
    if not link.is_open or link.is_expired:
        return str(link.state)
    return "archived" if link.workspace.archived_at else ""


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _send_link(link: ConnectLink, token: str, *, again: bool) -> ConnectLink:
    if link.email and letters.send_link(link, token, again=again):
        ConnectLink.objects.filter(pk=link.pk).update(sent_at=Now())
        link.refresh_from_db(fields=["sent_at"])
    return link


def _renew_token(link: ConnectLink, by: User) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    link.token_hash, link.expires_at, link.sent_by = hash_token(token), timezone.now() + LIFE, by
    link.save()
    return token


def _lock_open_link(link: ConnectLink, by: User) -> ConnectLink:
    """Lock and return the open link as it is now, if `by` may act on it."""
    _require_right(link.workspace, by)
    found = ConnectLink.objects.select_for_update(of=("self",)).select_related(
        "agency", "workspace"
    )
    link = found.get(pk=link.pk)
    if not link.is_open:
        raise ValidationError("This link is over.", code="over")
    return link


def _require_right(workspace: Workspace, by: User) -> None:
    """Check the sender's right and the client's state; lock the agency's row.

    The lock has concurrent e-mails counted one after the other.
    """
    if ranks.standing(workspace.agency, by) not in {Role.OWNER, Role.ADMIN}:
        raise PermissionDenied(
            "Your role does not allow this. Ask an owner or admin of the agency."
        )
    if Workspace.objects.filter(pk=workspace.pk, archived_at__isnull=False).exists():
        raise ValidationError("This client is archived. Bring it back first.", code="archived")


def _find_unsent_link(
    workspace: Workspace, email: str, reconnects: Connection | None
) -> ConnectLink | None:
    """Return the open link to this person, for the same purpose, whose e-mail was never accepted.

    Raises ValidationError when one was sent, for which there are reminders, or is being sent.
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


def _record_change(verb: str, link: ConnectLink, by: User) -> None:
    audit.record(
        verb,
        by=by,
        agency=link.agency,
        workspace=link.workspace,
        subject=link.email or str(link.workspace),
        link=link.pk,
        **({"reconnects": link.reconnects.name} if link.reconnects else {}),
    )
