"""The tax rates of an organisation, as Xero's TaxRates list them: for choosing one, and for the
preview of totals.

They change once in years, so they are kept for an hour. A page that is only looked at asks nobody:
it shows what is kept, and what the chart of accounts tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.cache import cache

from connections import errors
from connections.models import Connection
from xero.api import rate_limits
from xero.api.client import client_for
from xero.models import Account
from xero.records.fields import read_objects
from xero.records.master_data import parse_tax_rate

KEPT_SECONDS = 3600
KEPT_AFTER_FAILURE_SECONDS = 60
SALE = "ACCREC"
# What a rate is reported as decides on which side it can stand; those not named here stand on both.
SALES_ONLY = {
    "OUTPUT",
    "SALESOUTPUT",
    "EXEMPTOUTPUT",
    "EXEMPTEXPORT",
    "ECOUTPUT",
    "ECOUTPUTSERVICES",
}
PURCHASES_ONLY = {
    "INPUT",
    "PURCHASESINPUT",
    "EXEMPTEXPENSES",
    "INPUTTAXED",
    "CAPITALEXPENSESINPUT",
    "ECINPUT",
    "GSTONIMPORTS",
}


@dataclass(frozen=True, slots=True)
class TaxRate:
    """`rate` in per cent; None where only the type is known."""

    type: str
    name: str
    rate: Decimal | None
    reported_as: str = ""

    def fits(self, document_type: str) -> bool:
        return self.reported_as not in (PURCHASES_ONLY if document_type == SALE else SALES_ONLY)


def known(connection: Connection) -> dict[str, TaxRate]:
    """What is kept, by tax type; without that the types that the chart of accounts names."""
    kept: dict[str, TaxRate] | None = cache.get(_key(connection))
    if kept:
        return kept
    types = Account.objects.filter(connection=connection).exclude(tax_type="")
    found = sorted(set(types.values_list("tax_type", flat=True)))
    return {type: TaxRate(type, type, None) for type in found}


def fresh(connection: Connection) -> dict[str, TaxRate]:
    """As `known`, but Xero is asked where nothing is kept. Where it cannot be asked now, what is
    known.
    """
    if cache.get(_key(connection)) is None:
        try:
            answer = client_for(connection, purpose=rate_limits.PAGE).get("/TaxRates")
        except (
            errors.ProviderError
        ):  # the preview says that it does not know; the form works all the same
            cache.set(_key(connection), {}, KEPT_AFTER_FAILURE_SECONDS)
        else:
            cache.set(_key(connection), _read(answer), KEPT_SECONDS)
    return known(connection)


def _read(answer: Mapping[str, Any]) -> dict[str, TaxRate]:
    found = {}
    for rate in map(parse_tax_rate, read_objects(answer, "TaxRates")):
        if rate.type and rate.status == "ACTIVE":
            found[rate.type] = TaxRate(rate.type, rate.name, rate.rate, rate.reported_as)
    return found


def _key(connection: Connection) -> str:
    return f"xero-tax-rates-{connection.pk}-{connection.tenant_id}"
