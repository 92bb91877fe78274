"""Conditions: rows of field · operator · value, joined by all or any."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from workflows.definition.evaluation_budget import BudgetSpent, evaluation_budget, spend_elements
from workflows.definition.expression_filters import FilterError, as_text, to_date, to_number
from workflows.definition.expressions import ExpressionError, MissingValueError, evaluate_text

OPERATORS = {
    "equals": "equals",
    "not-equals": "does not equal",
    "contains": "contains",
    "not-contains": "does not contain",
    "starts-with": "starts with",
    "is-empty": "is empty",
    "is-not-empty": "is not empty",
    "greater": "is greater than",
    "at-least": "is at least",
    "less": "is less than",
    "at-most": "is at most",
    "before": "is before (date)",
    "after": "is after (date)",
    "in-list": "is one of (comma separated)",
    "not-in-list": "is none of (comma separated)",
    "is-true": "is true",
    "is-false": "is false",
}
WITHOUT_VALUE = frozenset({"is-empty", "is-not-empty", "is-true", "is-false"})


def check_condition(condition: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[bool, str]:
    """Check whether a condition holds for the data, and say in words what did not.

    The condition is {"match": "all"|"any", "rows": [{"field", "operator", "value"}]}; one without
    rows holds.
    """
    rows = condition.get("rows") or []
    with evaluation_budget():
        verdicts = [_row_holds(row, data) for row in rows]
    whole = any if condition.get("match") == "any" else all
    refused = [reason for good, reason in verdicts if not good]
    return (whole(good for good, _ in verdicts) if rows else True), "; ".join(refused)


def _row_holds(row: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[bool, str]:
    operator = row["operator"]
    left = _evaluate(row["field"], data, empty_is_fine=operator in {"is-empty", "is-not-empty"})
    right = None if operator in WITHOUT_VALUE else evaluate_text(str(row.get("value", "")), data)
    try:
        good = compare_values(left, operator, right)
    except (FilterError, BudgetSpent) as error:
        raise ExpressionError(
            f"{error} In the condition {row['field']} {OPERATORS[operator]}."
        ) from error
    return good, f"{_short(left)} {OPERATORS[operator]} {_short(right)}".strip() + " did not hold"


def _evaluate(field: str, data: Mapping[str, Any], *, empty_is_fine: bool) -> Any:
    """Evaluate a field; a missing name is an error unless the operator looks for emptiness."""
    try:
        return evaluate_text(field, data)
    except MissingValueError:
        if empty_is_fine:
            return None
        raise


def compare_values(left: Any, operator: str, right: Any) -> bool:
    """Check `left operator right`; raise FilterError where the values do not suit the operator."""
    if operator not in COMPARISONS:
        raise FilterError(f"The operator “{operator}” is not known.")
    return COMPARISONS[operator](left, right)


def _amount(value: Any) -> Decimal:
    """Read a number as people type amounts: `1,000` is a thousand."""
    return to_number(value.replace(",", "") if isinstance(value, str) else value)


def _same(left: Any, right: Any) -> bool:
    """Compare numbers by value and texts without regard to case."""
    try:
        return to_number(left) == _amount(right)
    except FilterError:
        return as_text(left).casefold() == as_text(right).casefold()


def _contains(left: Any, right: Any) -> bool:
    if isinstance(left, list):
        spend_elements(len(left))
        return any(_same(element, right) for element in left)
    return as_text(right).casefold() in as_text(left).casefold()


def _short(value: Any) -> str:
    if isinstance(value, list | dict):
        return "the list" if isinstance(value, list) else "the record"
    text = as_text(value)
    return f"{text[:60]}…" if len(text) > 60 else text


def _is_one_of(left: Any, right: Any) -> bool:
    """Check whether `right` names the value: a list from an expression, or comma-separated text."""
    elements = (
        right if isinstance(right, list) else [part.strip() for part in as_text(right).split(",")]
    )
    spend_elements(len(elements))
    return any(_same(left, element) for element in elements)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": _same,
    "not-equals": lambda left, right: not _same(left, right),
    "contains": _contains,
    "not-contains": lambda left, right: not _contains(left, right),
    "starts-with": lambda left, right: (
        as_text(left).casefold().startswith(as_text(right).casefold())
    ),
    "is-empty": lambda left, _: left in (None, "", [], {}),
    "is-not-empty": lambda left, _: left not in (None, "", [], {}),
    "greater": lambda left, right: to_number(left) > _amount(right),
    "at-least": lambda left, right: to_number(left) >= _amount(right),
    "less": lambda left, right: to_number(left) < _amount(right),
    "at-most": lambda left, right: to_number(left) <= _amount(right),
    "before": lambda left, right: to_date(left) < to_date(right),
    "after": lambda left, right: to_date(left) > to_date(right),
    "in-list": _is_one_of,
    "not-in-list": lambda left, right: not _is_one_of(left, right),
    "is-true": lambda left, _: left is True or as_text(left).casefold() in {"true", "yes", "1"},
    "is-false": lambda left, _: left is False or as_text(left).casefold() in {"false", "no", "0"},
}
