"""Changes that only people make inside Xero and no API offers: settings, merging contacts, credits,
refunds.
"""

from decimal import Decimal
from typing import Any

from xero.sandbox.accounting.amounts import cents
from xero.sandbox.accounting.invoices import with_payments
from xero.sandbox.accounting.work import BY_HAND
from xero.sandbox.world import World

CREDITS = {"credit-note": "CreditNote", "overpayment": "Overpayment", "prepayment": "Prepayment"}
# By kind and whether a customer is refunded; the others are suppliers that give money back.
REFUNDS = {
    ("credit-note", True): "ARCREDITPAYMENT",
    ("credit-note", False): "APCREDITPAYMENT",
    ("overpayment", True): "AROVERPAYMENTPAYMENT",
    ("overpayment", False): "APOVERPAYMENTPAYMENT",
    ("prepayment", True): "ARPREPAYMENTPAYMENT",
    ("prepayment", False): "APPREPAYMENTPAYMENT",
}


def change_organisation(world: World, tenant_id: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Change Name, LegalName, Timezone, BaseCurrency, lock dates …; no webhook reports them."""
    world.books.change(tenant_id, **fields)
    return dict(world.organisations[tenant_id].document)


def merge_contacts(world: World, tenant_id: str, contact: str, into: str) -> dict[str, Any]:
    """Archive a contact that then names another, which gets its documents.

    Those documents do not count as changed.
    """
    work = world.books.work(tenant_id, BY_HAND)
    merged, kept = work.get("contact", contact), work.get("contact", into)
    gone = {"ContactStatus": "ARCHIVED", "MergedToContactID": into, "UpdatedDateUTC": work.now_ms}
    work.put("contact", merged | gone, "UPDATE")
    work.put("contact", kept | {"UpdatedDateUTC": work.now_ms}, "UPDATE")
    for payment in work.all_with("payment", "ContactID", contact):
        work.put("payment", payment | {"ContactID": into}, None)
    documents = work.all_with("invoice", "ContactID", contact)
    for document in documents:
        work.put("invoice", document | {"ContactID": into}, None)
    world.outbox.record(tenant_id, work.commit())
    return {"documents": len(documents)}


def credit_invoice(
    world: World, tenant_id: str, invoice: str, kind: str, amount: Any, date: str, number: str = ""
) -> dict[str, Any]:
    """Set a credit note, overpayment or prepayment off against an invoice. Only credit notes have
    numbers.
    """
    work = world.books.work(tenant_id, BY_HAND)
    found, applied = work.get("invoice", invoice), Decimal(str(amount))
    credit = {
        "Kind": CREDITS[kind],
        "ID": str(work.new_id()),
        "Number": number,
        "Date": date,
        "Amount": applied,
    }
    credited = {
        "Credits": [*found.get("Credits", []), credit],
        "AmountCredited": found["AmountCredited"] + applied,
        "UpdatedDateUTC": work.now_ms,
    }
    work.put("invoice", with_payments(found | credited, found["AmountPaid"], date), "UPDATE")
    world.outbox.record(tenant_id, work.commit())
    return {"id": credit["ID"]}


def refund(
    world: World,
    tenant_id: str,
    contact: str,
    kind: str,
    amount: Any,
    date: str,
    sale: bool = True,
    number: str = "",
    currency: str = "",
    rate: Any = 1,
) -> dict[str, Any]:
    """Pay a credit note, overpayment or prepayment out from the first bank account. No webhook
    reports it.
    """
    work = world.books.work(tenant_id, BY_HAND)
    work.get("contact", contact)
    account = work.all_with("account", "Code", "090")[0]
    paid, exchange = Decimal(str(amount)), Decimal(str(rate))
    document = {
        "Kind": CREDITS[kind],
        "ID": str(work.new_id()),
        "Number": number,
        "CurrencyCode": currency or work.organisation.base_currency,
    }
    payment = {
        "PaymentID": str(work.new_id()),
        "ContactID": contact,
        "AccountID": account["AccountID"],
        "Date": date,
        "Amount": paid,
        "BankAmount": cents(paid / exchange),
        "CurrencyRate": exchange,
        "Reference": "",
        "PaymentType": REFUNDS[kind, sale],
        "Status": "AUTHORISED",
        "IsReconciled": False,
        "UpdatedDateUTC": work.now_ms,
        "Actor": BY_HAND,
        "Refunded": document,
    }
    work.put("payment", payment, None)
    world.outbox.record(tenant_id, work.commit())
    return {"id": payment["PaymentID"], "document": document["ID"]}
