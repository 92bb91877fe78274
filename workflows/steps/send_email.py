"""Built-in action: send an e-mail."""

import smtplib
from typing import Any, ClassVar

from django import forms
from django.core.mail import EmailMessage
from django.core.validators import validate_email

from connections.errors import Invalid, RetryLater
from connections.integrations import (
    Action,
    ActionContext,
    Data,
    Done,
    Failed,
    Outcome,
    Preview,
    TryLater,
)
from taskjuice.text_fields import LongTextField
from workflows.steps import email_limit, email_sender

MOST_RECIPIENTS = 20
DAY_IS_FULL = "The agency’s {per_day:,} e-mails of today are sent; an admin can raise the limit under Settings."
TOO_MANY = "It goes to {many} addresses, and the agency allows {per_day:,} e-mails a day. Raise that under Settings."


class AddressesField(forms.CharField):
    """Comma-separated addresses, cleaned to a list.

    `only_colleagues`: the builder offers only people of the agency.
    """

    def __init__(self, *, only_colleagues: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.only_colleagues = only_colleagues

    def clean(self, value: Any) -> list[str]:
        addresses = [part.strip() for part in super().clean(value).split(",") if part.strip()]
        for address in addresses:
            validate_email(address)
        if len(addresses) > MOST_RECIPIENTS:
            raise forms.ValidationError(f"At most {MOST_RECIPIENTS} addresses.")
        return addresses


class SendEmailForm(forms.Form):
    to = AddressesField(
        label="To", help_text="Tick colleagues, type others with commas in between."
    )
    subject = forms.CharField(label="Subject", max_length=200)
    body = LongTextField(label="Text", max_length=20_000)

    def clean_subject(self) -> str:
        """Return the subject on one line, since a line break would begin another header."""
        return " ".join(self.cleaned_data["subject"].split())


class SendEmail(Action):
    """An action that sends an e-mail at least once.

    If the process dies between sending and noting it, the e-mail is sent again.
    """

    key = "core/send-email"
    title = "Send an e-mail"
    description = "Sends an e-mail, to you or anyone else."
    form = SendEmailForm
    effects = True
    together = 1
    sample: ClassVar[Data] = {"to": ["owner@example.com"], "subject": "INV-0042 was paid"}

    def preview(self, call: ActionContext, data: Data) -> Preview:
        message = _build_message(call, data)
        head = {
            "From": email_sender.format_sender(str(message.from_email)),
            "Reply-To": ", ".join(message.reply_to),
            "To": ", ".join(message.to),
            "Subject": message.subject,
        }
        lines = [f"{name}: {value}" for name, value in head.items() if value]
        return Preview(
            f"E-mail to {', '.join(message.to)}", "\n".join([*lines, "", str(message.body)])
        )

    def outcome(self, call: ActionContext, data: Data) -> Outcome:
        """Send within the agency's daily limit; an e-mail beyond it waits for the next day."""
        many = len(data["to"])
        agency_id = call.connection.agency_id if call.connection else None
        if agency_id is None:
            return super().outcome(call, data)
        if not email_limit.take(agency_id, many):
            per_day = email_limit.read_limit(agency_id)
            if many > per_day:
                return Failed("limit", TOO_MANY.format(many=many, per_day=per_day))
            return TryLater(
                DAY_IS_FULL.format(per_day=per_day), at=email_limit.next_day_at(), counts=False
            )
        outcome = super().outcome(call, data)
        if not isinstance(outcome, Done):
            email_limit.give_back(agency_id, many)
        return outcome

    def run(self, call: ActionContext, data: Data) -> Data:
        message = _build_message(call, data)
        try:
            message.send()
        except smtplib.SMTPRecipientsRefused as error:
            raise Invalid(["The mail server refused every address."]) from error
        except smtplib.SMTPResponseException as error:
            raise _classify_refusal(error.smtp_code) from error
        except (smtplib.SMTPException, OSError) as error:
            raise RetryLater("The mail server did not take the message.") from error
        return {"to": data["to"], "subject": data["subject"]}


def _build_message(call: ActionContext, data: Data) -> EmailMessage:
    answers = email_sender.get_reply_address(call.connection.agency) if call.connection else ""
    return EmailMessage(
        data["subject"],
        data["body"],
        from_email=email_sender.get_sender(call.connection),
        to=data["to"],
        reply_to=[answers] if answers else [],
    )


def _classify_refusal(code: int) -> Invalid | RetryLater:
    """Return the error for an SMTP code: 5xx is permanent, 4xx temporary (RFC 5321, 4.2.1)."""
    text = f"The mail server refused the message ({code})."
    return Invalid([text], status=code) if code >= 500 else RetryLater(text, status=code)
