"""The rules for writing invoices (ACCREC) and bills (ACCPAY)."""

from decimal import Decimal
from urllib.parse import urlsplit

from xero.sandbox.accounting import contacts, lines, locks
from xero.sandbox.accounting.amounts import ZERO
from xero.sandbox.accounting.errors import Invalid, NotFound
from xero.sandbox.accounting.ledger import NUMBER_PREFIX, Document
from xero.sandbox.accounting.rates import day_rate, rate_errors
from xero.sandbox.accounting.work import Work

CREATABLE = {"DRAFT", "SUBMITTED", "AUTHORISED"}
MOVES = {
    "DRAFT": {"DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"},
    "SUBMITTED": {"SUBMITTED", "AUTHORISED", "DRAFT", "DELETED"},
    "AUTHORISED": {"AUTHORISED", "VOIDED"},
    "PAID": {"PAID"},
    "VOIDED": set[str](),
    "DELETED": set[str](),
}
NOT_MODIFIABLE = "Invoice not of valid status for modification"
ALLOCATED = "This document cannot be edited as it has a payment or credit note allocated to it."
# what a part or fully paid document still lets one change (Xero, 19 March 2026)
OPEN_WHEN_PAID = {
    "Reference", "DueDate", "InvoiceNumber", "BrandingThemeID", "ContactID", "Url", "PlannedPaymentDate",
    "ExpectedPaymentDate", "SentToContact", "LineItems",
}  # fmt: skip
OPEN_IN_PAID_LINE = {"Description", "AccountCode", "Tracking", "AccountID"}
# Xero's documented hole: these edits of a part-paid document do not move UpdatedDateUTC
SILENT_WHEN_PAID = {"DueDate", "SentToContact"}
_PLAIN = (
    "Date",
    "DueDate",
    "ExpectedPaymentDate",
    "PlannedPaymentDate",
    "LineAmountTypes",
    "InvoiceNumber",
    "Url",
)


def create(work: Work, given: Document, unitdp: int) -> Document:
    """Create an invoice by the rules of PUT. Messages of all rules are gathered, as Xero does."""
    errors = _errors_before(given)
    if errors:
        raise Invalid(*errors)
    invoice = {
        "InvoiceID": str(work.new_id()),
        "Type": given["Type"],
        "Status": given.get("Status", "DRAFT"),
        "InvoiceNumber": given.get("InvoiceNumber", ""),
        "Reference": "",
        "Date": given.get("Date", work.today),
        "LineAmountTypes": given.get("LineAmountTypes", "Exclusive"),
        "SentToContact": False,
        "AmountPaid": ZERO,
        "AmountCredited": ZERO,
        "Actor": work.actor,
    }
    if invoice["Type"] == "ACCREC" and not invoice["InvoiceNumber"]:
        invoice["InvoiceNumber"] = next_number(work)
    contact = contacts.for_invoice(work, given.get("Contact"))
    invoice["ContactID"] = contact["ContactID"]
    currency = (
        given.get("CurrencyCode")
        or contact.get("DefaultCurrency")
        or work.organisation.base_currency
    )
    given = given | {"CurrencyCode": currency}
    _take(work, invoice, given)
    invoice["LineItems"] = given["LineItems"]
    invoice = _checked(work, invoice, lines.merge([], given["LineItems"]), unitdp)
    return work.put("invoice", _settled(invoice) | {"UpdatedDateUTC": work.now_ms}, "CREATE")


def create_or_update(work: Work, given: Document, unitdp: int) -> Document:
    """Write an invoice by the rules of POST: matched by InvoiceID, else by number.

    A bill is matched by its number within its contact.
    """
    existing = match(work, given)
    return (
        create(work, given, unitdp) if existing is None else update(work, existing, given, unitdp)
    )


def update_by_id(work: Work, id: str, given: Document, unitdp: int) -> Document:
    existing = work.find("invoice", id)
    if existing is None:
        raise NotFound
    return update(work, existing, given, unitdp)


def match(work: Work, given: Document) -> Document | None:
    if "InvoiceID" in given:
        found = work.find("invoice", given["InvoiceID"])
        if found is None:
            raise Invalid("The invoice with the specified InvoiceID could not be found")
        return found
    number, type_ = given.get("InvoiceNumber", ""), given.get("Type")
    numbered = [
        one
        for one in work.all_with("invoice", "InvoiceNumber", number)
        if number and type_ in (None, one["Type"])
    ]
    if type_ == "ACCPAY":
        contact = contacts.match(work, given.get("Contact", {}))
        numbered = [one for one in numbered if contact and one["ContactID"] == contact["ContactID"]]
    return next((one for one in numbered if one["Status"] != "DELETED"), None)


