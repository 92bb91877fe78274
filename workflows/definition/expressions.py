"""Expressions in step inputs: Liquid without tags, so that evaluation always ends.

Numbers are exact. A text that is nothing but one `{{ expression }}` keeps its type; any other text
renders to a string.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from liquid import Environment, StrictUndefined
from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import Path
from liquid.builtin.output import OutputNode
from liquid.context import RenderContext
from liquid.exceptions import LiquidError, UndefinedError
from liquid.expression import Expression
from liquid.template import BoundTemplate
from liquid.token import TOKEN_CONTENT, TOKEN_ILLEGAL, TOKEN_OUTPUT

from taskjuice.json_dates import as_iso
from workflows.definition import evaluation_budget
from workflows.definition.evaluation_budget import BudgetSpent, spend_elements, spend_text
from workflows.definition.expression_filters import (
    FILTERS,
    FilterError,
    NothingThereError,
    as_text,
    to_exact,
)

MAX_SOURCE = 20_000  # characters of one field
MAX_EXPRESSION = 2_000  # characters between braces; parsing takes more than linear time
MAX_RESULT = 50_000  # characters of one rendered field
KEPT = 2_000  # characters of a text that is kept parsed


BRACED = re.compile(r"\{\{(.*?)(?:\}\}|\Z)", re.DOTALL)


class ExpressionError(Exception):
    """An error in an expression; the text says where it is, in words for its author."""


class MissingValueError(ExpressionError):
    """A missing name or list element; the expression itself is correct."""


class _WithoutTags(Environment):
    output_stream_limit = MAX_RESULT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        kept = {TOKEN_CONTENT, TOKEN_OUTPUT, TOKEN_ILLEGAL}
        self.tags = {name: tag for name, tag in self.tags.items() if name in kept}
        self.filters = dict(FILTERS)


ENVIRONMENT = _WithoutTags(undefined=StrictUndefined)


def parse_text(text: str) -> BoundTemplate:
    """Parse the text; raise ExpressionError with line and column."""
    return _parse_short(text) if len(text) <= KEPT else _parse(text)


@lru_cache(maxsize=2048)
def _parse_short(text: str) -> BoundTemplate:
    return _parse(text)


def _parse(text: str) -> BoundTemplate:
    if "{%" in text:
        raise ExpressionError("Tags ({% … %}) are not available; use {{ expressions }} only.")
    if len(text) > MAX_SOURCE:
        raise ExpressionError(f"This text is longer than {MAX_SOURCE:,} characters.")
    try:
        spend_text(len(text))
    except BudgetSpent as error:
        raise ExpressionError(str(error)) from error
    if any(len(part) > MAX_EXPRESSION for part in BRACED.findall(text)):
        raise ExpressionError(
            f"An expression in {{{{ }}}} is longer than {MAX_EXPRESSION:,} characters."
        )
    try:
        template = ENVIRONMENT.from_string(text)
        for expression in _all_expressions(template.nodes):
            validate = getattr(expression, "filters", None) or ()
            for used in validate:
                used.validate_filter_arguments(ENVIRONMENT)
    except LiquidError as error:
        raise ExpressionError(_in_words(error)) from error
    except RecursionError as error:
        raise ExpressionError("This expression is nested too deeply.") from error
    return template


def evaluate_text(
    text: str, data: Mapping[str, Any], encode: Callable[[str], str] | None = None
) -> Any:
    """Return the value of `text` with `data` in reach; raise ExpressionError.

    `encode` is applied to each expression's result; the value is then always a text.
    """
    if "{{" not in text and "{%" not in text:
        return text
    if evaluation_budget.is_open():
        return _evaluate(text, data, encode)
    with evaluation_budget.evaluation_budget():
        return _evaluate(text, data, encode)


def _evaluate(text: str, data: Mapping[str, Any], encode: Callable[[str], str] | None) -> Any:
    template = parse_text(text)
    context = RenderContext(template, globals=data)
    nodes = template.nodes
    if len(nodes) == 1 and isinstance(nodes[0], OutputNode) and encode is None:
        return _evaluate_node(nodes[0], context, _keep_type)
    parts: list[str] = []
    size = 0
    for node in nodes:
        if isinstance(node, ContentNode):
            part = node.text
        else:
            part = _evaluate_node(node, context, as_text)
            part = encode(part) if encode else part
        size += len(part)
        if size > MAX_RESULT:
            raise ExpressionError(f"The result is longer than {MAX_RESULT:,} characters.")
        parts.append(part)
    return "".join(parts)


def fill_values(value: Any, data: Mapping[str, Any]) -> Any:
    """Return `value` with every text in it evaluated; lists and mappings keep their shape."""
    match value:
        case str():
            return evaluate_text(value, data)
        case list():
            return [fill_values(element, data) for element in value]
        case dict():
            return {key: fill_values(element, data) for key, element in value.items()}
        case _:
            return value


def has_expression(value: Any) -> bool:
    match value:
        case str():
            return "{{" in value or "{%" in value
        case list():
            return any(has_expression(element) for element in value)
        case dict():
            return any(has_expression(element) for element in value.values())
        case _:
            return False


def list_references(text: str) -> list[str]:
    """List the paths that a text reads, as typed: `steps.invoice.Total`."""
    return [str(e) for e in _all_expressions(parse_text(text).nodes) if isinstance(e, Path)]


def list_paths(text: str) -> list[list[Any]]:
    """List the paths that a text reads, in parts: ["steps", "invoice", "Total"].

    A computed part is a Path itself.
    """
    return [list(e.path) for e in _all_expressions(parse_text(text).nodes) if isinstance(e, Path)]


def list_required_paths(text: str) -> list[list[Any]]:
    """List the paths that must exist for the text to evaluate; a `default` filter exempts its
    own.
    """
    required: list[list[Any]] = []
    for node in parse_text(text).nodes:
        for expression in node.expressions():
            used = getattr(expression, "filters", None) or ()
            spared = (
                getattr(expression, "left", None) if used and used[0].name == "default" else None
            )
            required += [
                list(part.path)
                for part in _with_children(expression)
                if isinstance(part, Path) and part is not spared
            ]
    return required


def _evaluate_node(node: Node, context: RenderContext, take: Callable[[Any], Any]) -> Any:
    """Evaluate a node and convert its value with `take`; raise ExpressionError on any failure."""
    assert isinstance(node, OutputNode)  # tags do not parse
    try:
        spend_elements()
        return take(to_exact(node.expression.evaluate(context)))
    except NothingThereError as error:
        raise MissingValueError(f"{error} In {node}.") from error
    except (FilterError, BudgetSpent) as error:
        raise ExpressionError(f"{error} In {node}.") from error
    except UndefinedError as error:
        raise MissingValueError(_in_words(error)) from error
    except LiquidError as error:
        raise ExpressionError(_in_words(error)) from error
    except (
        ArithmeticError,
        RecursionError,
        ValueError,
    ) as error:  # beyond what a filter thought of
        raise ExpressionError(
            f"This cannot be worked out ({type(error).__name__}). In {node}."
        ) from error


def _keep_type(value: Any) -> Any:
    """Return the value with its type kept, except that dates read as everywhere else.

    The result is stored with the step, so its content is spent from the budget.
    """
    if isinstance(value, str):
        spend_text(len(value))
        return as_iso(value)
    pending = [value]
    while pending:
        match pending.pop():
            case str(text):
                spend_text(len(text))
            case list(elements):
                spend_elements(len(elements))
                pending += [
                    element for element in elements if isinstance(element, str | list | dict)
                ]
            case dict(record):
                spend_elements(len(record))
                pending += [
                    element for element in record.values() if isinstance(element, str | list | dict)
                ]
    return value


def _all_expressions(nodes: Iterable[Node]) -> Iterable[Expression]:
    for node in nodes:
        for expression in node.expressions():
            yield from _with_children(expression)


def _with_children(expression: Expression) -> Iterable[Expression]:
    yield expression
    for child in expression.children():
        yield from _with_children(child)


def _in_words(error: LiquidError) -> str:
    position = error.context()
    where = f" (line {position[0]}, column {position[1] + 1})" if position else ""
    return f"{error.message}{where}."
