"""The actions' own forms, dressed for a page: names instead of ids, selects of the local copy, one
row per line.

Whatever is chosen must be of the organisation that the form is for; everything else is not found.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.core.exceptions import ValidationError
from django.utils.safestring import SafeString

from connections.models import Connection
from taskjuice.form_sizes import MOST_LINES
from xero.documents import choices
from xero.documents.tax_rates import TaxRate
from xero.fields import TextField, TrackingField
from xero.forms import (
    ACCPAY,
    CreateContactForm,
    CreateInvoiceForm,
    CreatePaymentForm,
    LineForm,
    LinesField,
    LinesWidget,
    is_blank,
)
from xero.models import Contact, Invoice
from xero.names import name_key
from xero.sync.contact_names import contact_called
from xero.totals import Totals, totals

LINE_FIELDS = (
    "item_code",
    "description",
    "quantity",
    "unit_amount",
    "discount_rate",
    "account_code",
    "tax_type",
)
FIRST_ROWS = 3
MOST_SHOWN = 2 * MOST_LINES


class OnceForm(forms.Form):
    """What makes a page's form write once, however often it is sent."""

    form_key = forms.UUIDField(widget=forms.HiddenInput)

    @staticmethod
    def new_key() -> UUID:
        return uuid4()


class Offer:
    """What an organisation offers to the lines of a document; read once per request."""

    def __init__(self, connection: Connection, type: str, rates: Mapping[str, TaxRate]) -> None:
        self.connection, self.type, self.rates = connection, type, rates
        self._items: dict[str, dict[str, Any] | None] = {}

    @cached_property
    def accounts(self) -> list[tuple[str, list[choices.Choice]]]:
        return choices.line_accounts(self.connection, self.type)

    @cached_property
    def taxes(self) -> list[choices.Choice]:
        fitting = [rate for rate in self.rates.values() if rate.fits(self.type)]
        return [(rate.type, rate.name) for rate in sorted(fitting, key=lambda rate: rate.name)]

    @cached_property
    def tracking(self) -> list[tuple[str, list[str]]]:
        return choices.tracking(self.connection)

    @cached_property
    def account_codes(self) -> set[str]:
        return choices.account_codes(self.connection)

    @cached_property
    def account_taxes(self) -> dict[str, str]:
        return choices.account_taxes(self.connection)

    def item(self, code: str) -> dict[str, Any] | None:
        """What the item of this code brings into a line."""
        if code not in self._items:
            self._items[code] = choices.item_fields(self.connection, code, self.type)
        return self._items[code]


class RowForm(LineForm):
    """One row of the page's table. `quiet`: while it is being filled in it shows no errors."""

    def __init__(
        self, offer: Offer, number: int, values: Mapping[str, Any], *, quiet: bool = False
    ) -> None:
        prefix = f"lines-{number}"
        blank = is_blank(values)
        data = (
            None
            if blank or quiet
            else {f"{prefix}-{name}": value for name, value in values.items()}
        )
        super().__init__(data, prefix=prefix, initial=dict(values) or {"quantity": "1"})
        self.offer, self.number, self.blank = offer, number, blank
        self._dress()

    def _dress(self) -> None:
        of_line = f"of line {self.number + 1}"
        for name in LINE_FIELDS:
            self.fields[name].widget.attrs["aria-label"] = f"{self.fields[name].label} {of_line}"
        area = {"rows": 1, "aria-label": f"Description {of_line}"}
        self.fields["description"].widget = forms.Textarea(attrs=area)
        self.fields["item_code"].widget.attrs |= {"list": "items", "autocomplete": "off"}
        self._choose("account_code", self.offer.accounts, of_line)
        self._choose("tax_type", self.offer.taxes, of_line)

    def _choose(self, name: str, offered: Sequence[Any], of_line: str) -> None:
        """A select that also shows what was given although it is not offered."""
        value = str(self[name].value() or "")
        flat = {code for _, group in offered if isinstance(group, list) for code, _ in group}
        flat |= {code for code, label in offered if isinstance(label, str)}
        extra = [(value, value)] if value and value not in flat else []
        label = self.fields[name].label
        widget = forms.Select(
            attrs={"aria-label": f"{label} {of_line}"}, choices=[("", "–"), *extra, *offered]
        )
        self.fields[name].widget = widget

    @cached_property
    def tracking_selects(self) -> list[SafeString]:
        """One per category, all of one name; what was given and is not offered is shown as well."""
        try:
            given = {
                one["name"]: one["option"]
                for one in TrackingField(required=False).clean(self["tracking"].value())
            }
        except ValidationError:  # nothing that a select could show
            given = {}
        offered = dict(self.offer.tracking)
        names = [*offered, *(name for name in given if name not in offered)]
        return [
            self._tracking_select(name, offered.get(name, []), given.get(name, ""))
            for name in names
        ]

    def _tracking_select(self, name: str, options: Sequence[str], given: str) -> SafeString:
        shown = [*options, *([given] if given and given not in options else [])]
        pairs = [(TrackingField.pair(name, option), option) for option in shown]
        label = f"{name} of line {self.number + 1}"
        widget = forms.Select(choices=[("", f"{name} –"), *pairs], attrs={"aria-label": label})
        return widget.render(
            f"{self.prefix}-tracking", TrackingField.pair(name, given) if given else ""
        )

    def clean_tracking(self) -> list[dict[str, str]]:
        given: list[dict[str, str]] = self.cleaned_data["tracking"]
        offered = {(name, option) for name, options in self.offer.tracking for option in options}
        if any((one["name"], one["option"]) not in offered for one in given):
            raise ValidationError("No such tracking option.")
        return given

    def clean_item_code(self) -> str:
        code: str = self.cleaned_data["item_code"].strip()
        if not code:
            return ""
        item = self.offer.item(code)
        if item is None:
            raise ValidationError("No such item.")
        return str(item["item_code"])

    def clean_account_code(self) -> str:
        code: str = self.cleaned_data["account_code"]
        if code and code not in self.offer.account_codes:
            raise ValidationError("No such account.")
        return code

    def clean_tax_type(self) -> str:
        type: str = self.cleaned_data["tax_type"]
        if type and self.offer.rates and type not in self.offer.rates:
            raise ValidationError("No such tax rate.")
        return type

    @property
    def is_unreadable(self) -> bool:
        """Its numbers are none."""
        return bool(self.errors.keys() & {"quantity", "unit_amount", "discount_rate"})

    def for_preview(self) -> dict[str, Any] | None:
        """The values, completed as Xero would: from the item, then from the account. None: nothing
        to reckon with.
        """
        if self.blank or self.is_unreadable:
            return None
        item = self.offer.item(self.cleaned_data.get("item_code", "")) or {}
        line = {name: self.cleaned_data.get(name) for name in LINE_FIELDS}
        line |= {name: item.get(name) for name, value in line.items() if value in (None, "")}
        line["unit_amount"] = None if line["unit_amount"] is None else Decimal(line["unit_amount"])
        line["tax_type"] = line["tax_type"] or self.offer.account_taxes.get(
            line["account_code"] or "", ""
        )
        return line


