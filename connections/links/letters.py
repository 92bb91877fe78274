"""What is written about connect links: to whoever shall connect, and back to the colleague who
asked.
"""

from django.conf import settings
from django.urls import reverse

from connections.models import ConnectLink, LinkState
from taskjuice.workspaces import branding, letters

TOLD = (LinkState.CHOSEN, LinkState.CONNECTED, LinkState.CANCELLED)


def send(link: ConnectLink, token: str, *, again: bool) -> bool:
    """The letter with the link. False when the mail server did not take it."""
    words = {"link": link, "url": address(token), "again": again, "days": 7}
    answers = branding.of(link.agency).reply_to or (link.sent_by.email if link.sent_by else "")
    message = letters.letter(
        "connections/email/connect_link",
        words,
        to=[link.email],
        reply_to=[answers] if answers else [],
    )
    return letters.post(message)


def address(token: str) -> str:
    return f"{settings.BASE_URL}{reverse('connections:link', args=[token])}"


def tell(link_id: int) -> bool:
    """Tell the colleague who sent it what came of it, while they are on the staff. False: nobody
    was told.

    What the mail server did not take stays untold, and is tried again by the sweep.
    """
    link = (
        ConnectLink.objects.select_related("agency", "workspace", "sent_by")
        .filter(pk=link_id)
        .first()
    )
    if link is None or link.untold_since is None:
        return False
    is_told = _tell_sender(link)
    if is_told is not None:
        ConnectLink.objects.filter(pk=link.pk, untold_since=link.untold_since).update(
            untold_since=None
        )
    return bool(is_told)


def _tell_sender(link: ConnectLink) -> bool | None:
    """Return whether the sender was told: False where there is nobody to tell, None where it is to
    be tried again.
    """
    if link.sent_by is None or link.state not in TOLD:
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
