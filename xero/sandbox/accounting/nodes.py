"""The nodes of a `where` expression: typed, and able to evaluate a document."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from xero.sandbox.accounting.ledger import Document
from xero.sandbox.accounting.wire import to_ms

Evaluate = Callable[[Document], Any]


@dataclass(frozen=True)
class Field:
    """A field of a document.

    `type` is text, guid, number, date, instant or bool; `optimised` is True if Xero has an index
    for it.
    """

    type: str
    get: Evaluate
    optimised: str = ""  # "", "equal" or "range"


@dataclass(frozen=True)
class Node:
    type: str  # a field's type, or "null"
    evaluate: Evaluate
    optimised: str = ""
    literal: bool = False


TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.|"")*")|(?P<number>\d+(?:\.\d+)?[mMdD]?)|(?P<name>[A-Za-z_]\w*)
    |(?P<sign>==|!=|<>|>=|<=|&&|\|\||[=<>()!,.\-]))""",
    re.VERBOSE,
)
COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left is not None and right is not None and left < right,
    "<=": lambda left, right: left is not None and right is not None and left <= right,
    ">": lambda left, right: left is not None and right is not None and left > right,
    ">=": lambda left, right: left is not None and right is not None and left >= right,
}
MINUS, OPEN = "-", "("
SAME = {"=": "==", "<>": "!="}
TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda whole, part: part in whole,
    "startswith": lambda whole, part: whole.startswith(part),
    "endswith": lambda whole, part: whole.endswith(part),
}
CHANGES: Mapping[str, Callable[[str], str]] = {
    "tolower": str.lower,
    "toupper": str.upper,
    "trim": str.strip,
    "tostring": str,
}


def literal(type: str, value: Any) -> Node:
    return Node(type, lambda _: value, literal=True)


def as_instant(node: Node) -> Node:
    if node.type != "date":
        return node
    get = node.evaluate
    return Node(
        "instant",
        lambda document: (
            None if (day := get(document)) is None else to_ms(datetime.fromisoformat(day))
        ),
        node.optimised,
        node.literal,
    )


def unquoted(token: str) -> str:
    return re.sub(r'\\(.)|""', lambda match: match[1] or '"', token[1:-1])
