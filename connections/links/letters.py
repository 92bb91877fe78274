"""E-mails about connect links: to the person who is to connect, and back to the colleague who
asked.
"""

from django.conf import settings
from django.urls import reverse

from connections.models import ConnectLink, LinkState
from taskjuice.workspaces import branding, letters

NOTIFIED_STATES = (LinkState.CHOSEN, LinkState.CONNECTED, LinkState.CANCELLED)


def send_link(link: ConnectLink, token: str, *, again: bool) -> bool:
    """Send the e-mail with the link. False when the mail server did not accept it."""
    words = {"link": link, "url": build_link_url(token), "again": again, "days": 7}
    answers = branding.of(link.agency).reply_to or (link.sent_by.email if link.sent_by else "")
    message = letters.letter(
        "connections/email/connect_link",
        words,
        to=[link.email],
        reply_to=[answers] if answers else [],
    )
    return letters.post(message)


def build_link_url(token: str) -> str:
    return f"{settings.BASE_URL}{reverse('connections:link', args=[token])}"


def notify_sender(link_id: int) -> bool:
    """Notify the colleague who sent the link of its outcome. False when no e-mail was sent.

    Only members of staff are notified. What the mail server did not accept is tried again by the
    sweep.
    """
    link = (
        ConnectLink.objects.select_related("agency", "workspace", "sent_by")
        .filter(pk=link_id)
        .first()
    )
    if link is None or link.untold_since is None:
        return False
    is_told = _send_outcome(link)
    if is_told is not None:
        ConnectLink.objects.filter(pk=link.pk, untold_since=link.untold_since).update(
            untold_since=None
        )
    return bool(is_told)


def _send_outcome(link: ConnectLink) -> bool | None:
    """Return whether the sender was notified: False if there is no one to notify, None to try
    again.
    """
    if link.sent_by is None or link.state not in NOTIFIED_STATES:
        return False
    if not link.agency.memberships.filter(user=link.sent_by, user__is_active=True).exists():
        return False
    place = [link.agency.slug, link.workspace.slug, link.pk]
    words = {
        "link": link,
        "url": f"{settings.BASE_URL}{reverse('connections:link-detail', args=place)}",
    }
    is_sent = letters.post(
        letters.letter("connections/email/link_outcome", words, to=[link.sent_by.email])
    )
    return True if is_sent else None
