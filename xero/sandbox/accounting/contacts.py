"""The rules for writing contacts."""

import re

from xero.sandbox.accounting.errors import Invalid, NotFound, Reason
from xero.sandbox.accounting.ledger import Document
from xero.sandbox.accounting.rates import CURRENCIES
from xero.sandbox.accounting.work import BY_HAND, Work

LENGTHS = {
    "Name": 255, "FirstName": 255, "LastName": 255, "EmailAddress": 255, "ContactNumber": 50, "AccountNumber": 50,
    "CompanyNumber": 50, "TaxNumber": 50,
}  # fmt: skip
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>.]+")


def create(work: Work, given: Document) -> Document:
    """Create a contact by the rules of PUT: a name or number in use is an error, never an
    update.
    """
    document: Document = {
        "ContactStatus": "ACTIVE",
        "ContactPersons": [],
        "Addresses": [],
        "Phones": [],
    }
    document.update(given | _lists({}, given))
    document |= {
        "ContactID": str(work.new_id()),
        "UpdatedDateUTC": work.now_ms,
        "Actor": work.actor,
    }
    check(work, document)
    return work.put("contact", document, "CREATE")


def create_or_update(work: Work, given: Document) -> Document:
    """Write a contact by the rules of POST: matched by ContactID, else by ContactNumber, else by
    Name.
    """
    existing = match(work, given)
    return create(work, given) if existing is None else update(work, existing, given)


def match(work: Work, given: Document) -> Document | None:
    if "ContactID" in given:
        found = work.find("contact", given["ContactID"])
        if found is None:
            raise Invalid("The contact with the specified ContactID could not be found")
        return found
    if given.get("ContactNumber"):
        numbered = work.all_with("contact", "ContactNumber", given["ContactNumber"])
        if numbered:
            return numbered[0]
    return active_named(work, given.get("Name", ""))


def update(work: Work, existing: Document, given: Document) -> Document:
    document = {
        **existing,
        **given,
        "ContactID": existing["ContactID"],
        "UpdatedDateUTC": work.now_ms,
    }
    document |= _lists(existing, given)
    check(work, document)
    return work.put("contact", document, "UPDATE")


def update_by_id(work: Work, id: str, given: Document) -> Document:
    existing = work.find("contact", id)
    if existing is None:
        raise NotFound
    return update(work, existing, given)


def active_named(work: Work, name: str) -> Document | None:
    named = work.all_with("contact", "Name", name.strip()) if name else []
    return next((contact for contact in named if contact["ContactStatus"] == "ACTIVE"), None)


def for_invoice(work: Work, given: Document | None) -> Document:
    """Return the contact that an invoice names, created or changed on the way as Xero does it.

    Fields beside the ContactID change the contact; its ContactPersons are lost then unless they are
    sent along.
    """
    if not given:
        raise Invalid("A Contact must be specified for this type of transaction")
    try:
        return _for_invoice(work, given)
    except Invalid as problem:
        raise problem.at("Contact") from None


def _for_invoice(work: Work, given: Document) -> Document:
    existing = match(work, given)
    if existing is None:
        if not given.get("Name"):
            raise Invalid("A Contact must be specified for this type of transaction")
        return create(work, given)
    if existing["ContactStatus"] != "ACTIVE":
        raise Invalid(
            f"The contact {existing['Name']} has been archived and cannot be used on this document."
        )
    if _differs(existing, given):
        return update(work, existing, {"ContactPersons": [], **given})
    return existing


def check(work: Work, contact: Document) -> None:
    errors = [
        *_name_errors(contact.get("Name", ""), imported=work.actor == BY_HAND),
        *_length_errors(contact),
    ]
    email = contact.get("EmailAddress", "")
    if email and not _EMAIL.fullmatch(email):
        errors.append(f"Email address {email} is not valid.")
    currency = contact.get("DefaultCurrency", "")
    if currency and currency not in CURRENCIES:
        errors.append(f"Organisation is not subscribed to currency {currency[:20]}")
    errors += [
        f"Account code '{contact[key]}' is not a valid code for this contact."
        for key in ("SalesDefaultAccountCode", "PurchasesDefaultAccountCode")
        if contact.get(key) and not work.all_with("account", "Code", contact[key])
    ]
    errors += [
        f"The TaxType code {contact[key]} does not exist or cannot be used for this contact."
        for key in ("AccountsReceivableTaxType", "AccountsPayableTaxType")
        if contact.get(key) and work.find("tax_rate", contact[key]) is None
    ]
    errors += _address_errors(contact.get("Addresses", []))
    errors += _taken_errors(work, contact)
    if errors:
        raise Invalid(*errors)


def _name_errors(name: str, *, imported: bool) -> list[str]:
    """Return the errors of a name. Imported names may keep blanks that the API does not accept."""
    if not name.strip():
        return ["The contact name must be specified."]
    if "<" in name or ">" in name:
        return ["The contact name cannot contain angle brackets."]
    if name != " ".join(name.split()) and not imported:
        return ["The contact name cannot contain leading, trailing or double spaces."]
    return []


def _length_errors(contact: Document) -> list[str]:
    return [
        f"The field {field} must be a string with a maximum length of {limit}."
        for field, limit in LENGTHS.items()
        if len(contact.get(field, "")) > limit
    ]


def _address_errors(addresses: list[Document]) -> list[str]:
    """Return the errors of addresses. By Xero's specification a country has letters only."""
    return [
        Reason("The field Country may hold letters only.", "Addresses", number)
        for number, address in enumerate(addresses)
        if any(letter.isdigit() for letter in address.get("Country", ""))
    ]


def _taken_errors(work: Work, contact: Document) -> list[str]:
    errors = []
    name, number = contact.get("Name", ""), contact.get("ContactNumber", "")
    same_name = active_named(work, name)
    if (
        contact["ContactStatus"] == "ACTIVE"
        and same_name
        and same_name["ContactID"] != contact["ContactID"]
    ):
        errors.append(
            f"The contact name {name} is already assigned to another contact."
            " The contact name must be unique across all active contacts."
        )
    numbered = work.all_with("contact", "ContactNumber", number) if number else []
    if any(other["ContactID"] != contact["ContactID"] for other in numbered):
        errors.append(f"The contact number {number} is already assigned to another contact.")
    return errors


def _differs(existing: Document, given: Document) -> bool:
    for field, value in (given | _lists(existing, given)).items():
        now = existing.get(field)
        # "" and absent are the same on the wire
        if (value or None) != (now or None):
            return True
    return False


def _lists(existing: Document, given: Document) -> Document:
    """Return the addresses and phones of the contact after `given` is merged into them."""
    keys = {"Addresses": "AddressType", "Phones": "PhoneType"}
    return {
        field: _merged(existing.get(field, []), given.get(field, []), key)
        for field, key in keys.items()
    }


def _merged(existing: list[Document], given: list[Document], key: str) -> list[Document]:
    """Merge entries by type: those that are sent replace their fields, the others stay."""
    by_type = {entry[key]: entry for entry in existing}
    for entry in given:
        if key in entry:
            by_type[entry[key]] = {**by_type.get(entry[key], {}), **entry}
    return list(by_type.values())
