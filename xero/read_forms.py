"""The forms of the actions that read: lists with their filters, and single records by ID."""

import re

from django import forms
from django.core.exceptions import ValidationError

from xero.fields import (
    AnyCaseChoiceField,
    ExactAmountField,
    IdField,
    InstantField,
    RelativeDayField,
    TextField,
    WordsField,
)
from xero.forms import TYPES, StepForm

ALL_STATUSES = ("DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED")


class PagedForm(StepForm):
    search = TextField(label="Search", required=False, max_length=200)
    modified_since = InstantField(
        label="Changed since", required=False, help_text="Only what changed since then (UTC)."
    )
    order = TextField(
        label="Order",
        required=False,
        max_length=60,
        help_text="A field of Xero, such as Date DESC.",
    )
    page = forms.IntegerField(label="Page", required=False, min_value=1, max_value=100_000)
    page_size = forms.IntegerField(label="Per page", required=False, min_value=1, max_value=1000)

    def clean_order(self) -> str:
        order: str = self.cleaned_data["order"].strip()
        if order and not re.fullmatch(r"[A-Za-z.]{1,40}( (ASC|DESC))?", order, re.IGNORECASE):
            raise ValidationError("Give a field's name, and ASC or DESC after it if you like.")
        return order


class ListInvoicesForm(PagedForm):
    type = AnyCaseChoiceField(
        label="Type", required=False, choices=[("", "Invoices and bills"), *TYPES]
    )
    statuses = WordsField(label="Statuses", required=False, choices=ALL_STATUSES)
    contact_ids = WordsField(
        label="Contacts", required=False, uuids=True, help_text="Their IDs at Xero."
    )
    invoice_ids = WordsField(
        label="Invoices", required=False, uuids=True, help_text="Their IDs at Xero."
    )
    numbers = WordsField(label="Numbers", required=False, help_text="INV-0042, INV-0043")
    reference = TextField(label="Reference is", required=False, max_length=255)
    date_from = RelativeDayField(label="Dated from", required=False)
    date_to = RelativeDayField(label="Dated to", required=False)
    due_from = RelativeDayField(label="Due from", required=False)
    due_to = RelativeDayField(label="Due to", required=False)
    least_due = ExactAmountField(label="Amount due from", required=False)
    created_by_app = forms.BooleanField(label="Only those made by TaskJuice", required=False)
    include_archived = forms.BooleanField(label="Those of archived contacts too", required=False)
    summary = forms.BooleanField(
        label="Without lines and payments", required=False, help_text="Lighter and faster."
    )


class GetInvoiceForm(StepForm):
    invoice_id = IdField(label="Invoice", help_text="The invoice's ID at Xero.")


class GetContactForm(StepForm):
    contact_id = IdField(label="Contact", help_text="The contact's ID at Xero.")


class ListContactsForm(PagedForm):
    contact_ids = WordsField(
        label="Contacts", required=False, uuids=True, help_text="Their IDs at Xero."
    )
    name = TextField(label="Name is", required=False, max_length=255)
    email = TextField(label="E-mail is", required=False, max_length=255)
    include_archived = forms.BooleanField(label="Archived ones too", required=False)
    summary = forms.BooleanField(label="Without addresses and balances", required=False)


class ListAccountsForm(StepForm):
    types = WordsField(label="Types", required=False, help_text="BANK, REVENUE, EXPENSE …")
    account_class = AnyCaseChoiceField(
        label="Class",
        required=False,
        choices=[
            ("", "Any"),
            *(
                (name, name.title())
                for name in ("ASSET", "EQUITY", "EXPENSE", "LIABILITY", "REVENUE")
            ),
        ],
    )
    codes = WordsField(label="Codes", required=False)
    payments = forms.BooleanField(
        label="Only those that payments can go to",
        required=False,
        help_text="Bank and payment-enabled accounts.",
    )
    include_archived = forms.BooleanField(label="Archived ones too", required=False)
    modified_since = InstantField(label="Changed since", required=False)


class ListItemsForm(StepForm):
    codes = WordsField(label="Codes", required=False)
    search = TextField(label="Name or code contains", required=False, max_length=60)
    sold = forms.BooleanField(label="Only those sold", required=False)
    purchased = forms.BooleanField(label="Only those purchased", required=False)
    modified_since = InstantField(label="Changed since", required=False)
