"""Expressions: exact, typed, strict, and always ending (table C4 of the reliability rules)."""

import json
import subprocess
import sys
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.environment import ROOT
from workflows.definition.expressions import (
    ExpressionError,
    evaluate_text,
    fill_values,
    has_expression,
    list_references,
    parse_text,
)

DATA = {
    "trigger": {"resource_id": "d3b1c1f4", "number": 7},
    "steps": {
        "invoice": {
            "Total": Decimal("1150.00"),
            "InvoiceNumber": "INV-0042",
            "DueDateString": "2026-01-31T00:00:00",
            "Sent": True,
            "Reference": None,
            "Contact": {"Name": "Ridgeway “& Sons” {{ trigger.number }}"},
            "LineItems": [
                {"Amount": Decimal("0.1"), "Code": "200"},
                {"Amount": Decimal("0.2"), "Code": "310"},
            ],
        }
    },
}

VALUES = {
    "plain text": "plain text",
    "{{ trigger.number }}": 7,
    "{{ steps.invoice.Total }}": Decimal("1150.00"),
    "{{ steps.invoice.Sent }}": True,
    "{{ steps.invoice.LineItems[1].Code }}": "310",
    "{{ steps.invoice.LineItems | last | default: 'x' }}": {
        "Amount": Decimal("0.2"),
        "Code": "310",
    },
    "{{ steps.invoice.Total | times: 0.15 | round: 2 }}": Decimal("172.50"),
    "{{ 0.1 | plus: 0.2 }}": Decimal("0.3"),
    "{{ 10 | divided_by: 4 }}": Decimal("2.5"),
    "{{ 2.675 | round: 2 }}": Decimal("2.68"),
    "{{ 2.665 | round: 2 }}": Decimal("2.67"),
    "{{ 7 | modulo: 4 }}": Decimal(3),
    "{{ -2.5 | abs | ceil }}": Decimal(3),
    "{{ 2.5 | floor }}": Decimal(2),
    "{{ 5 | at_most: 3 }}": Decimal(3),
    "{{ steps.invoice.LineItems | sum: 'Amount' }}": Decimal("0.3"),
    "{{ steps.invoice.LineItems | map: 'Code' | join: '+' }}": "200+310",
    "{{ steps.invoice.LineItems | size }}": 2,
    "{{ steps.invoice.Missing | default: 'none' }}": "none",
    "{{ steps.invoice.Reference | default: 'none' }}": "none",
    "{{ steps.invoice.DueDateString | date: '%d/%m/%Y' }}": "31/01/2026",
    "{{ steps.invoice.DueDateString | add_days: 30 }}": "2026-03-02",
    "{{ steps.invoice.DueDateString | end_of_month: 1 }}": "2026-02-28",
    "{{ steps.invoice.InvoiceNumber | downcase | replace: 'inv', 'bill' }}": "bill-0042",
    "{{ steps.invoice.InvoiceNumber | truncate: 5 }}": "INV-…",
    "{{ 'a, b' | split: ', ' | first }}": "a",
    "{{steps.invoice.InvoiceNumber}} is {{ steps.invoice.Total }}.": "INV-0042 is 1150.00.",
    "due {{ steps.invoice.Reference }}": "due ",
    "{{ steps.invoice.Sent }}!": "true!",
}


@pytest.mark.parametrize(("text", "expected"), VALUES.items(), ids=VALUES.keys())
def test_value(text: str, expected: Any) -> None:
    found = evaluate_text(text, DATA)
    assert (found, type(found)) == (expected, type(expected))


REFUSED = {
    "{{ steps.invoice.Missing }}": "steps.invoice.Missing is undefined (line 1, column 4).",
    "a {{ steps.gone.Total }}": "steps.gone is undefined (line 1, column 6).",
    "{{ steps.invoice.Total | explode }}": "unknown filter 'explode' (line 1, column 26).",
    "{{ 1 | divided_by: 0 }}": "Division by zero. In {{ 1 | divided_by: 0 }}.",
    "{{ 'x' | plus: 1 }}": "A number is needed, not “x”. In {{ 'x' | plus: 1 }}.",
    "{{ 'soon' | date }}": "A date such as 2026-11-23 is needed, not “soon”. In {{ 'soon' | date }}.",
    "total {{ steps.invoice }}": "This is a group of values; name one of them. In {{ steps.invoice }}.",
    "{{ (1..1000000000) | size }}": "Ranges are not available. In {{ (1..1000000000) | size }}.",
    "{{ 'NaN' | plus: 1 }}": "The number is out of range (at most 40 digits). In {{ 'NaN' | plus: 1 }}.",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=REFUSED.keys())
