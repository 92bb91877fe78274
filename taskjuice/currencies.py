"""The number of decimals that amounts of a currency have.

Xero keeps two for every currency, also for those with three (the totals of KWD are rounded to
cents). Amounts of currencies without a smaller unit are typed and shown whole; where Xero has
calculated a fraction all the same, it is shown.
"""

from decimal import Decimal

# ISO 4217: no minor unit
WHOLE = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
XEROS = 2


def count_decimals(currency: str) -> int:
    """Return the number of decimals that a person may type."""
    return 0 if currency in WHOLE else XEROS


def count_shown_decimals(amount: Decimal, currency: str) -> int:
    """Return the number of decimals with which a page shows this amount."""
    return XEROS if amount != amount.to_integral_value() else count_decimals(currency)
