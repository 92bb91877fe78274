"""The forms of Xero's actions: one per action, for its page, for a step's settings and for a step's
values at run time. Those of actions that read stand in xero/read_forms.py.

Names of fields are stored in steps and never renamed.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from xero.api import answers
from xero.fields import (
    AnyCaseChoiceField,
    ExactAmountField,
    IdField,
    RelativeDayField,
    TextField,
)
from xero.line_forms import LineForm, LinesField, is_blank
from xero.names import normalise_name

ACCREC, ACCPAY = "ACCREC", "ACCPAY"
TYPES = [(ACCREC, "Invoice (sale)"), (ACCPAY, "Bill (purchase)")]
STATUSES = [("DRAFT", "Draft"), ("SUBMITTED", "Awaiting approval"), ("AUTHORISED", "Approved")]
AMOUNTS_ARE = [("Exclusive", "Tax exclusive"), ("Inclusive", "Tax inclusive"), ("NoTax", "No tax")]
TERMS = [
    ("", "None"),
    ("DAYSAFTERBILLDATE", "days after the invoice date"),
    ("DAYSAFTERBILLMONTH", "days after the end of the invoice month"),
    ("OFCURRENTMONTH", "of the current month"),
    ("OFFOLLOWINGMONTH", "of the following month"),
]


FieldsByPhrase = tuple[tuple[str, str], ...]


class StepForm(forms.Form):
    """A form that shows Xero's own messages at the fields they are about."""

    # (what a message holds, in lower case; the field it belongs to), first match wins
    fields_by_phrase: ClassVar[FieldsByPhrase] = ()
    # the same for what Xero says of a part of the record: its lines, its addresses
    fields_by_part: ClassVar[Mapping[str, FieldsByPhrase]] = {}

    def add_refusal(self, messages: list[str]) -> None:
        """Add Xero's messages to the fields they are about, the others at the top of a
        valid form.
        """
        for message in messages:
            about, _, words = answers.split_position(message)
            spoken, lower = self.fields_by_part.get(about, self.fields_by_phrase), words.lower()
            field = next((name for part, name in spoken if part in lower), None)
            self.add_error(field if field in self.fields else None, message)


class CreateInvoiceForm(StepForm):
    """An invoice or a bill. On pages, `line_forms` are its rows, with their errors."""

    type = AnyCaseChoiceField(label="Type", required=False, choices=TYPES, initial=ACCREC)
    contact_id = IdField(label="Contact", required=False, help_text="The contact's ID at Xero.")
    contact_name = TextField(
        label="Contact's name",
        required=False,
        max_length=255,
        help_text="Used where no ID is given; made if new.",
    )
    date = RelativeDayField(
        label="Issue date", required=False, help_text="Today where it is left empty."
    )
    due_date = RelativeDayField(
        label="Due date", required=False, help_text="A date, or +30 or eom after the issue date."
    )
    number = TextField(
        label="Number",
        required=False,
        max_length=255,
        help_text="Xero gives an invoice the next one where it is empty.",
    )
    reference = TextField(label="Reference", required=False, max_length=255)
    currency = TextField(label="Currency", required=False, max_length=3)
    currency_rate = ExactAmountField(
        label="Exchange rate", required=False, places=6, above_zero=True
    )
    line_amount_types = AnyCaseChoiceField(
        label="Amounts are", required=False, choices=AMOUNTS_ARE, initial="Exclusive"
    )
    status = AnyCaseChoiceField(label="Status", required=False, choices=STATUSES, initial="DRAFT")
    branding_theme_id = IdField(label="Branding theme", required=False)
    expected_payment_date = RelativeDayField(label="Expected payment date", required=False)
    planned_payment_date = RelativeDayField(label="Planned payment date", required=False)
    sent_to_contact = forms.BooleanField(label="Mark as sent", required=False)
    lines = LinesField(label="Lines")

    fields_by_phrase = (
        ("contact", "contact_id"),
        ("invoice #", "number"),
        ("invoicenumber", "number"),
        ("due date", "due_date"),
        ("lock date", "date"),
        ("document date", "date"),
        ("reference", "reference"),
        ("currency", "currency"),
        ("line", "lines"),
        ("account", "lines"),
        ("tax", "lines"),
        ("item", "lines"),
        ("tracking", "lines"),
        ("description", "lines"),
    )
    fields_by_part: ClassVar[Mapping[str, FieldsByPhrase]] = {
        "line": (("", "lines"),),
        "contact": (("", "contact_id"),),
    }

    def clean_contact_name(self) -> str:
        return normalise_name(self.cleaned_data["contact_name"])

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].upper()
        if currency and not re.fullmatch("[A-Z]{3}", currency):
            raise ValidationError("Give the three letters of a currency, such as NZD.")
        return currency

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if (
            not cleaned.get("contact_id")
            and not cleaned.get("contact_name")
            and "contact_id" not in self.errors
        ):
            self.add_error(
                "contact_id",
                "Choose whom it is to." if self._is_sale else "Choose whom it is from.",
            )
        if (
            cleaned.get("status") != "DRAFT"
            and not cleaned.get("due_date")
            and "due_date" not in self.errors
        ):
            self.add_error("due_date", "Only a draft can do without a due date.")
        if cleaned.get("reference") and not self._is_sale:
            self.add_error("reference", "A bill has no reference at Xero; put it into its number.")
        return cleaned

    @property
    def _is_sale(self) -> bool:
        return self.cleaned_data.get("type") != ACCPAY

    @cached_property
    def line_forms(self) -> list[LineForm]:
        """Return the rows as bound forms, so that a page shows each with its own errors."""
        field = self.fields["lines"]
        assert isinstance(field, LinesField)
        try:
            rows = field.rows(self["lines"].value())
        except ValidationError:
            return []
        return [LineForm(row) if not is_blank(row) else LineForm(initial=dict(row)) for row in rows]


