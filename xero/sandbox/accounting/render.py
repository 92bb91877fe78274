"""Documents as Xero's JSON.

Invoices have four views: "one" (get by id: whole contact), "page" (paged list: contact by name,
with lines), "list" (unpaged list: no lines) and "summary" (summaryOnly). Contacts: "one" and "page"
with balances, "list" without.
"""

from decimal import Decimal
from typing import Any

from xero.sandbox.accounting.amounts import ZERO, cents, round_to, unit_step
from xero.sandbox.accounting.ledger import Document, Organisation
from xero.sandbox.accounting.wire import date_on_wire, dump, instant_as_text, instant_on_wire

SIX_PLACES = Decimal("0.000001")
_CONTACT_TEXTS = (
    "ContactNumber", "AccountNumber", "ContactStatus", "Name", "FirstName", "LastName", "CompanyNumber", "EmailAddress",
    "BankAccountDetails", "TaxNumber", "AccountsReceivableTaxType", "AccountsPayableTaxType",
)  # fmt: skip
_CONTACT_DEFAULTS = (
    "DefaultCurrency", "XeroNetworkKey", "SalesDefaultAccountCode", "PurchasesDefaultAccountCode", "PaymentTerms",
    "SalesDefaultLineAmountType", "PurchasesDefaultLineAmountType",
)  # fmt: skip
_SUMMARY_DROPS = {
    "LineItems", "Payments", "CreditNotes", "Prepayments", "Overpayments", "HasAttachments", "HasErrors",
    "IsDiscounted", "TotalDiscount",
}  # fmt: skip


