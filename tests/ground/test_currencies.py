from decimal import Decimal

import pytest

from taskjuice import currencies
from taskjuice.site.templatetags.taskjuice import amount


@pytest.mark.parametrize(
    ("currency", "places"), [("JPY", 0), ("NZD", 2), ("KWD", 2), ("", 2), ("XXX", 2)]
)
def test_places_are_those_that_xero_keeps(currency: str, places: int) -> None:
    assert currencies.count_decimals(currency) == places


@pytest.mark.parametrize(
    ("number", "currency", "base", "shown"),
    [
        ("1500", "JPY", "JPY", "1,500"),
        ("1500.50", "JPY", "JPY", "1,500.50"),  # what Xero has is never hidden
        ("1500", "", "JPY", "1,500"),
        ("-1500", "KRW", "KRW", "\u22121,500"),
        ("0", "JPY", "JPY", "0"),
        ("1500", "KWD", "KWD", "1,500.00"),
        ("1500", "", "", "1,500.00"),
    ],
)
def test_amounts_have_the_decimals_of_their_currency(
    number: str, currency: str, base: str, shown: str
) -> None:
    assert amount(Decimal(number), currency, base) == f'<span class="amount">{shown}</span>'
