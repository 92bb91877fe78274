"""Xero's types of payments: which way the money went, and what kind of document each is for.

Money received and money paid are different things and never added up in one total.
"""

from dataclasses import dataclass

RECEIVED, PAID = "received", "paid"
INVOICE, CREDIT_NOTE, OVERPAYMENT, PREPAYMENT = (
    "invoice",
    "credit-note",
    "overpayment",
    "prepayment",
)


@dataclass(frozen=True, slots=True)
class PaymentType:
    """`document_type`: how Xero calls the type of the document; `refund`: what is refunded, in
    words.
    """

    direction: str
    document: str
    document_type: str
    refund: str = ""


TYPES = {
    "ACCRECPAYMENT": PaymentType(RECEIVED, INVOICE, "ACCREC"),
    "ACCPAYPAYMENT": PaymentType(PAID, INVOICE, "ACCPAY"),
    "ARCREDITPAYMENT": PaymentType(PAID, CREDIT_NOTE, "ACCRECCREDIT", "Refund of a credit note"),
    "AROVERPAYMENTPAYMENT": PaymentType(
        PAID, OVERPAYMENT, "AROVERPAYMENT", "Refund of an overpayment"
    ),
    "ARPREPAYMENTPAYMENT": PaymentType(PAID, PREPAYMENT, "ARPREPAYMENT", "Refund of a prepayment"),
    "APCREDITPAYMENT": PaymentType(
        RECEIVED, CREDIT_NOTE, "ACCPAYCREDIT", "Refund of a supplier’s credit note"
    ),
    "APOVERPAYMENTPAYMENT": PaymentType(
        RECEIVED, OVERPAYMENT, "APOVERPAYMENT", "Refund from a supplier we overpaid"
    ),
    "APPREPAYMENTPAYMENT": PaymentType(
        RECEIVED, PREPAYMENT, "APPREPAYMENT", "Refund of a prepayment to a supplier"
    ),
}
NEW = PaymentType("", "", "")  # Xero's lists of types grow
TYPES_BY_DOCUMENT = {found.document_type: type for type, found in TYPES.items()}
REFUNDS = sorted(type for type, found in TYPES.items() if found.refund)


def describe_type(type: str) -> PaymentType:
    """Return what is known of the type; of a new one of Xero's, neither direction nor document."""
    return TYPES.get(type, NEW)