class Renderer:
    """The JSON of one organisation on one day (overdue depends on it), cached as bytes until a
    document changes.
    """

    def __init__(self, organisation: Organisation, today: str) -> None:
        self.organisation = organisation
        self.today = today

    def json(self, kind: str, id: str, view: str, unitdp: int) -> bytes:
        if (
            kind == "invoice" and view == "one"
        ):  # shows the whole contact, which other documents change
            return dump(self.document(kind, id, view, unitdp))
        name = f"{view}{unitdp}{self.today}" if kind == "contact" else f"{view}{unitdp}"
        found = self.organisation.cached(id, name)
        if found is None:
            found = dump(self.document(kind, id, view, unitdp))
            self.organisation.remember(id, name, found)
        return found

    def document(self, kind: str, id: str, view: str, unitdp: int) -> Document:
        """Render an organisation, account or item as Xero sends it: empty values are left out."""
        return _filled(self._whole(kind, id, view, unitdp))

    def _whole(self, kind: str, id: str, view: str, unitdp: int) -> Document:
        found = self.organisation.documents(kind)[id]
        if kind == "invoice":
            return self.invoice(found, view, unitdp)
        if kind == "payment":
            return self.payment(found, view, unitdp)
        if kind == "contact":
            return self.contact(found, view)
        if kind == "tracking":
            return tracking(found)
        return account(found) if kind == "account" else item(found, unitdp)

    def invoice(self, invoice: Document, view: str, unitdp: int) -> Document:
        contact = self.organisation.contacts[invoice["ContactID"]]
        out: Document = {
            "Type": invoice["Type"],
            "InvoiceID": invoice["InvoiceID"],
            "InvoiceNumber": invoice["InvoiceNumber"],
            "Reference": invoice["Reference"],
            "Payments": [
                self._payment_in_invoice(payment)
                for payment in self._payments(invoice["InvoiceID"])
            ],
            **_credits(invoice),
            **{
                name: invoice[name]
                for name in ("AmountDue", "AmountPaid", "AmountCredited", "SentToContact")
            },
            "CurrencyRate": round_to(invoice["CurrencyRate"], SIX_PLACES),
            "HasErrors": False,
            "IsDiscounted": bool(invoice["TotalDiscount"]),
            "HasAttachments": False,
            "Contact": self.contact(contact, "embedded")
            if view == "one"
            else _contact_summary(contact),
            **_dates(invoice),
            "Status": invoice["Status"],
            "LineAmountTypes": invoice["LineAmountTypes"],
            "LineItems": []
            if view == "list"
            else [line(one, unitdp) for one in invoice["LineItems"]],
            **{name: invoice[name] for name in ("SubTotal", "TotalTax", "Total")},
            **_updated(invoice["UpdatedDateUTC"]),
            "CurrencyCode": invoice["CurrencyCode"],
        }
        if invoice["TotalDiscount"]:
            out["TotalDiscount"] = invoice["TotalDiscount"]
        out |= {name: invoice[name] for name in ("Url", "BrandingThemeID") if invoice.get(name)}
        if view == "summary":
            return {key: value for key, value in out.items() if key not in _SUMMARY_DROPS}
        return out

    def contact(self, contact: Document, view: str) -> Document:
        """Render a contact. The `view` "embedded" is the contact inside an invoice, without
        balances.
        """
        roles = self._roles(contact["ContactID"])
        out: Document = {"ContactID": contact["ContactID"]}
        out |= {name: contact[name] for name in _CONTACT_TEXTS if contact.get(name)}
        if view != "summary":
            out |= {"Addresses": _addresses(contact), "Phones": _phones(contact)}
        out |= {
            "UpdatedDateUTC": instant_on_wire(contact["UpdatedDateUTC"]),
            "ContactGroups": [],
            "IsSupplier": "ACCPAY" in roles,
            "IsCustomer": "ACCREC" in roles,
            **{
                name: contact[name]
                for name in (*_CONTACT_DEFAULTS, "MergedToContactID")
                if contact.get(name)
            },
        }
        if view in {"one", "page"}:
            out |= self._balances(contact["ContactID"])
        if view != "summary":
            out |= {"ContactPersons": contact["ContactPersons"], "HasAttachments": False}
        return out | {"HasValidationErrors": False}

    def payment(self, payment: Document, view: str, unitdp: int) -> Document:
        """Render a payment. The `view` "one" has the whole invoice and the account's name, "page"
        only what identifies them.
        """
        account = self.organisation.accounts[payment["AccountID"]]
        shown = {name: account[name] for name in ("AccountID", "Code") if account.get(name)}
        return {
            "PaymentID": payment["PaymentID"],
            "Date": date_on_wire(payment["Date"]),
            "BankAmount": payment["BankAmount"],
            "Amount": payment["Amount"],
            "Reference": payment["Reference"],
            "CurrencyRate": round_to(payment["CurrencyRate"], SIX_PLACES),
            "PaymentType": payment["PaymentType"],
            "Status": payment["Status"],
            **_updated(payment["UpdatedDateUTC"]),
            "HasAccount": True,
            "IsReconciled": payment["IsReconciled"],
            "Account": shown | ({"Name": account["Name"]} if view == "one" else {}),
            **self._paid_document(payment, view, unitdp),
            "HasValidationErrors": False,
        }

    def _paid_document(self, payment: Document, view: str, unitdp: int) -> Document:
        """Render the document that was paid.

        A refund pays an overpayment, prepayment or credit note; a customer's overpayment comes as
        an invoice.
        """
        refunded = payment.get("Refunded")
        if refunded is None:
            invoice = self.organisation.invoices[payment["InvoiceID"]]
            return {"Invoice": self._invoice_in_payment(invoice, view, unitdp)}
        kind, contact = refunded["Kind"], self.organisation.contacts[payment["ContactID"]]
        shown = {
            "CurrencyCode": refunded["CurrencyCode"],
            "LineItems": [],
            "Contact": {name: contact[name] for name in ("ContactID", "Name")},
        }
        if payment["PaymentType"] == "AROVERPAYMENTPAYMENT":
            return {"Invoice": {"Type": "AROVERPAYMENT", "InvoiceID": refunded["ID"], **shown}}
        numbered = {f"{kind}Number": refunded["Number"]} if refunded["Number"] else {}
        return {kind: {f"{kind}ID": refunded["ID"], **numbered, **shown}}

    def _invoice_in_payment(self, invoice: Document, view: str, unitdp: int) -> Document:
        whole = _filled(self.invoice(invoice, "page", unitdp))
        if view == "one":
            return whole | {"Payments": []}
        names = (
            "Type",
            "InvoiceID",
            "InvoiceNumber",
            "Contact",
            "CurrencyCode",
            "HasErrors",
            "IsDiscounted",
        )
        empty: Document = {
            "Payments": [],
            "CreditNotes": [],
            "Prepayments": [],
            "Overpayments": [],
            "LineItems": [],
        }
        return {name: whole[name] for name in names if name in whole} | empty

    def _payment_in_invoice(self, payment: Document) -> Document:
        return {
            "PaymentID": payment["PaymentID"],
            "Date": date_on_wire(payment["Date"]),
            "Amount": payment["Amount"],
            **({"Reference": payment["Reference"]} if payment["Reference"] else {}),
            "CurrencyRate": round_to(payment["CurrencyRate"], SIX_PLACES),
            "HasAccount": False,
            "HasValidationErrors": False,
        }

    def _payments(self, invoice_id: str) -> list[Document]:
        ids = self.organisation.ids_with("payment", "InvoiceID", invoice_id)
        standing = (self.organisation.payments[id] for id in ids)
        return sorted(
            (payment for payment in standing if payment["Status"] != "DELETED"),
            key=lambda payment: (payment["Date"], payment["PaymentID"]),
        )

    def _roles(self, contact_id: str) -> set[str]:
        return {
            one["Type"]
            for one in self._documents_of(contact_id)
            if one["Status"] not in {"DELETED", "VOIDED"}
        }

    def _documents_of(self, contact_id: str) -> list[Document]:
        return [
            self.organisation.invoices[id]
            for id in self.organisation.ids_with("invoice", "ContactID", contact_id)
        ]

    def _balances(self, contact_id: str) -> Document:
        """Render the balances in the base currency; as in Xero, absent for a contact without
        any.
        """
        sums = {
            (type_, when): ZERO
            for type_ in ("ACCREC", "ACCPAY")
            for when in ("Outstanding", "Overdue")
        }
        for one in self._documents_of(contact_id):
            if one["Status"] == "AUTHORISED":
                due = cents(one["AmountDue"] / one["CurrencyRate"])
                sums[one["Type"], "Outstanding"] += due
                if one["DueDate"] < self.today:
                    sums[one["Type"], "Overdue"] += due
        if not any(sums.values()):
            return {}
        sides = (("AccountsReceivable", "ACCREC"), ("AccountsPayable", "ACCPAY"))
        return {
            "Balances": {
                side: {when: sums[type_, when] for when in ("Outstanding", "Overdue")}
                for side, type_ in sides
            }
        }


