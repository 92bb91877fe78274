"""E-mails to people who are not users yet, rendered from templates and limited per hour."""

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

# Of one agency, to people who are not users yet: enough for a whole office, useless for spam.
PER_HOUR = 60
SENDING_VERBS = (
    "member invited",
    "client user invited",
    "invitation sent again",
    "connect link sent",
    "connect link sent again",
)


def letter(
    template: str, context: dict[str, Any], *, to: Sequence[str], reply_to: Sequence[str] = ()
) -> EmailMessage:
    """Return an e-mail from `<template>_subject.txt` and `<template>_message.txt`."""
    subject = render_to_string(f"{template}_subject.txt", context)
    return EmailMessage(
        subject=" ".join(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}".split()),
        body=render_to_string(f"{template}_message.txt", context),
        to=to,
        reply_to=reply_to,
    )


def post(message: EmailMessage) -> bool:
    """Send it; return False, with a line in the log, where the mail server does not take it."""
    try:
        message.send()
    except OSError:  # SMTPException is one, and so are refused connections and timeouts
        log.warning("A letter could not be sent.", exc_info=True)
        return False
    return True


def send_invitation(invitation: Invitation, token: str) -> bool:
    """Send the invitation; return False where the mail server does not take it."""
    path = reverse("workspaces:invitation", args=[token])
    context = {"invitation": invitation, "url": f"{settings.BASE_URL}{path}"}
    return post(letter("workspaces/email/invitation", context, to=[invitation.email]))


def check_pace(agency: Agency) -> None:
    """Raise ValidationError where the agency has sent PER_HOUR e-mails within the last hour."""
    # Counted in the audit trail, under the agency's lock, so that parallel requests cannot exceed it.
    since = timezone.now() - timedelta(hours=1)
    sent = AuditEntry.objects.filter(agency=agency, verb__in=SENDING_VERBS, at__gt=since).count()
    if sent >= PER_HOUR:
        raise ValidationError(
            "Your agency has sent many letters within the last hour. Go on in an hour.", code="pace"
        )
