"""Day rates between currencies, fixed so that the same request always gives the same ledger."""

from decimal import Decimal

from xero.sandbox.accounting.amounts import round_to

SIX_PLACES = Decimal("0.000001")
# units of the currency for one US dollar
_PER_DOLLAR = {
    "USD": Decimal(1),
    "NZD": Decimal("1.68"),
    "AUD": Decimal("1.52"),
    "GBP": Decimal("0.78"),
    "EUR": Decimal("0.92"),
    "CAD": Decimal("1.37"),
    "SGD": Decimal("1.34"),
    "JPY": Decimal("151.3"),
}
CURRENCIES = frozenset(_PER_DOLLAR)


def rate_errors(rate: Decimal) -> list[str]:
    """Return the errors of a rate. Xero keeps six places; a rate that is zero at these, or too
    high, is refused.
    """
    return (
        []
        if SIX_PLACES <= rate < 1_000_000_000
        else ["The currency rate must be greater than zero."]
    )


def day_rate(base: str, currency: str) -> Decimal | None:
    """Return the units of `currency` for one of `base`, as in Xero's CurrencyRate, or None for an
    unknown currency.
    """
    if currency not in _PER_DOLLAR:
        return None
    return round_to(_PER_DOLLAR[currency] / _PER_DOLLAR[base], SIX_PLACES)
