"""The rules for writing payments, and their effect on the invoice."""

from decimal import Decimal

from xero.sandbox.accounting import locks
from xero.sandbox.accounting.amounts import ZERO, cents
from xero.sandbox.accounting.errors import Invalid, NotFound, Reason
from xero.sandbox.accounting.invoices import with_payments
from xero.sandbox.accounting.ledger import Document
from xero.sandbox.accounting.lines import LIMIT
from xero.sandbox.accounting.rates import rate_errors
from xero.sandbox.accounting.work import Work


def create(work: Work, given: Document) -> Document:
    if "PaymentID" in given:
        if work.find("payment", given["PaymentID"]) is None:
            raise Invalid("Payment could not be found")
        return delete(work, given["PaymentID"], given)
    errors: list[str] = []
    invoice = _invoice(work, given, errors)
    account = _account(work, given, errors)
    amount = given.get("Amount", ZERO)
    errors += _amount_errors(amount, invoice)
    if "Date" not in given:
        errors.append("A Date must be specified for this payment.")
    else:
        errors += locks.date_errors(work, given["Date"])
    if len(given.get("Reference", "")) > 255:
        errors.append("The field Reference must be a string with a maximum length of 255.")
    if invoice and account:
        errors += _currency_errors(work, invoice, account) + rate_errors(_rate(given, invoice))
    if errors or invoice is None or account is None:
        raise Invalid(*errors)
    payment = _document(work, given, invoice, account, cents(amount))
    work.put("payment", payment, None)
    _book(work, invoice)
    return payment


def delete(work: Work, id: str, given: Document) -> Document:
    """Delete a payment by {"Status": "DELETED"}, the only change that Xero allows. The invoice is
    open again.
    """
    payment = work.find("payment", id)
    if payment is None:
        raise NotFound
    if given.get("Status") != "DELETED":
        raise Invalid("Payments can only be updated to the status DELETED.")
    if payment["Status"] == "DELETED":
        raise Invalid("This payment has already been deleted.")
    locks.refuse_locked_document(work, payment["Date"])
    payment = {**payment, "Status": "DELETED", "UpdatedDateUTC": work.now_ms}
    work.put("payment", payment, None)
    if "InvoiceID" in payment:
        _book(work, work.get("invoice", payment["InvoiceID"]))
    return payment


def of_invoice(work: Work, invoice_id: str) -> list[Document]:
    """Return the payments that are not deleted, oldest first."""
    standing = [
        one
        for one in work.all_with("payment", "InvoiceID", invoice_id)
        if one["Status"] != "DELETED"
    ]
    return sorted(standing, key=lambda payment: (payment["Date"], payment["PaymentID"]))


def _book(work: Work, invoice: Document) -> None:
    payments = of_invoice(work, invoice["InvoiceID"])
    paid = sum((payment["Amount"] for payment in payments), ZERO)
    last = max((payment["Date"] for payment in payments), default=None)
    work.put(
        "invoice", with_payments(invoice, paid, last) | {"UpdatedDateUTC": work.now_ms}, "UPDATE"
    )


def _invoice(work: Work, given: Document, errors: list[str]) -> Document | None:
    if {"CreditNote", "Prepayment", "Overpayment"} & given.keys():
        errors.append(
            "Payments on credit notes, prepayments and overpayments are not supported by the sandbox."
        )
        return None
    named = given.get("Invoice", {})
    found = work.find("invoice", named.get("InvoiceID"))
    if found is None and "InvoiceID" not in named and named.get("InvoiceNumber"):
        numbered = work.all_with("invoice", "InvoiceNumber", named["InvoiceNumber"])
        # of several with one number, the one that can be paid
        found = next(
            (one for one in numbered if one["Status"] == "AUTHORISED"),
            numbered[0] if numbered else None,
        )
    if found is None:
        errors.append(
            "Invoice could not be found" if named else "Payment must be made against an Invoice"
        )
        return None
    if found["Status"] not in {"AUTHORISED", "PAID"}:
        errors.append("Payments can only be made against Authorised documents")
        return None
    return found


def _account(work: Work, given: Document, errors: list[str]) -> Document | None:
    named = given.get("Account", {})
    found = work.find("account", named.get("AccountID"))
    if found is None and "AccountID" not in named and named.get("Code"):
        found = next(iter(work.all_with("account", "Code", named["Code"])), None)
    if found is None:
        text = (
            "Account could not be found"
            if named
            else "An Account must be specified for this payment."
        )
        errors.append(Reason(text, "Account"))
        return None
    if found["Status"] != "ACTIVE":
        errors.append(
            Reason("The account has been archived and cannot be used for payments.", "Account")
        )
        return None
    if found["Type"] != "BANK" and not found["EnablePaymentsToAccount"]:
        errors.append(Reason("Account type is invalid for making payments", "Account"))
        return None
    return found


def _amount_errors(amount: Decimal, invoice: Document | None) -> list[str]:
    if amount <= 0 or amount >= LIMIT:
        return ["The payment amount must be greater than zero."]
    if amount != cents(amount):
        return ["The payment amount can have at most 2 decimal places."]
    if invoice and amount > invoice["AmountDue"]:
        return ["Payment amount exceeds the amount outstanding on this document"]
    return []


def _currency_errors(work: Work, invoice: Document, account: Document) -> list[str]:
    currency = account.get("CurrencyCode", work.organisation.base_currency)
    if currency in {invoice["CurrencyCode"], work.organisation.base_currency}:
        return []
    return [
        "The currency of the account must be that of the document or the base currency of the organisation."
    ]


def _rate(given: Document, invoice: Document) -> Decimal:
    rate: Decimal = given["CurrencyRate"] if "CurrencyRate" in given else invoice["CurrencyRate"]
    return rate


def _document(
    work: Work, given: Document, invoice: Document, account: Document, amount: Decimal
) -> Document:
    rate = _rate(given, invoice)
    same = account.get("CurrencyCode", work.organisation.base_currency) == invoice["CurrencyCode"]
    return {
        "PaymentID": str(work.new_id()),
        "InvoiceID": invoice["InvoiceID"],
        "AccountID": account["AccountID"],
        "Date": given["Date"],
        "Amount": amount,
        "BankAmount": amount if same else cents(amount / rate),
        "CurrencyRate": rate,
        "Reference": given.get("Reference", ""),
        "PaymentType": invoice["Type"] + "PAYMENT",
        "Status": "AUTHORISED",
        "IsReconciled": given.get("IsReconciled", False),
        "UpdatedDateUTC": work.now_ms,
        "Actor": work.actor,
    }
