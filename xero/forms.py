"""The forms of Xero's actions: one per action, for its page, for a step's settings and for a step's
values at run time.

Names of fields are stored in steps and never renamed. The names a form's page posts for lines are
`lines-0-description` and so on; a step gives `lines` as JSON: [{"description": …, "quantity": …,
"unit_amount": …, "account_code": …}].
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from taskjuice.form_sizes import MOST_LINES
from taskjuice.row_fields import RowsField
from xero.api import answers
from xero.fields import (
    AmountField,
    Chosen,
    DayField,
    IdField,
    InstantField,
    TextField,
    TrackingField,
    WordsField,
)
from xero.names import normalise_name
from xero.records.line_names import as_form_row

ACCREC, ACCPAY = "ACCREC", "ACCPAY"
TYPES = [(ACCREC, "Invoice (sale)"), (ACCPAY, "Bill (purchase)")]
STATUSES = [("DRAFT", "Draft"), ("SUBMITTED", "Awaiting approval"), ("AUTHORISED", "Approved")]
ALL_STATUSES = ("DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED")
AMOUNTS_ARE = [("Exclusive", "Tax exclusive"), ("Inclusive", "Tax inclusive"), ("NoTax", "No tax")]
TERMS = [
    ("", "None"),
    ("DAYSAFTERBILLDATE", "days after the invoice date"),
    ("DAYSAFTERBILLMONTH", "days after the end of the invoice month"),
    ("OFCURRENTMONTH", "of the current month"),
    ("OFFOLLOWINGMONTH", "of the following month"),
]


Spoken = tuple[tuple[str, str], ...]


class StepForm(forms.Form):
    """Shows Xero's own messages at the fields they speak of."""

    # (what a message holds, in lower case; the field it belongs to), first match wins
    speaks_of: ClassVar[Spoken] = ()
    # the same for what Xero says of a part of the record: its lines, its addresses
    speaks_of_part: ClassVar[Mapping[str, Spoken]] = {}

    def take_refusal(self, messages: list[str]) -> None:
        """Add what Xero said to the fields it speaks of, the rest at the top. Call it on a valid
        form.
        """
        for message in messages:
            about, _, words = answers.split_place(message)
            spoken, lower = self.speaks_of_part.get(about, self.speaks_of), words.lower()
            field = next((name for part, name in spoken if part in lower), None)
            self.add_error(field if field in self.fields else None, message)


