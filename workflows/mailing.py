"""Built-in action: send an e-mail."""

import smtplib
from typing import Any, ClassVar

from django import forms
from django.core.mail import EmailMessage
from django.core.validators import validate_email

from connections.errors import Invalid, RetryLater
from connections.integrations import Action, Call, Data, Preview
from taskjuice.text_fields import LongTextField

MOST_RECIPIENTS = 20


class AddressesField(forms.CharField):
    """Addresses separated by commas; cleaned to a list. `only_colleagues`: nobody else is ever written to."""

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
    to = AddressesField(label="To", help_text="Tick colleagues, type others with commas in between.")
    subject = forms.CharField(label="Subject", max_length=200)
    body = LongTextField(label="Text", max_length=20_000)

    def clean_subject(self) -> str:
        """One line: a line break would begin another header."""
        return " ".join(self.cleaned_data["subject"].split())


class SendEmail(Action):
    """Sent at least once: should the process die between sending and noting it, it is sent again."""

    key = "core/send-email"
    title = "Send an e-mail"
    description = "Sends an e-mail, to you or anyone else."
    form = SendEmailForm
    effects = True
    together = 1
    sample: ClassVar[Data] = {"to": ["owner@example.com"], "subject": "INV-0042 was paid"}

    def preview(self, call: Call, data: Data) -> Preview:
        message = _message(data)
        head = {"From": message.from_email, "To": ", ".join(message.to), "Subject": message.subject}
        lines = [f"{name}: {value}" for name, value in head.items()]
        return Preview(f"E-mail to {', '.join(message.to)}", "\n".join([*lines, "", str(message.body)]))

    def run(self, call: Call, data: Data) -> Data:
        message = _message(data)
        try:
            message.send()
        except smtplib.SMTPRecipientsRefused as error:
            raise Invalid(["The mail server refused every address."]) from error
        except smtplib.SMTPResponseException as error:
            raise _refused(error.smtp_code) from error
        except (smtplib.SMTPException, OSError) as error:
            raise RetryLater("The mail server did not take the message.") from error
        return {"to": data["to"], "subject": data["subject"]}


def _message(data: Data) -> EmailMessage:
    return EmailMessage(data["subject"], data["body"], to=data["to"])


def _refused(code: int) -> Invalid | RetryLater:
    """5xx is for good, 4xx for now (RFC 5321, 4.2.1)."""
    text = f"The mail server refused the message ({code})."
    return Invalid([text], status=code) if code >= 500 else RetryLater(text, status=code)
