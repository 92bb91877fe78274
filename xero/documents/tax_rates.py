"""The tax rates of an organisation, from the TaxRates endpoint: for selects and previews of totals.

They change once in years, so they are cached for an hour. A page that is only viewed makes no call
to Xero: it shows what is cached, or else the tax types that the chart of accounts names.
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

CACHE_SECONDS = 3600
CACHE_AFTER_FAILURE_SECONDS = 60
SALE = "ACCREC"
# The fields of a TaxRate. The cache is the database, where processes of another release read too: an
# object of a class of ours could not be opened once its module has moved.
CachedRate = tuple[str, str, Decimal | None, str]
# Xero's ReportTaxType decides on which side a rate can be used; those not named here fit both.
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
    """A tax rate. `rate` is in per cent, or None if only the type is known."""

    type: str
    name: str
    rate: Decimal | None
    reported_as: str = ""

    def is_for(self, document_type: str) -> bool:
        return self.reported_as not in (PURCHASES_ONLY if document_type == SALE else SALES_ONLY)


def read_cached_rates(connection: Connection) -> dict[str, TaxRate]:
    """Return the cached rates by tax type, or else the types that the chart of accounts names."""
    cached: list[CachedRate] | None = cache.get(_cache_key(connection))
    if cached:
        return {values[0]: TaxRate(*values) for values in cached}
    types = Account.objects.filter(connection=connection).exclude(tax_type="")
    names = sorted(set(types.values_list("tax_type", flat=True)))
    return {type: TaxRate(type, type, None) for type in names}


def fetch_rates(connection: Connection) -> dict[str, TaxRate]:
    """Return the rates by tax type, from Xero if none are cached.

    If Xero cannot be reached, return what `read_cached_rates` has.
    """
    if cache.get(_cache_key(connection)) is None:
        try:
            answer = client_for(connection, purpose=rate_limits.PAGE).get("/TaxRates")
        except errors.ProviderError:
            # The preview says that it does not know the rate; the form works all the same. A short
            # entry, so that a page opened again does not wait for Xero each time.
            cache.set(_cache_key(connection), [], CACHE_AFTER_FAILURE_SECONDS)
        else:
            cache.set(_cache_key(connection), _parse_rates(answer), CACHE_SECONDS)
    return read_cached_rates(connection)


def _parse_rates(answer: Mapping[str, Any]) -> list[CachedRate]:
    return [
        (rate.type, rate.name, rate.rate, rate.reported_as)
        for rate in map(parse_tax_rate, read_objects(answer, "TaxRates"))
        if rate.type and rate.status == "ACTIVE"
    ]


def _cache_key(connection: Connection) -> str:
    return f"xero-tax-rate-values-{connection.pk}-{connection.tenant_id}"
