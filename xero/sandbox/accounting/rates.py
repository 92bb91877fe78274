"""Day rates between currencies: fixed, so that the same request always gives the same books."""

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
    """Xero keeps six places; a rate of none of them, or beyond all currencies, is refused."""
    return (
        []
        if SIX_PLACES <= rate < 1_000_000_000
        else ["The currency rate must be greater than zero."]
    )


def day_rate(base: str, currency: str) -> Decimal | None:
    """Units of `currency` for one of `base`, as Xero's CurrencyRate; None for a currency no
    organisation here has.
    """
    if currency not in _PER_DOLLAR:
        return None
    return round_to(_PER_DOLLAR[currency] / _PER_DOLLAR[base], SIX_PLACES)