class RowsField(LinesField):
    """Refuses what the organisation does not have as well; the rows themselves show their errors."""

    def __init__(self, offer: Offer) -> None:
        super().__init__(label="Lines", error_messages={"required": "Fill in at least one line."})
        self.offer = offer

    def clean(self, value: Any) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = super().clean(value)
        rows = [RowForm(self.offer, number, row) for number, row in enumerate(self.rows(value))]
        problems = [
            f"Line {row.number + 1}, {row.fields[name].label}: {error}"
            for row in rows
            for name, errors in row.errors.items()
            for error in errors
        ]
        if problems:
            raise ValidationError(problems)
        return lines


class DocumentForm(OnceForm, CreateInvoiceForm):
    """An invoice or a bill. `contact_name` is looked up in the local copy; a new one needs the
    person's word.
    """

    new_contact = forms.BooleanField(label="Add as a new contact", required=False)

    def __init__(self, offer: Offer, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.offer = offer
        self.is_bill = offer.type == ACCPAY
        self.unknown_contact = ""
        for name in ("type", "contact_id", "branding_theme_id", "sent_to_contact"):
            self.fields[name].disabled = True  # decided here, never taken from a browser
        self.fields["type"].initial = offer.type
        self.fields["lines"] = RowsField(offer)
        self.fields["line_amount_types"].required = True
        contact = self.fields["contact_name"]
        contact.label, contact.help_text, contact.required = (
            ("From" if self.is_bill else "To"),
            "",
            False,
        )
        if self.is_bill:
            self.fields["number"].help_text = "The supplier’s own."
            del self.fields["reference"]

    def add_error(self, field: str | None, error: Any) -> None:
        """The contact is given by its name here."""
        super().add_error("contact_name" if field == "contact_id" else field, error)

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        cleaned.setdefault("reference", "")
        if name := cleaned.get("contact_name"):
            contact = contact_called(self.offer.connection, name)
            if contact is not None:
                cleaned["contact_id"], cleaned["contact_name"] = contact.xero_id, contact.name
            elif not cleaned.get("new_contact"):
                self.unknown_contact = name
                self.add_error(
                    "contact_name",
                    f"{self.offer.connection.name} has no contact of this name. Choose one, or add it.",
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
        self.known = contact_called(self.connection, name)
        if self.known is not None and self.known.status == "ACTIVE":
            raise ValidationError("There is a contact of this name already.")
        self.known = None
        return name


class PaymentPageForm(OnceForm, CreatePaymentForm):
    """`invoice` is the document of the local copy that the address names."""

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
            choices=[("", "Choose"), *choices.payment_accounts(invoice.connection)]
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
    """`words` is what the person must type."""

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


def posted_rows(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows as typed; of many times more than a document may have only the first are shown
    again.
    """
    return list(LinesWidget().value_from_datadict(data, {}, "lines") or [])[:MOST_SHOWN]


def row_forms(
    offer: Offer, values: Sequence[Mapping[str, Any]], *, quiet: bool = False
) -> list[RowForm]:
    return [RowForm(offer, number, row, quiet=quiet) for number, row in enumerate(values)]


def preview(offer: Offer, rows: Sequence[RowForm], amounts_are: str) -> Totals:
    """Of rows that are not quiet."""
    rates = {type: rate.rate for type, rate in offer.rates.items()}
    return totals([row.for_preview() for row in rows], rates, amounts_are)
