"""Organisations to play with: believable, and the same for everybody who seeds with the same number on the same day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from xero.sandbox import names
from xero.sandbox.accounting.amounts import ZERO, cents, complete_line, tax_on, totals
from xero.sandbox.accounting.charts import COUNTRIES, Country, accounts
from xero.sandbox.accounting.ledger import NUMBER_PREFIX
from xero.sandbox.accounting.rates import day_rate
from xero.sandbox.accounting.wire import date_on_wire, instant_on_wire, to_ms

if TYPE_CHECKING:
    from xero.sandbox.accounting.books import Books

Document = dict[str, Any]
DEMO_INVOICES = 300  # half of them bills
DEMO_CONTACTS = 40
MOST_CONTACTS = 2000
DAY_MS = 86_400_000
LOCKED_ORGANISATION = 1  # the second one has a lock date


def fill(books: "Books", organisations: int, invoices: int | None, seed: int) -> None:
    """Adds the organisations that are not there yet; those that are keep their books."""
    today = _first_day(books)
    for index in range(organisations):
        maker = Maker(seed, index, today, DEMO_INVOICES if invoices is None else invoices)
        if maker.tenant_id not in books.organisations:
            maker.fill(books)


def _first_day(books: "Books") -> date:
    """The day of the first seeding, kept so that a restart tomorrow adds nothing that does not fit."""
    kept = books.storage.load("seed").get("first")
    if kept is None:
        kept = {"Day": books.now.date().isoformat()}
        books.storage.save("seed", "first", kept)
    return date.fromisoformat(kept["Day"])


@dataclass(frozen=True)
class Party:
    """A contact as far as making its documents needs it."""

    id: str
    supplier: bool
    currency: str
    category: int  # which of the bill templates its bills are made from


class Maker:
    """Makes one organisation with `count` invoices and bills over the year before `today`."""

    def __init__(self, seed: int, index: int, today: date, count: int) -> None:
        self.random = Random(f"{seed}/{index}")  # noqa: S311  play money
        self.index = index
        self.today = today
        self.count = count
        self.country: Country = COUNTRIES[index % len(COUNTRIES)]
        self.space = uuid5(NAMESPACE_URL, f"https://sandbox.invalid/{seed}/{index}")
        self.tenant_id = str(self.space)
        self.today_ms = _midnight(today)
        self.rates = {tax.type: Decimal(tax.rate) for tax in self.country.taxes}
        self.account_tax = {account["Code"]: account["TaxType"] for account in accounts(self.country)}
        self.account_ids = {code: self.id("account", code) for code in self.account_tax}

    def id(self, kind: str, key: object) -> str:
        return str(uuid5(self.space, f"{kind}/{key}"))

    def fill(self, books: "Books") -> None:
        organisation = books.add(self.organisation())
        organisation.seed("tax_rate", {tax.type: tax.document() for tax in self.country.taxes})
        organisation.seed("account", {document["AccountID"]: document for document in self.accounts()})
        organisation.seed(
            "tracking", {document["TrackingCategoryID"]: document for document in self.tracking()}
        )
        organisation.seed("item", {document["ItemID"]: document for document in self.items()})
        contacts = {document["ContactID"]: document for document in self.contacts()}
        organisation.seed("contact", contacts)
        invoices, payments = self.documents(self.parties(list(contacts.values())))
        organisation.seed("invoice", invoices)
        organisation.seed("payment", payments)

    def organisation(self) -> Document:
        name = names.organisation(self.index, self.country.code)
        country = self.country
        document = {
            "OrganisationID": self.tenant_id,
            "APIKey": self.id("key", 0).replace("-", "").upper()[:30],
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
            "ShortCode": "!" + self.id("short", 0).replace("-", "")[:5],
            "Edition": "BUSINESS",
            "Class": "DEMO" if name.startswith("Demo Company") else "PREMIUM",
            "LineOfBusiness": names.TRADES[self.index % len(names.TRADES)],
            "Addresses": [self._address(0) | {"AddressType": "STREET"}],
            "Phones": [
                {"PhoneType": "OFFICE", "PhoneNumber": "555 0100", "PhoneCountryCode": country.dialling_code}
            ],
            "ExternalLinks": [],
            "PaymentTerms": {"Sales": {"Day": 20, "Type": "DAYSAFTERBILLDATE"}},
        }
        if self.index == LOCKED_ORGANISATION:
            document["PeriodLockDate"] = date_on_wire(self.lock_date().isoformat())
        return document

    def lock_date(self) -> date:
        """The end of the month eight months ago."""
        month = self.today.month - 8 + 1
        year = self.today.year + (month - 1) // 12
        return date(year, (month - 1) % 12 + 1, 1) - timedelta(days=1)

    def accounts(self) -> Iterator[Document]:
        for place, document in enumerate(accounts(self.country)):
            at = self.today_ms - 890 * DAY_MS + place * 1000
            yield {"AccountID": self.account_ids[document["Code"]], **document, "UpdatedDateUTC": at}

    def tracking(self) -> Iterator[Document]:
        options = [{"TrackingOptionID": self.id("option", name), "Name": name} for name in names.REGIONS]
        yield {"TrackingCategoryID": self.id("tracking", "Region"), "Name": "Region", "Options": options}

    def items(self) -> Iterator[Document]:
        for place, (code, name, words, price) in enumerate(names.products(self.index)):
            bought = place % 3 == 0
            yield {
                "ItemID": self.id("item", code),
                "Code": code,
                "Name": name,
                "Description": words,
                "UpdatedDateUTC": self.today_ms - 500 * DAY_MS + place * 60_000,
                "PurchaseDetails": {
                    "UnitPrice": cents(Decimal(price) * Decimal("0.6")),
                    "AccountCode": "310",
                    "TaxType": self.country.purchases,
                }
                if bought
                else {},
                "SalesDetails": {
                    "UnitPrice": Decimal(price),
                    "AccountCode": "200",
                    "TaxType": self.country.sales,
                },
                "IsTrackedAsInventory": False,
                "IsSold": True,
                "IsPurchased": bought,
                **({"PurchaseDescription": words} if bought else {}),
            }

    def contacts(self) -> Iterator[Document]:
        count = min(max(DEMO_CONTACTS, self.count // 20), MOST_CONTACTS)
        for place in range(count):
            yield self._contact(place)

    def _contact(self, place: int) -> Document:
        supplier = place % 3 == 2
        name = names.contact(self.index, place, supplier=supplier)
        first, last = names.person(self.random)
        host = "".join(letter for letter in name.lower() if letter.isascii() and letter.isalnum())[:40]
        contact: Document = {
            "ContactID": self.id("contact", place),
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
                    "PhoneCountryCode": self.country.dialling_code,
                }
            ],
            "UpdatedDateUTC": self.today_ms - 480 * DAY_MS + place * 7_301_000 % (60 * DAY_MS),
        }
        if place % 8 == 1:
            contact["DefaultCurrency"] = self.country.foreign
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
        city, region, code = names.town(self.country.code, place)
        return {
            "AddressLine1": f"{place * 7 % 180 + 1} {names.STREETS[place % len(names.STREETS)]}",
            "City": city,
            "Region": region,
            "PostalCode": code,
            "Country": names.COUNTRY_NAMES[self.country.code],
        }

    def parties(self, contacts: list[Document]) -> tuple[list[Party], list[Party]]:
        """Customers and suppliers that still trade."""
        base = self.country.currency
        found = [
            Party(one["ContactID"], place % 3 == 2, one.get("DefaultCurrency", base), place)
            for place, one in enumerate(contacts)
            if one["ContactStatus"] == "ACTIVE"
        ]
        return [one for one in found if not one.supplier], [one for one in found if one.supplier]

    def documents(
        self, parties: tuple[list[Party], list[Party]]
    ) -> tuple[dict[str, Document], dict[str, Document]]:
        """Invoices and payments by id; sales numbers rise with their dates."""
        invoices: dict[str, Document] = {}
        payments: dict[str, Document] = {}
        sales = 0
        for place in range(self.count):
            bill = place % 2 == 1
            sales += not bill
            day = self.today - timedelta(days=364 - 364 * place // max(self.count - 1, 1))
            party = self.random.choice(parties[bill])
            number = f"{names.bill_prefix(party.category)}{self.random.randrange(10_000, 100_000)}"
            invoice = self._document(
                place, bill, day, party, number if bill else f"{NUMBER_PREFIX}{sales:04d}"
            )
            for payment in self._pay(invoice):
                payments[payment["PaymentID"]] = payment
            invoices[invoice["InvoiceID"]] = invoice
        return invoices, payments

    def _document(self, place: int, bill: bool, day: date, party: Party, number: str) -> Document:
        random = self.random
        types = "Inclusive" if random.random() < 0.1 else "Exclusive"
        lines = [self._line(place, n, bill, party, types) for n in range(random.choice((1, 1, 1, 2, 2, 3)))]
        amounts = [(line["LineAmount"], line["TaxAmount"], line.get("Discount", ZERO)) for line in lines]
        found = totals(amounts, types)
        due = day + timedelta(days=random.choice((7, 14, 20, 20, 30)))
        status = self._status(day, due)
        at = min(_midnight(day) + random.randrange(7 * 3600, 18 * 3600) * 1000, self.today_ms - 1000)
        return {
            "InvoiceID": self.id("invoice", place),
            "Type": "ACCPAY" if bill else "ACCREC",
            "Status": status,
            "InvoiceNumber": number,
            "Reference": "" if bill or random.random() < 0.5 else f"PO {random.randrange(1000, 10_000)}",
            "ContactID": party.id,
            "Date": day.isoformat(),
            "DueDate": due.isoformat(),
            "LineAmountTypes": types,
            "LineItems": lines,
            "SubTotal": found.sub_total,
            "TotalTax": found.total_tax,
            "Total": found.total,
            "TotalDiscount": found.total_discount,
            "AmountPaid": ZERO,
            "AmountCredited": ZERO,
            "AmountDue": ZERO if status in {"VOIDED", "DELETED"} else found.total,
            "SentToContact": not bill and status in {"AUTHORISED", "PAID"} and random.random() < 0.8,
            "CurrencyCode": party.currency,
            "CurrencyRate": day_rate(self.country.currency, party.currency),
            "UpdatedDateUTC": at,
        }

    def _status(self, day: date, due: date) -> str:
        age = (self.today - day).days
        chance = self.random.random()
        if chance < 0.03:
            return "VOIDED"
        if chance < 0.05:
            return "DELETED"
        if age < 60 and chance < 0.5:
            return "DRAFT" if chance < 0.3 else "SUBMITTED"
        overdue = (self.today - due).days
        unpaid = 0.95 if overdue < 0 else max(0.08, 0.7 - overdue / 200)
        return "AUTHORISED" if self.random.random() < unpaid else "PAID"

    def _line(self, place: int, n: int, bill: bool, party: Party, types: str) -> Document:
        random = self.random
        if bill:
            words, account, low, high = names.BILLS[party.category % len(names.BILLS)]
            quantity, price, item = (
                Decimal("1.0000"),
                Decimal(random.randrange(low * 100, high * 100)) / 100,
                None,
            )
        else:
            products = names.products(self.index)
            item, _, words, listed = products[random.randrange(len(products))]
            quantity, price, account = Decimal(f"{random.randrange(1, 9)}.0000"), Decimal(listed), "200"
        rate = Decimal("10.00") if not bill and random.random() < 0.06 else None
        found = complete_line(quantity=quantity, unit_amount=price, line_amount=None, discount_rate=rate)
        tax = self.account_tax[account] if party.currency == self.country.currency else self.country.none
        line: Document = {
            "LineItemID": self.id("line", f"{place}/{n}"),
            **({"ItemCode": item} if item else {}),
            "Description": words,
            "AccountCode": account,
            "TaxType": tax,
            **({"DiscountRate": rate, "Discount": found.discount} if rate else {}),
            "Quantity": found.quantity,
            "UnitAmount": found.unit_amount,
            "LineAmount": found.line_amount,
            "TaxAmount": tax_on(found.line_amount, self.rates[tax], types),
            "Tracking": [],
        }
        if self.index % 3 == 0 and random.random() < 0.3:
            region = random.choice(names.REGIONS)
            line["Tracking"] = [
                {
                    "Name": "Region",
                    "Option": region,
                    "TrackingCategoryID": self.id("tracking", "Region"),
                    "TrackingOptionID": self.id("option", region),
                }
            ]
        return line

    def _pay(self, invoice: Document) -> Iterator[Document]:
        """Payments of a paid invoice, or a part payment of one in six open ones; the invoice is changed to match."""
        part = invoice["Status"] == "AUTHORISED" and self.random.random() < 0.17
        if invoice["Status"] != "PAID" and not part:
            return
        total = invoice["Total"]
        if part:
            amounts = [cents(total * self.random.randrange(25, 75) / 100)]
        elif self.random.random() < 0.12:
            first = cents(total * Decimal("0.5"))
            amounts = [first, total - first]
        else:
            amounts = [total]
        start, due = date.fromisoformat(invoice["Date"]), date.fromisoformat(invoice["DueDate"])
        for n, amount in enumerate(amounts):
            wait = max(1, (due - start).days + self.random.randrange(-9, 14)) + 10 * n
            day = min(start + timedelta(days=wait), self.today)
            payment = self._payment(invoice, n, day, amount)
            invoice["UpdatedDateUTC"] = max(invoice["UpdatedDateUTC"], payment["UpdatedDateUTC"])
            invoice["AmountPaid"] += amount
            invoice["AmountDue"] -= amount
            if not invoice["AmountDue"]:
                invoice["FullyPaidOnDate"] = payment["Date"]
            yield payment

    def _payment(self, invoice: Document, n: int, day: date, amount: Decimal) -> Document:
        foreign = invoice["CurrencyCode"] != self.country.currency
        at = min(_midnight(day) + self.random.randrange(8 * 3600, 20 * 3600) * 1000, self.today_ms - 1000)
        return {
            "PaymentID": self.id("payment", f"{invoice['InvoiceID']}/{n}"),
            "InvoiceID": invoice["InvoiceID"],
            "AccountID": self.account_ids["092" if foreign else "090"],
            "Date": day.isoformat(),
            "Amount": amount,
            "BankAmount": amount,
            "CurrencyRate": invoice["CurrencyRate"],
            "Reference": ""
            if self.random.random() < 0.4
            else f"Ref {self.random.randrange(100_000, 1_000_000)}",
            "PaymentType": invoice["Type"] + "PAYMENT",
            "Status": "AUTHORISED",
            "IsReconciled": self.random.random() < 0.7,
            "UpdatedDateUTC": max(at, invoice["UpdatedDateUTC"]),
        }


def _midnight(day: date) -> int:
    return to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC))
