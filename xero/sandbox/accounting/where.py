"""The `where` and `order` parameters of the API as Python functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from xero.sandbox.accounting.errors import QueryParse
from xero.sandbox.accounting.expression import Parser
from xero.sandbox.accounting.ledger import Document
from xero.sandbox.accounting.nodes import Field

LONGEST = 4000  # characters


@dataclass(frozen=True)
class Filter:
    matches: Callable[[Document], bool]
    optimised: bool


def parse_where(text: str, fields: Mapping[str, Field], resource: str) -> Filter:
    """Parse a whole, well-typed expression over `fields` (lower-case names). Raises QueryParse for
    anything else.
    """
    if len(text) > LONGEST:
        raise QueryParse("The where expression is too long")
    parser = Parser(text, fields, resource)
    node = parser.expression()
    parser.end()
    if node.type != "bool":
        raise QueryParse("Expression of type 'Boolean' expected")
    return Filter(lambda document: bool(node.evaluate(document)), bool(node.optimised))


def parse_order(text: str, fields: Mapping[str, Field], resource: str) -> list[tuple[Field, bool]]:
    """Parse "Date DESC, InvoiceNumber" into [(field, descending)]."""
    out = []
    for part in text.split(","):
        words = part.split()
        direction = words[1].upper() if len(words) == 2 else "ASC"
        if len(words) not in {1, 2} or direction not in {"ASC", "DESC", "ASCENDING", "DESCENDING"}:
            raise QueryParse(f"Syntax error in order '{text[:100]}'")
        field = fields.get(words[0].lower())
        if field is None:
            raise QueryParse(f"No property or field '{words[0]}' exists in type '{resource}'")
        out.append((field, direction.startswith("DESC")))
    return out