# -- lists
# --------------------------------------------------------------------------------------------------------


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
    type = Chosen(label="Type", required=False, choices=[("", "Invoices and bills"), *TYPES])
    statuses = WordsField(label="Statuses", required=False, choices=ALL_STATUSES)
    contact_ids = WordsField(
        label="Contacts", required=False, uuids=True, help_text="Their IDs at Xero."
    )
    invoice_ids = WordsField(
        label="Invoices", required=False, uuids=True, help_text="Their IDs at Xero."
    )
    numbers = WordsField(label="Numbers", required=False, help_text="INV-0042, INV-0043")
    reference = TextField(label="Reference is", required=False, max_length=255)
    date_from = DayField(label="Dated from", required=False)
    date_to = DayField(label="Dated to", required=False)
    due_from = DayField(label="Due from", required=False)
    due_to = DayField(label="Due to", required=False)
    least_due = AmountField(label="Amount due from", required=False)
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
    account_class = Chosen(
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


# -- invoices and bills
# -------------------------------------------------------------------------------------------


class LineForm(forms.Form):
    """One line of a document."""

    item_code = TextField(label="Item", required=False, max_length=30)
    description = TextField(label="Description", required=False, max_length=4000, strip=False)
    quantity = AmountField(label="Quantity", required=False, places=4)
    unit_amount = AmountField(label="Unit price", required=False, places=4)
    discount_rate = AmountField(label="Discount %", required=False, places=4, least=Decimal(0))
    account_code = TextField(label="Account", required=False, max_length=10)
    tax_type = TextField(label="Tax rate", required=False, max_length=50)
    tracking = TrackingField(label="Tracking", required=False)

    def clean_discount_rate(self) -> Decimal | None:
        rate: Decimal | None = self.cleaned_data["discount_rate"]
        if rate is not None and rate > 100:
            raise ValidationError("A discount is at most 100 %.")
        return rate

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if not self.errors and not (cleaned.get("description") or cleaned.get("item_code")):
            self.add_error("description", "A line needs a description or an item.")
        return cleaned


class LinesWidget(forms.Widget):
    """Rows posted as `lines-0-description`, or all of them under the field's own name."""

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Any:
        if name in data:
            return data.get(name)
        rows: dict[int, dict[str, Any]] = {}
        for key in data:
            found = re.fullmatch(rf"{re.escape(name)}-(\d{{1,4}})-(\w+)", str(key), re.ASCII)
            if found and found[2] in LineForm.base_fields:
                rows.setdefault(int(found[1]), {})[found[2]] = _posted(data, key)
        return [rows[number] for number in sorted(rows)] or None


def _posted(data: Mapping[str, Any], key: str) -> Any:
    """A row's value; a list where the page has several fields of one name, empty ones left out."""
    if not isinstance(data, QueryDict) or len(data.getlist(key)) < 2:
        return data.get(key)
    return [value for value in data.getlist(key) if value]


class LinesField(RowsField):
    widget = LinesWidget
    row_form = LineForm
    most = MOST_LINES

    def rows(self, value: Any) -> list[Mapping[str, Any]]:
        """Return the rows, also where they are lines as Xero's own records hold them."""
        return [as_form_row(row) for row in super().rows(value)]

    def is_blank(self, row: Mapping[str, Any]) -> bool:
        return is_blank(row)


def line_rows(given: Any) -> list[Mapping[str, Any]]:
    """The rows of a step's lines, as typed; none where they are no rows."""
    try:
        return LinesField().rows(given)
    except ValidationError:
        return []


def is_blank(row: Mapping[str, Any]) -> bool:
    """A row nobody filled in; a quantity that the page suggests does not count."""
    return not any(str(value or "").strip() for name, value in row.items() if name != "quantity")


class CreateInvoiceForm(StepForm):
    """An invoice or a bill. On pages, `line_forms` are its rows, with their errors."""

    type = Chosen(label="Type", required=False, choices=TYPES, initial=ACCREC)
    contact_id = IdField(label="Contact", required=False, help_text="The contact's ID at Xero.")
    contact_name = TextField(
        label="Contact's name",
        required=False,
        max_length=255,
        help_text="Used where no ID is given; made if new.",
    )
    date = DayField(label="Issue date", required=False, help_text="Today where it is left empty.")
    due_date = DayField(
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
    currency_rate = AmountField(label="Exchange rate", required=False, places=6, above_zero=True)
    line_amount_types = Chosen(
        label="Amounts are", required=False, choices=AMOUNTS_ARE, initial="Exclusive"
    )
    status = Chosen(label="Status", required=False, choices=STATUSES, initial="DRAFT")
    branding_theme_id = IdField(label="Branding theme", required=False)
    expected_payment_date = DayField(label="Expected payment date", required=False)
    planned_payment_date = DayField(label="Planned payment date", required=False)
    sent_to_contact = forms.BooleanField(label="Mark as sent", required=False)
    lines = LinesField(label="Lines")

    speaks_of = (
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
    speaks_of_part: ClassVar[Mapping[str, Spoken]] = {
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
        """The rows as given, for the page: bound, so that each shows its own errors."""
        field = self.fields["lines"]
        assert isinstance(field, LinesField)
        try:
            rows = field.rows(self["lines"].value())
        except ValidationError:
            return []
        return [LineForm(row) if not is_blank(row) else LineForm(initial=dict(row)) for row in rows]


# -- contacts and payments
# ----------------------------------------------------------------------------------------


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
    sales_terms = Chosen(label="Terms of invoices", required=False, choices=TERMS)
    bills_terms_day = forms.IntegerField(
        label="Bills are due", required=False, min_value=0, max_value=999
    )
    bills_terms = Chosen(label="Terms of bills", required=False, choices=TERMS)

    speaks_of = (
        ("contact number", "contact_number"),
        ("name", "name"),
        ("email", "email"),
        ("currency", "default_currency"),
        ("account code", "sales_account_code"),
        ("tax", "sales_tax_type"),
    )
    speaks_of_part: ClassVar[Mapping[str, Spoken]] = {
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
    """A payment of one invoice or bill. Without an amount it pays what is due when it is sent."""

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
    amount = AmountField(
        label="Amount",
        required=False,
        above_zero=True,
        help_text="All that is due where it is left empty.",
    )
    date = DayField(label="Date", required=False, help_text="Today where it is left empty.")
    reference = TextField(label="Reference", required=False, max_length=255)
    currency_rate = AmountField(label="Exchange rate", required=False, places=6, above_zero=True)

    speaks_of = (
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
    speaks_of_part: ClassVar[Mapping[str, Spoken]] = {"account": (("", "account_id"),)}

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if not (
            cleaned.get("account_id") or cleaned.get("account_code") or "account_id" in self.errors
        ):
            self.add_error("account_id", "Choose the account that the money goes to or comes from.")
        return cleaned