def update(work: Work, existing: Document, given: Document, unitdp: int) -> Document:
    if not MOVES[existing["Status"]]:
        raise Invalid(NOT_MODIFIABLE)
    if given.get("Type", existing["Type"]) != existing["Type"]:
        raise Invalid("The Type of an existing invoice cannot be changed.")
    status: str = given.get("Status") or existing["Status"]
    _refuse_move(existing, status)
    locks.refuse_locked_document(work, existing["Date"])
    if status in {"VOIDED", "DELETED"}:
        return work.put(
            "invoice", _closed(existing, status) | {"UpdatedDateUTC": work.now_ms}, "UPDATE"
        )
    invoice = {**existing, "Status": status}
    if given.get("Contact"):
        invoice["ContactID"] = contacts.for_invoice(work, given["Contact"])["ContactID"]
    _take(work, invoice, given)
    if has_payments(existing):
        _refuse_edit_of_paid(existing, invoice, given)
    merged = _lines_to_check(existing, invoice, given)
    invoice = _settled(_checked(work, invoice, merged, unitdp))
    silent = has_payments(existing) and changed_fields(existing, invoice) <= SILENT_WHEN_PAID
    return work.put(
        "invoice", invoice if silent else invoice | {"UpdatedDateUTC": work.now_ms}, "UPDATE"
    )


def has_payments(invoice: Document) -> bool:
    return bool(invoice["AmountPaid"] or invoice["AmountCredited"] or invoice["Status"] == "PAID")


def changed_fields(before: Document, after: Document) -> set[str]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def next_number(work: Work) -> str:
    return f"{NUMBER_PREFIX}{work.highest_number + 1:04d}"


def with_payments(invoice: Document, paid: Decimal, last_paid: str | None) -> Document:
    """Return the invoice with payments of `paid` in total, the last of them dated `last_paid`."""
    due = invoice["Total"] - paid - invoice["AmountCredited"]
    out = {
        **invoice,
        "AmountPaid": paid,
        "AmountDue": due,
        "Status": "AUTHORISED" if due else "PAID",
    }
    out.pop("FullyPaidOnDate", None)
    return out if due else out | {"FullyPaidOnDate": last_paid or invoice["Date"]}


def _errors_before(given: Document) -> list[str]:
    errors = []
    if given.get("Type") not in {"ACCREC", "ACCPAY"}:
        errors.append("A valid Type (ACCREC or ACCPAY) must be specified for this invoice.")
    if given.get("Status", "DRAFT") not in CREATABLE:
        errors.append("Invoice not of valid status for creation")
    if not given.get("Contact"):
        errors.append("A Contact must be specified for this type of transaction")
    if not given.get("LineItems"):
        errors.append("One or more line items must be specified")
    return errors


def _refuse_move(existing: Document, status: str) -> None:
    if status in MOVES[existing["Status"]]:
        if status == "VOIDED" and has_payments(existing):
            raise Invalid(ALLOCATED)
        return
    if has_payments(existing) and status in {"DRAFT", "SUBMITTED"}:
        held = "because it has payments or credit notes allocated to it."
        raise Invalid(f"The status {status} cannot be applied to the invoice {held}")
    raise Invalid(NOT_MODIFIABLE)


def _take(work: Work, invoice: Document, given: Document) -> None:
    """Copy what was sent into `invoice`, in place."""
    for field in _PLAIN:
        if field in given:
            invoice[field] = given[field]
    if invoice["Type"] == "ACCREC" and "Reference" in given:
        invoice["Reference"] = given["Reference"]  # bills have none
    if "BrandingThemeID" in given:
        invoice["BrandingThemeID"] = given["BrandingThemeID"]
    if "SentToContact" in given and invoice["Status"] in {"AUTHORISED", "PAID"}:
        invoice["SentToContact"] = given["SentToContact"]
    if given.get("CurrencyCode"):
        moved = given["CurrencyCode"].upper() != invoice.get("CurrencyCode")
        invoice["CurrencyCode"] = given["CurrencyCode"].upper()
        if moved:
            invoice["CurrencyRate"] = day_rate(
                work.organisation.base_currency, invoice["CurrencyCode"]
            )
    if "CurrencyRate" in given and invoice["CurrencyCode"] != work.organisation.base_currency:
        invoice["CurrencyRate"] = given["CurrencyRate"]