class CreateContactForm(StepForm):
    name = TextField(
        label="Name", max_length=255, help_text="Unique among the organisation's active contacts."
    )
    first_name = TextField(label="First name", required=False, max_length=255)
    last_name = TextField(label="Last name", required=False, max_length=255)
    email = forms.EmailField(label="E-mail", required=False, max_length=255)
    phone = TextField(label="Phone", required=False, max_length=50)
    mobile = TextField(label="Mobile", required=False, max_length=50)
    account_number = TextField(label="Account number", required=False, max_length=50)
    contact_number = TextField(
        label="Contact number",
        required=False,
        max_length=50,
        help_text="The contact's ID in another system; unique.",
    )
    company_number = TextField(label="Company number", required=False, max_length=50)
    tax_number = TextField(label="Tax number", required=False, max_length=50)
    address_line_1 = TextField(label="Address", required=False, max_length=500)
    address_line_2 = TextField(label="Address, second line", required=False, max_length=500)
    city = TextField(label="City", required=False, max_length=255)
    region = TextField(label="Region", required=False, max_length=255)
    postal_code = TextField(label="Postcode", required=False, max_length=50)
    country = TextField(label="Country", required=False, max_length=50)
    default_currency = TextField(label="Currency", required=False, max_length=3)
    sales_account_code = TextField(label="Account of sales", required=False, max_length=10)
    purchases_account_code = TextField(label="Account of purchases", required=False, max_length=10)
    sales_tax_type = TextField(label="Tax rate of sales", required=False, max_length=50)
    purchases_tax_type = TextField(label="Tax rate of purchases", required=False, max_length=50)
    sales_terms_day = forms.IntegerField(
        label="Invoices are due", required=False, min_value=0, max_value=999
    )
    sales_terms = AnyCaseChoiceField(label="Terms of invoices", required=False, choices=TERMS)
    bills_terms_day = forms.IntegerField(
        label="Bills are due", required=False, min_value=0, max_value=999
    )
    bills_terms = AnyCaseChoiceField(label="Terms of bills", required=False, choices=TERMS)

    fields_by_phrase = (
        ("contact number", "contact_number"),
        ("name", "name"),
        ("email", "email"),
        ("currency", "default_currency"),
        ("account code", "sales_account_code"),
        ("tax", "sales_tax_type"),
    )
    fields_by_part: ClassVar[Mapping[str, FieldsByPhrase]] = {
        "address": (
            ("country", "country"),
            ("postal", "postal_code"),
            ("city", "city"),
            ("region", "region"),
            ("addressline2", "address_line_2"),
            ("", "address_line_1"),
        ),
        "phone": (("", "phone"),),
        "payment terms": (("", "sales_terms_day"),),
    }

    def clean_name(self) -> str:
        name = normalise_name(self.cleaned_data["name"])
        if "<" in name or ">" in name:
            raise ValidationError("A name cannot hold angle brackets.")
        return name

    def clean(self) -> dict[str, Any]:
        for kind in ("sales", "bills"):
            day, terms = (
                self.cleaned_data.get(f"{kind}_terms_day"),
                self.cleaned_data.get(f"{kind}_terms"),
            )
            if (day is None) is bool(terms):
                self.add_error(
                    f"{kind}_terms_day", "Give both the number of days and what they count from."
                )
        return self.cleaned_data


class CreatePaymentForm(StepForm):
    """A payment of one invoice or bill. Without an amount it pays the amount due when it is
    sent.
    """

    invoice_id = IdField(label="Invoice or bill", help_text="Its ID at Xero.")
    account_id = IdField(
        label="Account",
        required=False,
        help_text="The ID of a bank account, or one that takes payments.",
    )
    account_code = TextField(
        label="Account's code",
        required=False,
        max_length=10,
        help_text="Used where no ID is given.",
    )
    amount = ExactAmountField(
        label="Amount",
        required=False,
        above_zero=True,
        help_text="All that is due where it is left empty.",
    )
    date = RelativeDayField(label="Date", required=False, help_text="Today where it is left empty.")
    reference = TextField(label="Reference", required=False, max_length=255)
    currency_rate = ExactAmountField(
        label="Exchange rate", required=False, places=6, above_zero=True
    )

    fields_by_phrase = (
        ("amount", "amount"),
        ("is due", "amount"),  # ours, of what is left to pay
        ("account", "account_id"),
        ("currency", "account_id"),
        ("lock date", "date"),
        ("date", "date"),
        ("reference", "reference"),
        ("document", "invoice_id"),
        ("invoice", "invoice_id"),
    )
    fields_by_part: ClassVar[Mapping[str, FieldsByPhrase]] = {"account": (("", "account_id"),)}

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if not (
            cleaned.get("account_id") or cleaned.get("account_code") or "account_id" in self.errors
        ):
            self.add_error("account_id", "Choose the account that the money goes to or comes from.")
        return cleaned
