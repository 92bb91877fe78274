"""The rules for the line items of an invoice or bill."""

from decimal import Decimal

from xero.sandbox.accounting.amounts import (
    ZERO,
    LineTotalDiffers,
    Totals,
    cents,
    complete_line,
    tax_on,
    totals,
)
from xero.sandbox.accounting.errors import Invalid
from xero.sandbox.accounting.ledger import Document, rate_of
from xero.sandbox.accounting.work import Work

LIMIT = Decimal("1e12")  # beyond it no organisation keeps books; two of them multiplied stay exact
_NUMBERS = ("Quantity", "UnitAmount", "LineAmount", "TaxAmount", "DiscountRate", "DiscountAmount")
# posted to by Xero itself only
_SYSTEM = {
    "DEBTORS",
    "CREDITORS",
    "BANKCURRENCYGAIN",
    "REALISEDCURRENCYGAIN",
    "UNREALISEDCURRENCYGAIN",
    "RETAINEDEARNINGS",
}
_APPLIES = {
    "ASSET": "CanApplyToAssets",
    "EQUITY": "CanApplyToEquity",
    "EXPENSE": "CanApplyToExpenses",
    "LIABILITY": "CanApplyToLiabilities",
    "REVENUE": "CanApplyToRevenue",
}
_SALES_ONLY = {
    "OUTPUT",
    "SALESOUTPUT",
    "EXEMPTOUTPUT",
    "EXEMPTEXPORT",
    "ECOUTPUT",
    "ECOUTPUTSERVICES",
}
_PURCHASES_ONLY = {
    "INPUT",
    "PURCHASESINPUT",
    "EXEMPTEXPENSES",
    "INPUTTAXED",
    "CAPITALEXPENSESINPUT",
    "ECINPUT",
    "GSTONIMPORTS",
}


def complete(work: Work, invoice: Document, given: list[Document], unitdp: int) -> list[Document]:
    """Return line documents with all amounts; raises Invalid with the messages of all lines."""
    errors: list[str] = []
    out = []
    for number, line in enumerate(given):
        try:
            out.append(_complete(work, invoice, line, unitdp))
        except Invalid as problem:
            errors += problem.at("LineItems", number).reasons
    if errors:
        raise Invalid(*errors)
    return out


def sums(invoice: Document) -> Totals:
    amounts = [
        (line["LineAmount"], line["TaxAmount"], line.get("Discount", ZERO))
        for line in invoice["LineItems"]
    ]
    return totals(amounts, invoice["LineAmountTypes"])


def merge(existing: list[Document], given: list[Document]) -> list[Document]:
    """Merge a supplied array as Xero does: a known LineItemID is changed, others are new, missing
    ones are removed.
    """
    by_id = {line["LineItemID"]: line for line in existing}
    return [
        _merge(by_id[line["LineItemID"]], line) if line.get("LineItemID") in by_id else _fresh(line)
        for line in given
    ]


def _fresh(line: Document) -> Document:
    return {key: value for key, value in line.items() if key != "LineItemID"}


def _merge(before: Document, given: Document) -> Document:
    """Merge one line. Fields that are not sent stay, but a line amount whose factors are sent is
    computed again.
    """
    line = {**before, **given}
    if (
        given.get("TaxType", before.get("TaxType")) != before.get("TaxType")
        and "TaxAmount" not in given
    ):
        del line["TaxAmount"]
    if not given.keys() & set(_NUMBERS):
        return line | {"Kept": True}
    line.pop("Discount", None)
    moved = any(
        given.get(key, before.get(key)) != before.get(key)
        for key in ("Quantity", "UnitAmount", "DiscountRate", "DiscountAmount")
    )
    if "LineAmount" not in given and moved:
        del line["LineAmount"]
    if "TaxAmount" not in given:
        line.pop("TaxAmount", None)
    if line.get("DiscountRate") is not None and "DiscountAmount" in given:
        line.pop("DiscountRate" if "DiscountRate" not in given else "DiscountAmount")
    return line


def _complete(work: Work, invoice: Document, given: Document, unitdp: int) -> Document:
    errors: list[str] = []
    line = _from_item(work, invoice, given, errors)
    account = _account(work, invoice, line, errors)
    rate = _tax(work, invoice, line, account, errors)
    errors += [
        f"The {key} is out of range." for key in _NUMBERS if abs(line.get(key, ZERO)) >= LIMIT
    ]
    errors += _discount_errors(invoice, line)
    if invoice["Status"] != "DRAFT" and not line.get("Description"):
        errors.append("The description field is mandatory for each line item.")
    if len(line.get("Description", "")) > 4000:
        errors.append("The field Description must be a string with a maximum length of 4000.")
    tracking = _tracking(work, line, errors)
    if errors:
        raise Invalid(*errors)
    amounts = _amounts(line, unitdp)
    tax = line.get("TaxAmount") if invoice["LineAmountTypes"] != "NoTax" else None
    tax = (
        tax_on(amounts["LineAmount"], rate, invoice["LineAmountTypes"])
        if tax is None
        else cents(tax)
    )
    kept = {
        key: line[key]
        for key in (
            "ItemCode",
            "Description",
            "AccountCode",
            "TaxType",
            "DiscountRate",
            "DiscountAmount",
        )
        if line.get(key) not in (None, "")
    }
    return {
        "LineItemID": line.get("LineItemID") or str(work.new_id()),
        **kept,
        **amounts,
        "TaxAmount": tax,
        "Tracking": tracking,
    }


