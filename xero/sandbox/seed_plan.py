"""The plan that everything seeded in one organisation shares: random numbers, ids, country, day."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from uuid import NAMESPACE_URL, uuid5

from xero.sandbox.accounting.charts import COUNTRIES, Country, accounts
from xero.sandbox.accounting.wire import to_ms

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Party:
    """A contact, reduced to what its documents need."""

    id: str
    supplier: bool
    currency: str
    category: int  # which of the bill templates its bills are made from


class Plan:
    """The plan of the organisation `index`: `count` invoices and bills over the year before
    `today`.
    """

    def __init__(self, seed: int, index: int, today: date, count: int) -> None:
        self.random = Random(f"{seed}/{index}")  # noqa: S311  play money
        self.index = index
        self.today = today
        self.count = count
        self.country: Country = COUNTRIES[index % len(COUNTRIES)]
        self.space = uuid5(NAMESPACE_URL, f"https://sandbox.invalid/{seed}/{index}")
        self.tenant_id = str(self.space)
        self.today_ms = midnight(today)
        self.rates = {tax.type: Decimal(tax.rate) for tax in self.country.taxes}
        self.account_tax = {
            account["Code"]: account["TaxType"] for account in accounts(self.country)
        }
        self.account_ids = {code: self.id("account", code) for code in self.account_tax}

    def id(self, kind: str, key: object) -> str:
        return str(uuid5(self.space, f"{kind}/{key}"))


def midnight(day: date) -> int:
    """Return the milliseconds of midnight UTC."""
    return to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC))
