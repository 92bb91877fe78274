"""Conditions: operators per type, all or any, and reasons in words."""

from decimal import Decimal
from typing import Any

import pytest

from workflows.definition.conditions import OPERATORS, check_condition, compare_values
from workflows.definition.expressions import ExpressionError

TRUE = [
    (Decimal("1000.01"), "greater", "1,000"),
    (1000, "at-least", "1000.00"),
    (Decimal("999.99"), "less", "1,000"),
    ("1000", "at-most", 1000),
    (Decimal("10.0"), "equals", "10"),
    ("PAID", "equals", "paid"),
    ("PAID", "not-equals", "DRAFT"),
    ("Ridgeway University", "contains", "UNIVERSITY"),
    (["200", "310"], "contains", "310"),
    ("INV-0042", "not-contains", "bill"),
    ("INV-0042", "starts-with", "inv-"),
    (None, "is-empty", None),
    ([], "is-empty", None),
    (0, "is-not-empty", None),
    ("2026-01-31T00:00:00", "before", "2026-02-01"),
    ("2026-02-01", "after", "2026-01-31"),
    ("AUTHORISED", "in-list", "draft, authorised"),
    ("310", "in-list", ["200", 310]),
    ("PAID", "not-in-list", "draft, authorised"),
    (True, "is-true", None),
    ("false", "is-false", None),
]
FALSE = [
    (1000, "greater", "1,000"),
    (None, "is-not-empty", None),
    ("2026-02-01", "before", "2026-02-01"),
    ("PAID", "in-list", "draft, authorised"),
    ("draft", "not-in-list", "draft, authorised"),
    ("yes", "is-false", None),
]


@pytest.mark.parametrize(("left", "operator", "right"), TRUE)
def test_compare_holds(left: Any, operator: str, right: Any) -> None:
    assert compare_values(left, operator, right) is True


@pytest.mark.parametrize(("left", "operator", "right"), FALSE)
def test_compare_does_not_hold(left: Any, operator: str, right: Any) -> None:
    assert compare_values(left, operator, right) is False


def test_every_operator_is_tried_here() -> None:
    assert {operator for _, operator, _ in TRUE} == set(OPERATORS)


def condition(match: str, *rows: tuple[str, str, str]) -> dict[str, Any]:
    return {"match": match, "rows": [{"field": f, "operator": o, "value": v} for f, o, v in rows]}


OVER = ("{{ x }}", "greater", "5")
UNDER = ("{{ x }}", "less", "9")


@pytest.mark.parametrize(
    ("match", "x", "expected"),
    [("all", 7, True), ("all", 3, False), ("any", 3, True), ("any", 12, True)],
)
def test_rows_are_joined(match: str, x: int, expected: bool) -> None:
    assert check_condition(condition(match, OVER, UNDER), {"x": x})[0] is expected


def test_reason_names_the_values() -> None:
    assert check_condition(condition("all", OVER), {"x": 3}) == (
        False,
        "3 is greater than 5 did not hold",
    )


def test_value_may_be_an_expression() -> None:
    assert (
        check_condition(
            condition("all", ("{{ x }}", "equals", "{{ y }}")), {"x": 3, "y": Decimal("3.00")}
        )[0]
        is True
    )


def test_missing_name_is_an_error_unless_emptiness_is_asked() -> None:
    assert check_condition(condition("all", ("{{ gone }}", "is-empty", "")), {})[0] is True
    with pytest.raises(ExpressionError, match="gone"):
        check_condition(condition("all", ("{{ gone }}", "equals", "1")), {})


def test_comparing_text_with_a_number_says_so() -> None:
    with pytest.raises(ExpressionError, match="A number is needed, not “soon”"):
        check_condition(condition("all", ("{{ x }}", "greater", "5")), {"x": "soon"})