def _amounts(line: Document, unitdp: int) -> Document:
    if line.get("Kept"):
        return {
            key: line[key]
            for key in ("Quantity", "UnitAmount", "LineAmount", "Discount")
            if key in line
        }
    only_words = not any(
        line.get(key) is not None for key in ("Quantity", "UnitAmount", "LineAmount")
    )
    if only_words:
        return {"Quantity": Decimal("0.0000"), "UnitAmount": ZERO, "LineAmount": ZERO}
    try:
        found = complete_line(
            quantity=line.get("Quantity"),
            unit_amount=line.get("UnitAmount"),
            line_amount=line.get("LineAmount"),
            discount_rate=line.get("DiscountRate"),
            discount_amount=line.get("DiscountAmount"),
            unitdp=unitdp,
        )
    except LineTotalDiffers as problem:
        raise Invalid(str(problem)) from None
    amounts: Document = {
        "Quantity": found.quantity,
        "UnitAmount": found.unit_amount,
        "LineAmount": found.line_amount,
    }
    return amounts | ({"Discount": found.discount} if found.discount else {})


def _from_item(work: Work, invoice: Document, given: Document, errors: list[str]) -> Document:
    code = given.get("ItemCode")
    if not code:
        return given
    found = work.all_with("item", "Code", code)
    if not found:
        errors.append(f"Item code '{code}' is not valid.")
        return given
    item, sale = found[0], invoice["Type"] == "ACCREC"
    details = item["SalesDetails" if sale else "PurchaseDetails"]
    words = item.get("Description" if sale else "PurchaseDescription")
    defaults = {
        "Description": words,
        "UnitAmount": None
        if {"UnitAmount", "LineAmount"} & given.keys()
        else details.get("UnitPrice"),
        "AccountCode": details.get("AccountCode"),
        "TaxType": details.get("TaxType"),
    }
    return (
        {key: value for key, value in defaults.items() if value is not None}
        | given
        | {"ItemCode": item["Code"]}
    )


def _account(work: Work, invoice: Document, line: Document, errors: list[str]) -> Document | None:
    code = line.get("AccountCode")
    if not code and "AccountID" in line:
        by_id = work.find("account", line["AccountID"])
        code = by_id.get("Code") if by_id else line["AccountID"]
        line["AccountCode"] = code
    if not code:
        worded = any(line.get(key) is not None for key in ("Quantity", "UnitAmount", "LineAmount"))
        if invoice["Status"] != "DRAFT" and worded:
            errors.append("Account code must be specified")
        return None
    found = work.all_with("account", "Code", code)
    if not found or found[0]["Type"] == "BANK" or found[0].get("SystemAccount") in _SYSTEM:
        errors.append(f"Account code '{code}' is not a valid code for this document.")
        return None
    if found[0]["Status"] != "ACTIVE":
        gone = (
            "has been archived, or has been deleted. Each line item must reference a valid account."
        )
        errors.append(f"Account code '{code}' {gone}")
        return None
    return found[0]


def _tax(
    work: Work, invoice: Document, line: Document, account: Document | None, errors: list[str]
) -> Decimal:
    """Return the rate in per cent, and set the TaxType of the line."""
    if invoice["LineAmountTypes"] == "NoTax":
        line["TaxType"] = "NONE"
        return ZERO
    given = line.get("TaxType")
    code = given or (account or {}).get("TaxType")
    if not code:
        return ZERO
    rate = work.find("tax_rate", code)
    if rate is None or rate["Status"] != "ACTIVE" or rate["ReportTaxType"] in _wrong_side(invoice):
        errors.append(
            f"The TaxType code {code} does not exist or cannot be used for this type of transaction."
        )
    if account is not None and (rate is None or (given and not rate[_APPLIES[account["Class"]]])):
        errors.append(
            f"The TaxType code '{code}' cannot be used with account code '{account['Code']}'."
        )
    line["TaxType"] = code
    return ZERO if rate is None else rate_of(rate)


def _wrong_side(invoice: Document) -> set[str]:
    return _PURCHASES_ONLY if invoice["Type"] == "ACCREC" else _SALES_ONLY


def _discount_errors(invoice: Document, line: Document) -> list[str]:
    rate, amount = line.get("DiscountRate") or ZERO, line.get("DiscountAmount") or ZERO
    if invoice["Type"] == "ACCPAY" and (rate or amount):
        return ["Discounts may not be applied to ACCPAY invoices."]
    if rate and amount:
        return ["Only one of DiscountRate and DiscountAmount can be specified."]
    if not 0 <= rate <= 100 or amount < 0:
        return ["The discount must be between 0 and 100 per cent of the line."]
    return []


def _tracking(work: Work, line: Document, errors: list[str]) -> list[Document]:
    given = line.get("Tracking", [])
    if len(given) > 2:
        errors.append("A line item can have at most 2 tracking categories.")
    out = []
    for choice in given:
        known = work.all_with("tracking", "Name", choice.get("Name", "")) or [
            category
            for category in [work.find("tracking", choice.get("TrackingCategoryID"))]
            if category
        ]
        options = [
            option
            for category in known
            if category["Status"] == "ACTIVE"
            for option in category["Options"]
            if option["Name"].lower() == choice.get("Option", "").lower()
            or option["TrackingOptionID"] == choice.get("TrackingOptionID")
        ]
        if not options:
            errors.append(
                f"Tracking option '{choice.get('Option', '')}' of '{choice.get('Name', '')}' does not exist."
            )
            continue
        out.append(
            {
                "Name": known[0]["Name"],
                "Option": options[0]["Name"],
                "TrackingCategoryID": known[0]["TrackingCategoryID"],
                "TrackingOptionID": options[0]["TrackingOptionID"],
            }
        )
    return out
