"""Xero's types of payments: the direction of the money, and the kind of document each is for.

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
    """A type of payment.

    `document_type`: Xero's type of the document; `refund`: what is refunded, as people read it.
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
    """Return the type's description; without direction or document for one that Xero added."""
    return TYPES.get(type, NEW)