def test_refusal_says_what_and_where(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate_text(text, DATA)
    assert str(caught.value) == message


HOSTILE = {
    "loops": "{% for a in (1..1000) %}{% for b in (1..1000) %}{{ a }}{% endfor %}{% endfor %}",
    "raw": "{% raw %}{{ trigger.number }}{% endraw %}",
    "unclosed": "{{ trigger.number",
    "parentheses": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "nested brackets": "{{ a" + "[a" * 3000 + "]" * 3000 + " }}",
    "many filters": "{{ 1" + " | plus: 1" * 1900 + " | explode }}",
    "growing": "{{ 'x'"
    + " | append: 'xxxxxxxxxxxxxxxxxxxx'" * 50
    + "| replace: 'x', '"
    + "y" * 100
    + "' }}",
    "replace nothing": "{{ 'x' | replace: '', 'yyyyyyyyyyyyyyyyyyyy' }}",
    "replace chain": "{{ 'x'" + " | replace: 'x', 'xxxxxxxxxxxxxxxxxxxx'" * 7 + " }}",
    "squaring": "{{ 999999999" + " | times: 999999999" * 40 + " }}",
    "exponent": "{{ '1e999999' | plus: 1 }}",
    "class": "{{ trigger.__class__.__mro__ }}",
    "string class": "{{ ''.__class__ }}",
    "format": "{{ '{0.__class__}' | format }}",
    "too long": "x{{ 1 }}" * 5000,
    "long output": "{{ steps.invoice.InvoiceNumber | append: 'x' }}" * 400 + "x" * 100,
    "unknown name": "{{ os.environ }}",
    "tiny exponent": "a {{ 1 | at_least: 0 | at_most: '1e-999999999' }}",
    "wide glue": "{{ '"
    + "a," * 900
    + "' | split: ',' | join: '"
    + "😀" * 200
    + "' | split: '😀' | join: '"
    + "😀" * 300
    + "' }}",
    "join by itself": "{% raw %}",
    "glue of glue": "{{ 'x' " + "| append: '" + "😀" * 900 + "' " + "| split: '' | join: 'x' }}",
    "many expressions": "{{ 1" + " | plus: 1" * 150 + " | explode }}" + "{{ 1 | plus: 1 }}" * 1000,
    "braces only": "{{ '{{' }}" * 2000,
    "open braces": "{{" * 9_000,
    "quotes": "{{ '" * 4_000,
    "pipes": "{{ 1" + "|" * 1_900 + " }}",
    "nested lists": "{{ a" + "[0]" * 600 + " }}",
    "deep path": "{{ a" + ".b" * 900 + " }}",
    "huge literal": "{{ " + "9" * 1_900 + " | times: 2 }}",
    "huge float": "{{ 1e400 | plus: 1 }}",
    "percent widths": "{{ '2026-01-01' | date: '" + "%999999Y" * 12 + "' | plus: 1 }}",
    "far day": "{{ '9999-12-31' | add_days: 36525 }}",
    "wide characters": "{{ 'ﬃ' " + "| append: 'ﬃﬃﬃﬃﬃﬃﬃﬃﬃﬃ' | upcase " * 50 + "| explode }}",
    "regular expression": "{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' | replace: '(a+)+$', 'x' | plus: 1 }}",
}
ENDS_WELL = {"long output", "braces only"}


@pytest.fixture(scope="module")
def ends() -> dict[str, dict[str, Any]]:
    """Return what a child process with 64 MB to spare reports about each hostile text."""
    child = [sys.executable, "-m", "tests.workflows.hostile_child"]
    given = json.dumps(HOSTILE)
    done = subprocess.run(
        child, input=given, capture_output=True, text=True, check=True, cwd=ROOT, timeout=120
    )
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_ends_quickly_and_small(ends: dict[str, dict[str, Any]], name: str) -> None:
    assert ends[name]["ended"] == ("value" if name in ENDS_WELL else "ExpressionError")
    assert ends[name]["seconds"] < 0.5  # of that process's own time, whatever else the machine does


def test_data_is_never_read_as_an_expression() -> None:
    assert (
        evaluate_text("{{ steps.invoice.Contact.Name }}", DATA)
        == "Ridgeway “& Sons” {{ trigger.number }}"
    )


def test_output_of_odd_characters_survives() -> None:
    assert evaluate_text("a {{ x }}", {"x": "\x00\ud800"}) == "a \x00\ud800"


def test_fill_keeps_shapes_and_types() -> None:
    found = fill_values(
        {"a": ["{{ trigger.number }}", 3, None], "b": {"c": "n {{ trigger.number }}"}}, DATA
    )
    assert found == {"a": [7, 3, None], "b": {"c": "n 7"}}


def test_has_expression_looks_everywhere() -> None:
    assert has_expression({"a": [{"b": "{{ x }}"}]})
    assert not has_expression({"a": [{"b": "x"}], "c": 3})


def test_references_lists_the_paths_that_are_read() -> None:
    text = (
        "{{ steps.invoice.Total | plus: trigger.number }} {{ steps['invoice'].LineItems[0].Code }}"
    )
    assert list_references(text) == [
        "steps.invoice.Total",
        "trigger.number",
        "steps.invoice.LineItems[0].Code",
    ]


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=2, min_value=-(10**10), max_value=10**10
    )
)
def test_adding_and_taking_away_is_exact(amount: Decimal) -> None:
    assert evaluate_text("{{ x | plus: 0.1 | minus: 0.1 }}", {"x": amount}) == amount


@given(st.text(max_size=200))
def test_any_text_is_a_value_or_a_clean_refusal(text: str) -> None:
    with suppress(ExpressionError):  # anything else fails the test
        parse_text(text)
        evaluate_text(text, DATA)
