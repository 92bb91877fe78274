"""Letters to people who are not users yet."""

import logging

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse

from taskjuice.workspaces.models import Invitation

log = logging.getLogger(__name__)


def send_invitation(invitation: Invitation, token: str) -> bool:
    """Hand the letter to the mail server. False, with a line in the log, when it did not take it."""
    path = reverse("workspaces:invitation", args=[token])
    words = {"invitation": invitation, "url": f"{settings.BASE_URL}{path}"}
    subject = render_to_string("workspaces/email/invitation_subject.txt", words)
    letter = EmailMessage(
        subject=" ".join(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}".split()),
        body=render_to_string("workspaces/email/invitation_message.txt", words),
        to=[invitation.email],
    )
    try:
        letter.send()
    except OSError:  # SMTPException is one, and so are refused connections and timeouts
        log.warning("An invitation could not be sent.", extra={"invitation": invitation.pk}, exc_info=True)
        return False
    return True