def _checked(
    work: Work, invoice: Document, given_lines: list[Document] | None, unitdp: int
) -> Document:
    """Return the invoice with lines and totals. With `given_lines` None the lines stay as they
    are.
    """
    errors = _document_errors(work, invoice)
    try:
        if given_lines is not None:
            invoice = invoice | {"LineItems": lines.complete(work, invoice, given_lines, unitdp)}
    except Invalid as problem:
        raise Invalid(*errors, *problem.reasons) from None
    found = lines.sums(invoice)
    if found.total < 0 and invoice["Status"] != "DRAFT":
        errors.append("The document total cannot be negative.")
    if abs(found.total) >= lines.LIMIT:
        errors.append("The document total is out of range.")
    if errors:
        raise Invalid(*errors)
    return invoice | {
        "SubTotal": found.sub_total,
        "TotalTax": found.total_tax,
        "Total": found.total,
        "TotalDiscount": found.total_discount,
    }


def _document_errors(work: Work, invoice: Document) -> list[str]:
    errors = []
    if invoice["Status"] != "DRAFT" and not invoice.get("DueDate"):
        errors.append("A Due Date must be specified for this type of transaction")
    if len(invoice["InvoiceNumber"]) > 255:
        errors.append("The field InvoiceNumber must be a string with a maximum length of 255.")
    if len(invoice["Reference"]) > 255:
        errors.append("The field Reference must be a string with a maximum length of 255.")
    if invoice["Type"] == "ACCREC" and _number_taken(work, invoice):
        errors.append("Invoice # must be unique.")
    rate = invoice.get("CurrencyRate")
    if rate is None:
        errors.append(f"Organisation is not subscribed to currency {invoice['CurrencyCode'][:20]}")
    else:
        errors += rate_errors(rate)
    errors += locks.date_errors(work, invoice["Date"])
    if invoice.get("Url") and not _is_address(invoice["Url"]):
        errors.append("The Url must be an absolute address.")
    return errors


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and len(url) <= 2000


def _number_taken(work: Work, invoice: Document) -> bool:
    return any(
        other["InvoiceID"] != invoice["InvoiceID"]
        and other["Type"] == "ACCREC"
        and other["Status"] != "DELETED"
        for other in work.all_with("invoice", "InvoiceNumber", invoice["InvoiceNumber"])
    )


def _lines_to_check(
    existing: Document, invoice: Document, given: Document
) -> list[Document] | None:
    if "LineItems" in given:
        if not given["LineItems"]:
            raise Invalid("One or more line items must be specified")
        return lines.merge(existing["LineItems"], given["LineItems"])
    moved = existing["LineAmountTypes"] != invoice["LineAmountTypes"]
    untaxed = [
        {key: line[key] for key in line if key != "TaxAmount"} for line in existing["LineItems"]
    ]
    return [line | {"Kept": True} for line in (untaxed if moved else existing["LineItems"])]


def _refuse_edit_of_paid(existing: Document, invoice: Document, given: Document) -> None:
    touched = changed_fields(existing, invoice) - {"Status"}
    if touched - OPEN_WHEN_PAID:
        raise Invalid(ALLOCATED)
    by_id = {line["LineItemID"]: line for line in existing["LineItems"]}
    sent: list[Document] = given["LineItems"] if "LineItems" in given else existing["LineItems"]
    for line in sent:
        before = by_id.pop(line.get("LineItemID", ""), None)
        if before is None:
            raise Invalid(
                "To update fields on a paid invoice line item, you must supply a LineItemID"
            )
        if {key for key, value in line.items() if value != before.get(key)} - OPEN_IN_PAID_LINE:
            raise Invalid(ALLOCATED)
    if by_id:
        raise Invalid(ALLOCATED)


def _closed(existing: Document, status: str) -> Document:
    return {**existing, "Status": status, "AmountDue": ZERO}


def _settled(invoice: Document) -> Document:
    """Set AmountDue, and the status PAID for an approved document with nothing due."""
    due = invoice["Total"] - invoice["AmountPaid"] - invoice["AmountCredited"]
    out = {**invoice, "AmountDue": due}
    if out["Status"] == "AUTHORISED" and not due:
        return out | {"Status": "PAID", "FullyPaidOnDate": invoice["Date"]}
    return out
