"""The forms of the actions adapted to a page: names for ids, and selects from the local copy.

Each choice must belong to the organisation of the form; any other one is an error.
"""

from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.core.exceptions import ValidationError

from connections.models import Connection
from xero.documents import choices
from xero.documents.rows import DocumentRowsField, LineChoices
from xero.fields import TextField
from xero.forms import (
    ACCPAY,
    CreateContactForm,
    CreateInvoiceForm,
    CreatePaymentForm,
)
from xero.models import Contact, Invoice
from xero.names import name_key
from xero.sync.contact_names import find_contact


class OnceForm(forms.Form):
    """A form with a key, under which it is written once, however often it is sent."""

    form_key = forms.UUIDField(widget=forms.HiddenInput)

    @staticmethod
    def new_key() -> UUID:
        return uuid4()


class DocumentPageForm(OnceForm, CreateInvoiceForm):
    """The form of an invoice or bill.

    `contact_name` is looked up in the local copy; a name not there must be confirmed as new.
    """

    new_contact = forms.BooleanField(label="Add as a new contact", required=False)

    def __init__(self, line_choices: LineChoices, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.line_choices = line_choices
        self.is_bill = line_choices.type == ACCPAY
        self.unknown_contact = ""
        for name in ("type", "contact_id", "branding_theme_id", "sent_to_contact"):
            self.fields[name].disabled = True  # decided here, never taken from a browser
        self.fields["type"].initial = line_choices.type
        self.fields["lines"] = DocumentRowsField(line_choices)
        self.fields["line_amount_types"].required = True
        contact = self.fields["contact_name"]
        contact.label = "From" if self.is_bill else "To"
        contact.help_text, contact.required = "", False
        if self.is_bill:
            self.fields["number"].help_text = "The supplier’s own."
            del self.fields["reference"]

    def add_error(self, field: str | None, error: Any) -> None:
        """Move errors of the contact's id to its name, which is the field on the page."""
        super().add_error("contact_name" if field == "contact_id" else field, error)

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        cleaned.setdefault("reference", "")
        if name := cleaned.get("contact_name"):
            contact = find_contact(self.line_choices.connection, name)
            if contact is not None:
                cleaned["contact_id"], cleaned["contact_name"] = contact.xero_id, contact.name
            elif not cleaned.get("new_contact"):
                self.unknown_contact = name
                self.add_error(
                    "contact_name",
                    f"{self.line_choices.connection.name} has no contact of this name. Choose one, or add it.",
                )
        if "contact_name" in self.errors:
            cleaned["contact_name"] = "–"  # one error about it is enough
        return super().clean()


class ContactPageForm(OnceForm, CreateContactForm):
    def __init__(self, connection: Connection, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connection = connection
        self.known: Contact | None = None

    def clean_name(self) -> str:
        name = super().clean_name()
        self.known = find_contact(self.connection, name)
        if self.known is not None and self.known.status == "ACTIVE":
            raise ValidationError("There is a contact of this name already.")
        self.known = None
        return name


class PaymentPageForm(OnceForm, CreatePaymentForm):
    """The form of a payment for `invoice`, a document of the local copy."""

    def __init__(self, invoice: Invoice, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.invoice = invoice
        self.fields["invoice_id"].disabled = True
        self.fields["invoice_id"].initial = invoice.xero_id
        del self.fields["account_code"]
        account = self.fields["account_id"]
        account.required, account.help_text = True, "Bank accounts, and others that take payments."
        account.error_messages["required"] = "Choose the account that the money went through."
        account.widget = forms.Select(
            choices=[("", "Choose"), *choices.list_payment_accounts(invoice.connection)]
        )
        self.fields["amount"].required, self.fields["amount"].help_text = True, ""

    def clean_account_id(self) -> UUID:
        chosen: UUID = self.cleaned_data["account_id"]
        if not choices.has_account(self.invoice.connection, chosen):
            raise ValidationError(f"{self.invoice.connection.name} has no such account.")
        return chosen

    def clean(self) -> dict[str, Any]:
        self.cleaned_data["account_code"] = ""
        return super().clean()


class VoidForm(forms.Form):
    """A confirmation: the person must type `words`."""

    typed = TextField(max_length=255)

    def __init__(self, words: str, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.words = words
        self.fields["typed"].label = f"Type {words} to confirm"
        self.fields["typed"].widget.attrs["autocomplete"] = "off"

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"]
        if name_key(typed) != name_key(self.words):
            raise ValidationError(f"Type {self.words} exactly.")
        return typed