def _filled(document: Document) -> Document:
    return {name: value for name, value in document.items() if value != "" and value is not None}


def line(document: Document, unitdp: int) -> Document:
    """Render a line as Xero sends it: empty values are left out."""
    document = _filled(document)
    out: Document = {key: document[key] for key in ("ItemCode", "Description") if key in document}
    out["UnitAmount"] = round_to(document["UnitAmount"], unit_step(unitdp))
    out |= {
        key: document[key]
        for key in ("TaxType", "TaxAmount", "LineAmount", "AccountCode")
        if key in document
    }
    out |= {"Tracking": document["Tracking"], "Quantity": document["Quantity"]}
    out |= {key: document[key] for key in ("DiscountRate", "DiscountAmount") if key in document}
    return out | {"LineItemID": document["LineItemID"]}


def account(document: Document) -> Document:
    shown = {key: value for key, value in document.items() if key != "Actor"}
    return shown | {
        "HasAttachments": False,
        "UpdatedDateUTC": instant_on_wire(document["UpdatedDateUTC"]),
    }


def tracking(document: Document) -> Document:
    """Render a tracking category, without a time of change: Xero does not send one."""
    return {key: value for key, value in document.items() if key != "UpdatedDateUTC"}


def item(document: Document, unitdp: int) -> Document:
    def prices(details: Document) -> Document:
        price = (
            {"UnitPrice": round_to(details["UnitPrice"], unit_step(unitdp))}
            if "UnitPrice" in details
            else {}
        )
        return _filled(details) | price

    return {
        **document,
        "UpdatedDateUTC": instant_on_wire(document["UpdatedDateUTC"]),
        "PurchaseDetails": prices(document["PurchaseDetails"]),
        "SalesDetails": prices(document["SalesDetails"]),
    }


def _dates(invoice: Document) -> Document:
    out: Document = {}
    for name in ("Date", "DueDate"):
        if invoice.get(name):
            out |= {f"{name}String": f"{invoice[name]}T00:00:00", name: date_on_wire(invoice[name])}
    for name in ("ExpectedPaymentDate", "PlannedPaymentDate", "FullyPaidOnDate"):
        if invoice.get(name):
            out[name] = date_on_wire(invoice[name])
    return out


def _credits(invoice: Document) -> Document:
    """Render the credits of an invoice. An empty number is left out, as with overpayments and
    prepayments.
    """
    out: Document = {"CreditNotes": [], "Prepayments": [], "Overpayments": []}
    for one in invoice.get("Credits", []):
        kind = one["Kind"]
        numbered = {f"{kind}Number": one["Number"]} if one["Number"] else {}
        dated = {"DateString": f"{one['Date']}T00:00:00", "Date": date_on_wire(one["Date"])}
        out[f"{kind}s"].append(
            {
                f"{kind}ID": one["ID"],
                **numbered,
                "AppliedAmount": one["Amount"],
                **dated,
                "LineItems": [],
            }
        )
    return out


def _updated(ms: int) -> dict[str, Any]:
    return {"UpdatedDateUTC": instant_on_wire(ms), "UpdatedDateUTCString": instant_as_text(ms)}


def _contact_summary(contact: Document) -> Document:
    empty: dict[str, Any] = {
        "Addresses": [],
        "Phones": [],
        "ContactGroups": [],
        "ContactPersons": [],
    }
    return {
        "ContactID": contact["ContactID"],
        "Name": contact["Name"],
        **empty,
        "HasValidationErrors": False,
    }


def _addresses(contact: Document) -> list[Document]:
    """Render both types of address, empty ones included."""
    blank = dict.fromkeys(("City", "Region", "PostalCode", "Country"), "")
    known = {address["AddressType"]: address for address in contact["Addresses"]}
    return [{"AddressType": kind, **blank, **known.get(kind, {})} for kind in ("STREET", "POBOX")]


def _phones(contact: Document) -> list[Document]:
    blank = dict.fromkeys(("PhoneNumber", "PhoneAreaCode", "PhoneCountryCode"), "")
    known = {phone["PhoneType"]: phone for phone in contact["Phones"]}
    extra = [kind for kind in known if kind == "OFFICE"]
    return [
        {"PhoneType": kind, **blank, **known.get(kind, {})}
        for kind in ("DDI", "DEFAULT", "FAX", "MOBILE", *extra)
    ]
