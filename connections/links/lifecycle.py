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
    """A new link and its token, which is known only now. With an address the letter is sent.

    Raises ValidationError in words for the form. When the letter cannot be handed over, `sent_at` stays empty.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with transaction.atomic():
        _require_right(workspace, by)
        if email:
            check_pace(workspace.agency)
            _check_open(workspace, email.lower(), reconnects)
        link = ConnectLink.objects.create(
            agency=workspace.agency,
            workspace=workspace,
            provider=provider,
            reconnects=reconnects,
            email=email.lower(),
            token_hash=hash_of(token),
            sent_by=by,
            expires_at=timezone.now() + LIFE,
        )
        _note("connect link sent" if email else "connect link made", link, by)
    return _send(link, token, again=False), token


def remind(*, link: ConnectLink, by: User) -> ConnectLink:
    """A new letter with a new link and seven new days; the old link ends. Raises ValidationError in words."""
    if not link.email:
        raise ValidationError("This link has no e-mail address. Copy it instead.", code="address")
    with transaction.atomic():
        found = _locked(link, by)
        if found.sent_at and found.sent_at > timezone.now() - PAUSE:
            raise ValidationError("This link was sent a moment ago. Wait a minute.", code="pace")
        check_pace(found.agency)
        token = _renew(found, by)
        _note("connect link sent again", found, by)
    return _send(found, token, again=True)


def copy(*, link: ConnectLink, by: User) -> str:
    """A new token for the same link, to be handed on by hand; the earlier one ends."""
    with transaction.atomic():
        found = _locked(link, by)
        token = _renew(found, by)
        _note("connect link copied", found, by)
    return token


@transaction.atomic
def revoke(*, link: ConnectLink, by: User) -> None:
    """The link stops working, also for who is on the way. Raises ValidationError when it is over already."""
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
    link.save(update_fields=["token_hash", "expires_at", "sent_by"])
    return token


def _locked(link: ConnectLink, by: User) -> ConnectLink:
    """The open link as it is now, if `by` may act on it."""
    _require_right(link.workspace, by)
    found = ConnectLink.objects.select_for_update(of=("self",)).select_related("agency", "workspace")
    link = found.get(pk=link.pk)
    if not link.is_open:
        raise ValidationError("This link is over.", code="over")
    return link


def _require_right(workspace: Workspace, by: User) -> None:
    """Locks the agency's row, so that letters are counted one after the other."""
    if ranks.standing(workspace.agency, by) not in {Role.OWNER, Role.ADMIN}:
        raise PermissionDenied("Your role does not allow this. Ask an owner or admin of the agency.")
    if Workspace.objects.filter(pk=workspace.pk, archived_at__isnull=False).exists():
        raise ValidationError("This client is archived. Bring it back first.", code="archived")


def _check_open(workspace: Workspace, email: str, reconnects: Connection | None) -> None:
    """One open letter to one person about one thing; a reminder is the way to write again."""
    same = ConnectLink.objects.filter(workspace=workspace, email=email, reconnects=reconnects)
    if same.filter(chosen_at=None, declined_at=None, revoked_at=None, expires_at__gt=Now()).exists():
        raise ValidationError(
            "This person has an open link for this client already. Remind them, or revoke it first.",
            code="open",
        )


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
