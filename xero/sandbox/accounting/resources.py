"""The resources that can be listed: fields for `where` and `order`, targets of `searchTerm`,
look-up by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from xero.sandbox.accounting.amounts import cents
from xero.sandbox.accounting.ledger import Document, Organisation
from xero.sandbox.accounting.nodes import Evaluate, Field

Fields = Mapping[str, Field]


@dataclass(frozen=True)
class Resource:
    """A resource. `plural` is the path and the JSON key; `key` is the indexed field that a path may
    name instead of the id.
    """

    plural: str
    singular: str
    kind: str
    id_field: str
    key: str
    paged: bool
    fields: Callable[[Organisation], Fields]
    search: tuple[str, ...] = ()
    summaries: bool = False
    writable: bool = True
    dated: bool = True  # it tells when a record changed, and If-Modified-Since is heeded


def _plain(type: str, optimised: str, *names: str) -> dict[str, Field]:
    def getter(name: str) -> Evaluate:
        return lambda document: document.get(name)

    return {name.lower(): Field(type, getter(name), optimised) for name in names}


def _of(
    name: str,
    id_field: str,
    documents: Mapping[str, Document],
    type: str = "text",
    optimised: str = "",
) -> Field:
    """Build a field of the document that `id_field` points to; a refund has no invoice."""
    return Field(
        type, lambda document: documents.get(document.get(id_field, ""), {}).get(name), optimised
    )


def invoice_fields(organisation: Organisation) -> Fields:
    contacts = organisation.contacts
    return {
        **_plain("text", "equal", "Status", "Type", "Reference", "InvoiceNumber"),
        **_plain("text", "", "CurrencyCode", "LineAmountTypes", "Url"),
        **_plain("guid", "equal", "InvoiceID"),
        **_plain("guid", "", "BrandingThemeID"),
        **_plain("date", "range", "Date", "DueDate"),
        **_plain("date", "", "ExpectedPaymentDate", "PlannedPaymentDate", "FullyPaidOnDate"),
        **_plain("instant", "", "UpdatedDateUTC"),
        **_plain("number", "range", "AmountDue"),
        **_plain("number", "equal", "AmountPaid"),
        **_plain("number", "", "AmountCredited", "SubTotal", "TotalTax", "Total", "CurrencyRate"),
        **_plain("bool", "", "SentToContact"),
        "isdiscounted": Field("bool", lambda document: bool(document["TotalDiscount"])),
        "hasattachments": Field("bool", lambda _: False),
        "contact.contactid": Field("guid", lambda document: document["ContactID"], "equal"),
        "contact.name": _of("Name", "ContactID", contacts, optimised="equal"),
        "contact.contactnumber": _of("ContactNumber", "ContactID", contacts, optimised="equal"),
        "contact.emailaddress": _of("EmailAddress", "ContactID", contacts),
        "contact.contactstatus": _of("ContactStatus", "ContactID", contacts),
    }


def contact_fields(organisation: Organisation) -> Fields:
    def has(type_: str) -> Evaluate:
        def evaluate(document: Document) -> bool:
            ids = organisation.ids_with("invoice", "ContactID", document["ContactID"])
            return any(organisation.invoices[id]["Type"] == type_ for id in ids)

        return evaluate

    return {
        **_plain("text", "equal", "Name", "EmailAddress"),
        **_plain(
            "text",
            "",
            "ContactNumber",
            "AccountNumber",
            "ContactStatus",
            "FirstName",
            "LastName",
            "TaxNumber",
        ),
        **_plain("text", "", "CompanyNumber", "BankAccountDetails", "DefaultCurrency"),
        **_plain("guid", "equal", "ContactID"),
        **_plain("instant", "", "UpdatedDateUTC"),
        "iscustomer": Field("bool", has("ACCREC")),
        "issupplier": Field("bool", has("ACCPAY")),
    }


def payment_fields(organisation: Organisation) -> Fields:
    invoices, accounts = organisation.invoices, organisation.accounts
    return {
        **_plain("text", "equal", "Status", "PaymentType"),
        **_plain("text", "", "Reference"),
        **_plain("guid", "equal", "PaymentID"),
        **_plain("date", "range", "Date"),
        **_plain("instant", "", "UpdatedDateUTC"),
        **_plain("number", "", "Amount", "BankAmount", "CurrencyRate"),
        **_plain("bool", "", "IsReconciled"),
        "invoice.invoiceid": Field("guid", lambda document: document.get("InvoiceID"), "equal"),
        "invoice.invoicenumber": _of("InvoiceNumber", "InvoiceID", invoices, optimised="equal"),
        "invoice.type": _of("Type", "InvoiceID", invoices),
        "account.accountid": Field("guid", lambda document: document["AccountID"], "equal"),
        "account.code": _of("Code", "AccountID", accounts),
    }


def account_fields(organisation: Organisation) -> Fields:
    texts = (
        "Code",
        "Name",
        "Type",
        "Status",
        "Class",
        "TaxType",
        "CurrencyCode",
        "SystemAccount",
        "BankAccountType",
    )
    return {
        **_plain("text", "equal", *texts, "BankAccountNumber", "Description", "ReportingCode"),
        **_plain("guid", "equal", "AccountID"),
        **_plain("bool", "equal", "EnablePaymentsToAccount", "ShowInExpenseClaims"),
        **_plain("instant", "", "UpdatedDateUTC"),
    }


def item_fields(organisation: Organisation) -> Fields:
    def price(side: str) -> Field:
        return Field(
            "number",
            lambda document: (
                cents(document[side]["UnitPrice"]) if "UnitPrice" in document[side] else None
            ),
        )

    return {
        **_plain("text", "equal", "Code", "Name", "Description", "PurchaseDescription"),
        **_plain("guid", "equal", "ItemID"),
        **_plain("bool", "equal", "IsSold", "IsPurchased", "IsTrackedAsInventory"),
        **_plain("number", "", "QuantityOnHand", "TotalCostPool"),
        **_plain("instant", "", "UpdatedDateUTC"),
        "salesdetails.unitprice": price("SalesDetails"),
        "purchasedetails.unitprice": price("PurchaseDetails"),
    }


def tracking_fields(_: Organisation) -> Fields:
    return {
        **_plain("text", "equal", "Name", "Status"),
        **_plain("guid", "equal", "TrackingCategoryID"),
    }


INVOICES = Resource(
    "Invoices", "Invoice", "invoice", "InvoiceID", "InvoiceNumber", True, invoice_fields,
    ("InvoiceNumber", "Reference"), summaries=True,
)  # fmt: skip
CONTACTS = Resource(
    "Contacts", "Contact", "contact", "ContactID", "ContactNumber", True, contact_fields,
    ("Name", "FirstName", "LastName", "EmailAddress", "ContactNumber", "CompanyNumber"), summaries=True,
)  # fmt: skip
PAYMENTS = Resource("Payments", "Payment", "payment", "PaymentID", "", True, payment_fields)
ACCOUNTS = Resource(
    "Accounts", "Account", "account", "AccountID", "", False, account_fields, writable=False
)
ITEMS = Resource("Items", "Item", "item", "ItemID", "Code", False, item_fields, writable=False)
TRACKING = Resource(
    "TrackingCategories", "TrackingCategory", "tracking", "TrackingCategoryID", "", False, tracking_fields,
    writable=False, dated=False,
)  # fmt: skip
RESOURCES = {
    one.plural.lower(): one for one in (INVOICES, CONTACTS, PAYMENTS, ACCOUNTS, ITEMS, TRACKING)
}
# what Xero's Accounting API has beside these
ELSEWHERE = frozenset(
    name.lower()
    for name in (
        "BankTransactions", "BankTransfers", "BatchPayments", "BrandingThemes", "Budgets", "ContactGroups",
        "CreditNotes", "Currencies", "Employees", "ExpenseClaims", "InvoiceReminders", "Journals",
        "LinkedTransactions", "ManualJournals", "Overpayments", "PaymentServices", "Prepayments",
        "PurchaseOrders", "Quotes", "Receipts", "RepeatingInvoices", "Reports", "Setup", "Users",
    )
)  # fmt: skip
