"""The grammar of `where` expressions, parsed into typed nodes that evaluate a document.

expression  := conjunction (("OR" | "||") conjunction)*
conjunction := condition (("AND" | "&&") condition)*
condition   := "!" condition | "(" expression ")" | operand [comparison operand]
operand     := field | literal | Guid("…") | DateTime(y, m, d) | operand "." method "(" [literal] ")"
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID

from xero.sandbox.accounting.errors import QueryParse
from xero.sandbox.accounting.nodes import (
    CHANGES,
    COMPARE,
    MINUS,
    OPEN,
    SAME,
    TESTS,
    TOKEN,
    Field,
    Node,
    as_instant,
    literal,
    unquoted,
)
from xero.sandbox.accounting.wire import read_date, to_ms

DEEPEST = 50  # levels of brackets and "!"


class Parser:
    def __init__(self, text: str, fields: Mapping[str, Field], resource: str) -> None:
        self.fields = fields
        self.resource = resource
        self.tokens = self._tokens(text.strip())
        self.place = 0
        self.depth = 0

    def expression(self) -> Node:
        return self._chain(self._conjunction, {"or", "||"}, any)

    def end(self) -> None:
        if self.place < len(self.tokens):
            self._fail("Syntax error")

    def _chain(
        self, part: Callable[[], Node], joins: set[str], join: Callable[[Any], bool]
    ) -> Node:
        nodes = [part()]
        while self._peek() in joins:
            self.place += 1
            nodes.append(part())
        if len(nodes) == 1:
            return nodes[0]
        if any(node.type != "bool" for node in nodes):
            self._fail("Operator incompatible with operand types")
        # one indexed condition narrows an AND, an OR needs every one
        optimised = (any if join is all else all)(node.optimised for node in nodes)
        return Node(
            "bool",
            lambda document: join(node.evaluate(document) for node in nodes),
            "yes" if optimised else "",
        )

    def _conjunction(self) -> Node:
        return self._chain(self._condition, {"and", "&&"}, all)

    def _condition(self) -> Node:
        if self._peek() == "!":
            self.place += 1
            self._deeper()
            inner = self._condition()
            self.depth -= 1
            if inner.type != "bool":
                self._fail("Operator '!' incompatible with operand type")
            return Node("bool", lambda document: not inner.evaluate(document))
        left = self._operand()
        sign = SAME.get(self._peek(), self._peek())
        if sign not in COMPARE:
            return left
        self.place += 1
        return self._compared(left, sign, self._operand())

    def _compared(self, left: Node, sign: str, right: Node) -> Node:
        types = {left.type, right.type} - {"null"}
        if types == {"date", "instant"}:
            left, right = as_instant(left), as_instant(right)
        elif len(types) > 1 or (types <= {"text", "guid", "bool"} and sign not in {"==", "!="}):
            self._fail(
                f"Operator '{sign}' incompatible with operand types '{left.type}' and '{right.type}'"
            )
        compare, get_left, get_right = COMPARE[sign], left.evaluate, right.evaluate
        kinds = {
            left.optimised or ("literal" if left.literal else ""),
            right.optimised or ("literal" if right.literal else ""),
        }
        optimised = "literal" in kinds and ("range" in kinds or ("equal" in kinds and sign == "=="))
        if right.literal:
            value = get_right({})
            return Node(
                "bool",
                lambda document: compare(get_left(document), value),
                "yes" if optimised else "",
            )
        return Node(
            "bool",
            lambda document: compare(get_left(document), get_right(document)),
            "yes" if optimised else "",
        )

    def _operand(self) -> Node:
        self._deeper()
        kind, token = self._next()
        if token == OPEN:
            node = self.expression()
            self._expect(")")
        elif kind == "text":
            node = literal("text", unquoted(token))
        elif kind == "number" or token == MINUS:
            node = literal("number", self._number(token))
        elif kind == "name":
            node = self._named(token)
        else:
            self._fail("Expression expected")
        while self._peek() == ".":
            self.place += 1
            node = self._method(node)
        self.depth -= 1
        return node

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            self._fail("Expression too deep")

    def _number(self, token: str) -> Decimal:
        sign = Decimal(-1) if token == MINUS else Decimal(1)
        digits = self._next()[1] if token == MINUS else token
        digits = digits.rstrip("mMdD")
        if not digits.replace(".", "", 1).isdigit():
            self._fail("Expression expected")
        return sign * Decimal(digits)

    def _named(self, name: str) -> Node:
        lower = name.lower()
        if lower in {"true", "false"}:
            return literal("bool", lower == "true")
        if lower == "null":
            return literal("null", None)
        if lower == "guid" and self._peek() == "(":
            return literal("guid", self._guid())
        if lower == "datetime":
            return self._datetime()
        path = [name]
        while self._peek() == "." and ".".join([*path, self._ahead(1)]).lower() in self._prefixes():
            self.place += 2
            path.append(self.tokens[self.place - 1][1])
        field = self.fields.get(".".join(path).lower())
        if field is None:
            self._fail(f"No property or field '{path[-1]}' exists in type '{self.resource}'")
        return Node(field.type, field.get, field.optimised)

    def _prefixes(self) -> set[str]:
        return {
            ".".join(parts[:n])
            for parts in (name.split(".") for name in self.fields)
            for n in range(1, len(parts) + 1)
        }

    def _guid(self) -> str:
        self._expect("(")
        kind, token = self._next()
        self._expect(")")
        try:
            return (
                str(UUID(unquoted(token))) if kind == "text" else self._fail("Guid needs a string")
            )
        except ValueError:
            self._fail("Guid should contain 32 digits with 4 dashes")

    def _datetime(self) -> Node:
        if self._peek() == ".":
            self.place += 1
            if self._next()[1].lower() != "parse":
                self._fail("No such method of type 'DateTime'")
            self._expect("(")
            kind, token = self._next()
            self._expect(")")
            return self._moment(unquoted(token) if kind == "text" else "")
        self._expect("(")
        numbers = [self._whole()]
        while self._peek() == ",":
            self.place += 1
            numbers.append(self._whole())
        self._expect(")")
        if len(numbers) not in {3, 6, 7}:
            self._fail("No applicable constructor exists in type 'DateTime'")
        try:
            day = date(*numbers[:3])
            hour, minute, second, millisecond = ([*numbers[3:], 0, 0, 0, 0])[:4]
            moment = datetime.combine(day, time(hour, minute, second, millisecond * 1000))
        except ValueError:
            self._fail("Year, Month, and Day parameters describe an un-representable DateTime")
        return (
            literal("date", day.isoformat())
            if len(numbers) == 3
            else literal("instant", to_ms(moment))
        )

    def _moment(self, text: str) -> Node:
        day = read_date(text)
        if day is None:
            self._fail("String was not recognized as a valid DateTime")
        if "T" not in text or text.rstrip("Z").endswith("T00:00:00"):
            return literal("date", day)
        return literal("instant", to_ms(datetime.fromisoformat(text)))

    def _whole(self) -> int:
        kind, token = self._next()
        if kind != "number" or not token.isdigit() or len(token) > 6:
            self._fail("Integer expected")
        return int(token)

    def _method(self, node: Node) -> Node:
        name = self._next()[1]
        self._expect("(")
        lower, get = name.lower(), node.evaluate
        texts = node.type == "text" or (node.type == "guid" and lower == "tostring")
        if texts and lower in CHANGES:
            self._expect(")")
            change = CHANGES[lower]
            return Node(
                "text", lambda document: None if (value := get(document)) is None else change(value)
            )
        if not texts or lower not in TESTS:
            self._fail(f"No applicable method '{name}' exists in type '{node.type}'")
        argument = self._operand()
        self._expect(")")
        if argument.type != "text":
            self._fail(f"No applicable method '{name}' exists in type 'String'")
        test = TESTS[lower]
        return Node(
            "bool", lambda document: test(get(document) or "", argument.evaluate(document) or "")
        )

    def _tokens(self, text: str) -> list[tuple[str, str]]:
        out, place = [], 0
        while place < len(text):
            match = TOKEN.match(text, place)
            if match is None:
                raise QueryParse(f"Syntax error '{text[place]}' (at index {place})")
            kind = match.lastgroup or ""
            out.append((kind, match[kind]))
            place = match.end()
        return out

    def _peek(self) -> str:
        if self.place >= len(self.tokens):
            return ""
        kind, token = self.tokens[self.place]
        return token.lower() if kind != "text" else '"'

    def _ahead(self, by: int) -> str:
        place = self.place + by
        return self.tokens[place][1] if place < len(self.tokens) else ""

    def _next(self) -> tuple[str, str]:
        if self.place >= len(self.tokens):
            self._fail("Expression expected")
        self.place += 1
        return self.tokens[self.place - 1]

    def _expect(self, sign: str) -> None:
        if self._peek() != sign:
            self._fail(f"'{sign}' expected")
        self.place += 1

    def _fail(self, message: str) -> NoReturn:
        raise QueryParse(message)
