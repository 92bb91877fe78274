"""Letters: made from templates, handed to the mail server, no more of them in an hour than an
office needs.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from taskjuice.workspaces.models import Agency, AuditEntry, Invitation

log = logging.getLogger(__name__)

PER_HOUR = 60  # of one agency, to people who are not users yet: enough for a whole office, useless for spam
SENDING_VERBS = (
    "member invited",
    "client user invited",
    "invitation sent again",
    "connect link sent",
    "connect link sent again",
)


def letter(
    template: str, words: dict[str, Any], *, to: Sequence[str], reply_to: Sequence[str] = ()
) -> EmailMessage:
    """From `<template>_subject.txt` and `<template>_message.txt`."""
    subject = render_to_string(f"{template}_subject.txt", words)
    return EmailMessage(
        subject=" ".join(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}".split()),
        body=render_to_string(f"{template}_message.txt", words),
        to=to,
        reply_to=reply_to,
    )


def post(message: EmailMessage) -> bool:
    """Hand it to the mail server. False, with a line in the log, when it was not taken."""
    try:
        message.send()
    except OSError:  # SMTPException is one, and so are refused connections and timeouts
        log.warning("A letter could not be sent.", exc_info=True)
        return False
    return True


def send_invitation(invitation: Invitation, token: str) -> bool:
    """False when the mail server did not take it."""
    path = reverse("workspaces:invitation", args=[token])
    words = {"invitation": invitation, "url": f"{settings.BASE_URL}{path}"}
    return post(letter("workspaces/email/invitation", words, to=[invitation.email]))


def check_pace(agency: Agency) -> None:
    """Counted in the trail, under the agency's lock, so that parallel requests do not slip through.

    Raises ValidationError in words for the form.
    """
    since = timezone.now() - timedelta(hours=1)
    sent = AuditEntry.objects.filter(agency=agency, verb__in=SENDING_VERBS, at__gt=since).count()
    if sent >= PER_HOUR:
        raise ValidationError(
            "Your agency has sent many letters within the last hour. Go on in an hour.", code="pace"
        )
