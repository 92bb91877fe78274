"""Expressions in step inputs: Liquid without tags, so that evaluation always ends; numbers are exact.

A text that is nothing but one `{{ expression }}` keeps its type; any other text renders to a string.
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
from liquid.exceptions import LiquidError
from liquid.expression import Expression
from liquid.template import BoundTemplate
from liquid.token import TOKEN_CONTENT, TOKEN_ILLEGAL, TOKEN_OUTPUT

from workflows.filters import FILTERS, FilterError, as_text, exact

MAX_SOURCE = 20_000  # characters of one field
MAX_EXPRESSION = 2_000  # characters between braces; parsing takes more than linear time
MAX_RESULT = 50_000  # characters of one rendered field
KEPT = 2_000  # characters of a text that is kept parsed


BRACED = re.compile(r"\{\{(.*?)(?:\}\}|\Z)", re.DOTALL)


class ExpressionError(Exception):
    """Says what is wrong with an expression and where, in words for its author."""


class _WithoutTags(Environment):
    output_stream_limit = MAX_RESULT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        kept = {TOKEN_CONTENT, TOKEN_OUTPUT, TOKEN_ILLEGAL}
        self.tags = {name: tag for name, tag in self.tags.items() if name in kept}
        self.filters = dict(FILTERS)


ENVIRONMENT = _WithoutTags(undefined=StrictUndefined)


def parse(text: str) -> BoundTemplate:
    """The parsed text; raises ExpressionError with line and column. Long ones are not kept: parsed, they are large."""
    return _parse_short(text) if len(text) <= KEPT else _parse(text)


@lru_cache(maxsize=2048)
def _parse_short(text: str) -> BoundTemplate:
    return _parse(text)


def _parse(text: str) -> BoundTemplate:
    if "{%" in text:
        raise ExpressionError("Tags ({% … %}) are not available; use {{ expressions }} only.")
    if len(text) > MAX_SOURCE:
        raise ExpressionError(f"This text is longer than {MAX_SOURCE:,} characters.")
    if any(len(part) > MAX_EXPRESSION for part in BRACED.findall(text)):
        raise ExpressionError(f"An expression in {{{{ }}}} is longer than {MAX_EXPRESSION:,} characters.")
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


def evaluate(text: str, data: Mapping[str, Any], encode: Callable[[str], str] | None = None) -> Any:
    """The value of `text` with `data` in reach; raises ExpressionError.

    With `encode` always a text, in which what the expressions gave went through it.
    """
    if "{{" not in text and "{%" not in text:
        return text
    template = parse(text)
    context = RenderContext(template, globals=data)
    nodes = template.nodes
    if len(nodes) == 1 and isinstance(nodes[0], OutputNode) and encode is None:
        return _value(nodes[0], context)
    parts: list[str] = []
    size = 0
    for node in nodes:
        if isinstance(node, ContentNode):
            part = node.text
        else:
            part = encode(_text(node, context)) if encode else _text(node, context)
        size += len(part)
        if size > MAX_RESULT:
            raise ExpressionError(f"The result is longer than {MAX_RESULT:,} characters.")
        parts.append(part)
    return "".join(parts)


def fill(value: Any, data: Mapping[str, Any]) -> Any:
    """`value` with every text in it evaluated: lists and mappings keep their shape."""
    match value:
        case str():
            return evaluate(value, data)
        case list():
            return [fill(element, data) for element in value]
        case dict():
            return {key: fill(element, data) for key, element in value.items()}
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


def references(text: str) -> list[str]:
    """The paths that a text reads, as typed: `steps.invoice.Total`."""
    return [str(e) for e in _all_expressions(parse(text).nodes) if isinstance(e, Path)]


def paths(text: str) -> list[list[Any]]:
    """The same paths in parts: ["steps", "invoice", "Total"]; a computed part is a Path itself."""
    return [list(e.path) for e in _all_expressions(parse(text).nodes) if isinstance(e, Path)]


def _text(node: Node, context: RenderContext) -> str:
    value = _value(node, context)
    try:
        return as_text(value)
    except FilterError as error:
        raise ExpressionError(f"{error} In {node}.") from error


def _value(node: Node, context: RenderContext) -> Any:
    assert isinstance(node, OutputNode)  # tags do not parse
    try:
        return exact(node.expression.evaluate(context))
    except FilterError as error:
        raise ExpressionError(f"{error} In {node}.") from error
    except LiquidError as error:
        raise ExpressionError(_in_words(error)) from error


def _all_expressions(nodes: Iterable[Node]) -> Iterable[Expression]:
    for node in nodes:
        for expression in node.expressions():
            yield from _with_children(expression)


def _with_children(expression: Expression) -> Iterable[Expression]:
    yield expression
    for child in expression.children():
        yield from _with_children(child)


def _in_words(error: LiquidError) -> str:
    place = error.context()
    where = f" (line {place[0]}, column {place[1] + 1})" if place else ""
    return f"{error.message}{where}."
