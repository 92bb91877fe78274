"""How many decimals amounts of a currency have.

As Xero has it: it keeps two for every currency, also for those with three (KWD: its totals are
rounded to cents). Those without a smaller unit are typed and shown whole; where Xero has worked out
a fraction all the same, it is shown.
"""

from decimal import Decimal

# ISO 4217: no minor unit
WHOLE = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
XEROS = 2


def places(currency: str) -> int:
    """Of amounts that a person types."""
    return 0 if currency in WHOLE else XEROS


def shown(amount: Decimal, currency: str) -> int:
    """Of this amount on a page."""
    return XEROS if amount != amount.to_integral_value() else places(currency)
