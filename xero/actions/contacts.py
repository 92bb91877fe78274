"""The action that creates contacts.

Names are unique among the active contacts of an organisation: they are looked up before sending,
and a contact whose answer was lost is found by its name.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from uuid import UUID

from connections.integrations import ActionContext, Cost, Data, Failed, Outcome
from connections.models import Call, Connection
from connections.writes.writers import Found, RecordMade, WriteDraft
from xero import forms
from xero.actions import reference_checks, samples
from xero.actions.base import connection_of, split_chunks, without_empty
from xero.actions.writing import ELEMENTS_A_CALL, WriteAction, XeroWriter
from xero.api import scopes
from xero.names import name_key
from xero.records.fields import read_objects, read_text
from xero.records.master_data import parse_contact
from xero.sync.contact_names import list_contacts_by_name
from xero.sync.mapping import CONTACTS

NAMES_A_CALL = 20  # in one `where`; the address would grow too long
TAKEN = (
    "The contact name {0} is already assigned to another contact."
    " The contact name must be unique across all active contacts."
)


class ContactWriter(XeroWriter):
    action = "xero/create-contact"
    verb = "contact created"
    path = "/Contacts"
    envelope = "Contacts"
    kind = CONTACTS
    says_it_exists = ("must be unique across all active contacts",)

    def drafts(
        self, calls: Sequence[ActionContext], rows: Sequence[Data], ids: Sequence[UUID]
    ) -> list[WriteDraft | Outcome]:
        taken = self._read_by_name(
            connection_of(calls[0]), [row["name"] for row in rows], calls[0].user is not None
        )
        drafts: list[WriteDraft | Outcome] = []
        for data, id in zip(rows, ids, strict=True):
            if record := taken.get(name_key(data["name"])):
                message = TAKEN.format(data["name"])
                drafts.append(Failed("duplicate", message, status=200, existing=record))
            else:
                drafts.append(WriteDraft(id, data["name"], build_contact_body(data)))
        return drafts

    def is_about(self, sent: Data, record: Data) -> bool:
        named = read_text(record, "Name")
        return not named or name_key(named) == name_key(sent["Name"])

    def made(self, record: Data) -> RecordMade:
        return RecordMade(UUID(record["ContactID"]), parse_contact(record).name, record)

    def look_up(
        self, connection: Connection, calls: Sequence[Call], *, by_person: bool
    ) -> dict[UUID, Found]:
        """Find the contacts that lost calls created, by their names."""
        # Nothing is sent while an active contact has the name, so one that has it now is ours.
        contacts = self._read_by_name(connection, [call.body["Name"] for call in calls], by_person)
        records = {call.pk: contacts.get(name_key(call.body["Name"])) for call in calls}
        return {pk: self.made(record) if record else None for pk, record in records.items()}

    def find(self, call: Call, named: str, *, by_person: bool) -> RecordMade | None:
        record = self._read_by_name(call.connection, [named], by_person).get(name_key(named))
        return self.made(record) if record else None

    def _read_by_name(
        self, connection: Connection, names: Iterable[str], by_person: bool
    ) -> dict[str, Data]:
        """Return the active contacts of these names by the key of the name.

        Xero compares names letter by letter, so the spellings with other blanks in the local copy
        are looked up as well.
        """
        contacts: dict[str, Data] = {}
        typed_names = [name for name in names if name]
        spelt = (
            list_contacts_by_name(connection, typed_names)
            .filter(status="ACTIVE")
            .values_list("name", flat=True)
        )
        spellings = list(dict.fromkeys([*typed_names, *spelt]))
        quotable = [name for name in spellings if '"' not in name and "\\" not in name]
        searches: list[dict[str, str | int]] = [
            {"where": " OR ".join(f'Name=="{name}"' for name in chunk)}
            for chunk in split_chunks(quotable, NAMES_A_CALL)
        ]
        searches += [{"searchTerm": name} for name in spellings if name not in quotable]
        client = self.client(connection, by_person)
        for params in searches:
            answer = client.get("/Contacts", params={**params, "page": 1, "pageSize": 1000})
            for body in read_objects(answer, "Contacts"):
                contact = parse_contact(body)
                if contact.status == "ACTIVE":
                    contacts.setdefault(name_key(contact.name), dict(body))
        return contacts


class CreateContact(WriteAction):
    key = "xero/create-contact"
    title = "Create a contact"
    description = "Creates a customer or supplier in Xero, exactly once."
    form = forms.CreateContactForm
    scopes = scopes.WRITE_CONTACTS
    cost = Cost(Decimal(2), Decimal(1) / NAMES_A_CALL + Decimal(1) / ELEMENTS_A_CALL)
    sample = samples.CONTACT
    always = samples.ALWAYS_IN_CONTACT
    names = dict.fromkeys(
        ("sales_account_code", "purchases_account_code"), reference_checks.ACCOUNT
    )
    writer = ContactWriter()


def build_contact_body(data: Data) -> Data:
    """Build Xero's JSON from the cleaned CreateContactForm."""
    address = without_empty(
        AddressLine1=data["address_line_1"],
        AddressLine2=data["address_line_2"],
        City=data["city"],
        Region=data["region"],
        PostalCode=data["postal_code"],
        Country=data["country"],
    )
    phones = [
        {"PhoneType": kind, "PhoneNumber": data[field]}
        for kind, field in (("DEFAULT", "phone"), ("MOBILE", "mobile"))
        if data[field]
    ]
    return without_empty(
        Name=data["name"],
        FirstName=data["first_name"],
        LastName=data["last_name"],
        EmailAddress=data["email"],
        AccountNumber=data["account_number"],
        ContactNumber=data["contact_number"],
        CompanyNumber=data["company_number"],
        TaxNumber=data["tax_number"],
        DefaultCurrency=data["default_currency"].upper(),
        SalesDefaultAccountCode=data["sales_account_code"],
        PurchasesDefaultAccountCode=data["purchases_account_code"],
        AccountsReceivableTaxType=data["sales_tax_type"],
        AccountsPayableTaxType=data["purchases_tax_type"],
        Phones=phones,
        Addresses=[{"AddressType": "STREET", **address}] if address else [],
        PaymentTerms=without_empty(
            Sales=_build_terms(data, "sales"), Bills=_build_terms(data, "bills")
        ),
    )


def _build_terms(data: Data, kind: str) -> Data:
    terms = data[f"{kind}_terms"]
    return {"Day": data[f"{kind}_terms_day"], "Type": terms} if terms else {}
