"""Seeded organisations: believable, and the same for the same seed on the same day."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from xero.sandbox import names
from xero.sandbox.accounting.amounts import cents
from xero.sandbox.accounting.charts import accounts
from xero.sandbox.accounting.ledger import Document, Organisation
from xero.sandbox.accounting.wire import date_on_wire, instant_on_wire
from xero.sandbox.seed_plan import DAY_MS, Party, Plan
from xero.sandbox.seed_year import Year

if TYPE_CHECKING:
    from xero.sandbox.accounting.books import Books

DEMO_INVOICES = 300  # half of them bills
DEMO_CONTACTS = 40
MOST_CONTACTS = 2000
LOCKED_ORGANISATION = 1  # the second one has a lock date


def fill(books: "Books", organisations: int, invoices: int | None, seed: int) -> None:
    """Add the organisations that are missing; existing ones keep their ledgers."""
    today = _first_day(books)
    for index in range(organisations):
        plan = Plan(seed, index, today, DEMO_INVOICES if invoices is None else invoices)
        if plan.tenant_id not in books.organisations:
            Maker(plan).fill(books)


def _first_day(books: "Books") -> date:
    """Return the day of the first seeding, stored so that a restart tomorrow adds nothing that does
    not fit.
    """
    kept = books.storage.load("seed").get("first")
    if kept is None:
        kept = {"Day": books.now.date().isoformat()}
        books.storage.save("seed", "first", kept)
    return date.fromisoformat(kept["Day"])


class Maker:
    """Makes one organisation by its plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = plan.random
        self.index = plan.index
        self.plan.country = plan.country
        self.today_ms = plan.today_ms

    def fill(self, books: "Books") -> None:
        """Write the organisation last, so that a seeding that was interrupted starts over."""
        organisation = Organisation(self.organisation(), books.storage)
        organisation.seed("tax_rate", {tax.type: tax.document() for tax in self.plan.country.taxes})
        organisation.seed(
            "account", {document["AccountID"]: document for document in self.accounts()}
        )
        organisation.seed(
            "tracking", {document["TrackingCategoryID"]: document for document in self.tracking()}
        )
        organisation.seed("item", {document["ItemID"]: document for document in self.items()})
        contacts = {document["ContactID"]: document for document in self.contacts()}
        organisation.seed("contact", contacts)
        year = Year(self.plan, *self.parties(list(contacts.values())))
        organisation.seed("invoice", year.invoices)
        organisation.seed("payment", year.payments)
        books.add(organisation)

    def organisation(self) -> Document:
        name = names.organisation(self.index, self.plan.country.code)
        country = self.plan.country
        document = {
            "OrganisationID": self.plan.tenant_id,
            "APIKey": self.plan.id("key", 0).replace("-", "").upper()[:30],
            "Name": name,
            "LegalName": name,
            "PaysTax": True,
            "Version": country.version,
            "OrganisationType": "COMPANY",
            "BaseCurrency": country.currency,
            "CountryCode": country.code,
            "IsDemoCompany": name.startswith("Demo Company"),
            "OrganisationStatus": "ACTIVE",
            "TaxNumber": country.tax_number,
            "FinancialYearEndDay": country.year_end[0],
            "FinancialYearEndMonth": country.year_end[1],
            "SalesTaxBasis": country.tax_basis,
            "SalesTaxPeriod": country.tax_period,
            "DefaultSalesTax": "Tax Exclusive",
            "DefaultPurchasesTax": "Tax Exclusive",
            "CreatedDateUTC": instant_on_wire(self.today_ms - 900 * DAY_MS),
            "OrganisationEntityType": "COMPANY",
            "Timezone": country.timezone,
            "ShortCode": "!" + self.plan.id("short", 0).replace("-", "")[:5],
            "Edition": "BUSINESS",
            "Class": "DEMO" if name.startswith("Demo Company") else "PREMIUM",
            "LineOfBusiness": names.TRADES[self.index % len(names.TRADES)],
            "Addresses": [self._address(0) | {"AddressType": "STREET"}],
            "Phones": [
                {
                    "PhoneType": "OFFICE",
                    "PhoneNumber": "555 0100",
                    "PhoneCountryCode": country.dialling_code,
                }
            ],
            "ExternalLinks": [],
            "PaymentTerms": {"Sales": {"Day": 20, "Type": "DAYSAFTERBILLDATE"}},
        }
        if self.index == LOCKED_ORGANISATION:
            document["PeriodLockDate"] = date_on_wire(self.lock_date().isoformat())
        return document

    def lock_date(self) -> date:
        """Return the end of the month eight months ago."""
        month = self.plan.today.month - 8 + 1
        year = self.plan.today.year + (month - 1) // 12
        return date(year, (month - 1) % 12 + 1, 1) - timedelta(days=1)

    def accounts(self) -> Iterator[Document]:
        for place, document in enumerate(accounts(self.plan.country)):
            at = self.today_ms - 890 * DAY_MS + place * 1000
            yield {
                "AccountID": self.plan.account_ids[document["Code"]],
                **document,
                "UpdatedDateUTC": at,
            }

    def tracking(self) -> Iterator[Document]:
        """Yield two categories in use, as many as Xero allows, and an archived one."""
        for place, (name, options, status) in enumerate(names.TRACKING):
            yield {
                "TrackingCategoryID": self.plan.id("tracking", name),
                "Name": name,
                "Status": status,
                "Options": [
                    {
                        "TrackingOptionID": self.plan.id("option", option),
                        "Name": option,
                        "Status": status,
                    }
                    for option in options
                ],
                "UpdatedDateUTC": self.today_ms - 700 * DAY_MS + place * 1000,
            }

    def items(self) -> Iterator[Document]:
        for place, (code, name, words, price) in enumerate(names.products(self.index)):
            bought = place % 3 == 0
            yield {
                "ItemID": self.plan.id("item", code),
                "Code": code,
                "Name": name,
                "Description": words,
                "UpdatedDateUTC": self.today_ms - 500 * DAY_MS + place * 60_000,
                "PurchaseDetails": {
                    "UnitPrice": cents(Decimal(price) * Decimal("0.6")),
                    "AccountCode": "310",
                    "TaxType": self.plan.country.purchases,
                }
                if bought
                else {},
                "SalesDetails": {
                    "UnitPrice": Decimal(price),
                    "AccountCode": "200",
                    "TaxType": self.plan.country.sales,
                },
                "IsTrackedAsInventory": False,
                "IsSold": True,
                "IsPurchased": bought,
                **({"PurchaseDescription": words} if bought else {}),
            }

    def contacts(self) -> Iterator[Document]:
        count = min(max(DEMO_CONTACTS, self.plan.count // 20), MOST_CONTACTS)
        for place in range(count):
            yield self._contact(place)

    def _contact(self, place: int) -> Document:
        supplier = place % 3 == 2
        name = names.contact(self.index, place, supplier=supplier)
        first, last = names.person(self.random)
        host = "".join(letter for letter in name.lower() if letter.isascii() and letter.isalnum())[
            :40
        ]
        contact: Document = {
            "ContactID": self.plan.id("contact", place),
            "ContactStatus": "ARCHIVED" if place % 20 == 19 else "ACTIVE",
            "Name": name,
            "FirstName": first,
            "LastName": last,
            "EmailAddress": f"{'accounts' if supplier else first.lower()}@{host}.example",
            "ContactPersons": [],
            "Addresses": [self._address(place + 1) | {"AddressType": "POBOX"}],
            "Phones": [
                {
                    "PhoneType": "DEFAULT",
                    "PhoneNumber": f"555 {self.random.randrange(10_000):04d}",
                    "PhoneAreaCode": str(self.random.randrange(2, 10)),
                    "PhoneCountryCode": self.plan.country.dialling_code,
                }
            ],
            "UpdatedDateUTC": self.today_ms - 480 * DAY_MS + place * 7_301_000 % (60 * DAY_MS),
        }
        if place % 8 == 1:
            contact["DefaultCurrency"] = self.plan.country.foreign
        if place % 5 == 0:
            contact["AccountNumber"] = f"A-{1000 + place}"
            second = names.person(self.random)
            contact["ContactPersons"] = [
                {
                    "FirstName": second[0],
                    "LastName": second[1],
                    "EmailAddress": f"{second[0].lower()}@{host}.example",
                    "IncludeInEmails": True,
                }
            ]
        return contact

    def _address(self, place: int) -> Document:
        city, region, code = names.town(self.plan.country.code, place)
        return {
            "AddressLine1": f"{place * 7 % 180 + 1} {names.STREETS[place % len(names.STREETS)]}",
            "City": city,
            "Region": region,
            "PostalCode": code,
            "Country": names.COUNTRY_NAMES[self.plan.country.code],
        }

    def parties(self, contacts: list[Document]) -> tuple[list[Party], list[Party]]:
        """Return the customers and suppliers that are not archived."""
        base = self.plan.country.currency
        found = [
            Party(one["ContactID"], place % 3 == 2, one.get("DefaultCurrency", base), place)
            for place, one in enumerate(contacts)
            if one["ContactStatus"] == "ACTIVE"
        ]
        return [one for one in found if not one.supplier], [one for one in found if one.supplier]
