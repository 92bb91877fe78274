"""Every regular expression of the product, found in its code, against long hostile text.

Time is compared with the pattern's own on shorter text: four times the text may cost about four
times as much.
"""

import ast
import importlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import get_converters

from taskjuice.logs import SecretFilter
from tests.environment import ROOT

PACKAGES = ("taskjuice", "connections", "xero", "workflows")
METHODS = {"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
VALIDATORS = {"RegexValidator", "RegexField"}
# Put together while running: the module, and one as it comes out there.
BUILT = {
    "taskjuice/logs.py": SecretFilter(["aaaa-aaaa-aaab", "session-session-key"]).known,
    "xero/line_forms.py": re.compile(r"lines-(\d{1,4})-(\w+)", re.ASCII),
}
SHORT, TIMES = 750, 4  # characters, and how many times as many the long text has
MOST = 9.0  # times the time; a pattern with nested steps needs 16 times as long, or 64
FLOOR = 0.005  # seconds below which nothing is told about growth
WORDS = [
    *r"""session- csrf session_ a A 0 - _ . / @ , ; = : " ' \ \\ \u0000 \ud800 \udc00 {{ }} {{a { } ( ) [ ] # % + é
    eyJ eyJaaaaaa- gAAAAA A1a Aa bearer token= token: password code SECRET SECRET_ KEY KEYS_ /link/ /link /calls/
    /Date( 1,111 1. 0x0 a. a- a@ a@a. <a "" "\" 2026-01-01T 2026- +1 {{}} {{a, }, TO TO( ('""".split(),
    *(" ", "\n", "\t ", "token ", "a ", "{{ ", "1 1 ", "= ", "session =", '"\\', "\x00"),
]
ENDS = ("", "!", "\x00 ")
# CPython issue 106052, in Debian 12's Python 3.11.2: a group repeated without giving back may give
# back all the same.
POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)(?:[*+?]|\{[\d,]+\})\+|\(\?>")
Use = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern, where it stands, and how the code asks it."""

    where: str
    pattern: re.Pattern[str] | re.Pattern[bytes]
    methods: frozenset[str]


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, ast.parse(path.read_text())


def _name(node: ast.expr) -> str:
    return (
        node.attr
        if isinstance(node, ast.Attribute)
        else node.id
        if isinstance(node, ast.Name)
        else ""
    )


def _is_re(call: ast.Call) -> bool:
    return (
        isinstance(call.func, ast.Attribute)
        and _name(call.func.value) == "re"
        and call.func.attr != "escape"
    )


def _pattern(path: Path, call: ast.Call) -> re.Pattern[str] | re.Pattern[bytes]:
    """The pattern as the code has it, its flags included; one that is put together stands in BUILT."""
    where = str(path.relative_to(ROOT))
    text = next((word.value for word in call.keywords if word.arg == "regex"), None) or call.args[0]
    module = vars(importlib.import_module(where.removesuffix(".py").replace("/", ".")))
    names = {node.id for node in ast.walk(text) if isinstance(node, ast.Name)}
    if not names <= module.keys():
        built = BUILT[where]
        assert built is not None
        return built
    flags = [word.value for word in call.keywords if word.arg == "flags"]
    flags += [arg for arg in call.args if ast.unparse(arg).startswith("re.")]
    value = eval(ast.unparse(text), module)
    return re.compile(value, *[eval(ast.unparse(flag), {"re": re}) for flag in flags[:1]])


def _asked_as() -> dict[str, set[str]]:
    """By the name of a compiled pattern, the methods that any code calls on it; one handed on
    counts as searched.
    """
    asked: dict[str, set[str]] = {}
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                asked.setdefault(_name(node.value), set()).add(node.attr)
    return asked


def patterns() -> Iterator[Found]:
    asked = _asked_as()
    for path, tree in sources():
        named = {
            id(part): _name(target)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for part in ast.walk(node.value)
            for target in node.targets
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            where = f"{path.relative_to(ROOT)}:{call.lineno}"
            if _is_re(call):
                assert isinstance(call.func, ast.Attribute)
                name, kind = named.get(id(call), ""), call.func.attr
                methods = asked.get(name, {"search"}) if kind == "compile" else {kind}
                yield Found(where, _pattern(path, call), frozenset(methods))
            elif _name(call.func) in VALIDATORS:
                yield Found(where, _pattern(path, call), frozenset({"search"}))
    for name, converter in get_converters().items():
        yield Found(
            f"converter {name}", re.compile(rf"^{converter.regex}\Z"), frozenset({"search"})
        )
    for route, pattern in routes():
        yield Found(f"route {route}", pattern, frozenset({"search"}))


def routes() -> Iterator[tuple[str, re.Pattern[str]]]:
    waiting: list[Any] = list(get_resolver().url_patterns)
    while waiting:
        entry: URLPattern | URLResolver = waiting.pop()
        yield str(entry.pattern), entry.pattern.regex
        waiting += getattr(entry, "url_patterns", [])


FOUND = list({(one.pattern, one.methods): one for one in patterns()}.values())


def uses(found: Found) -> Iterator[Use]:
    for method in sorted(found.methods):
        asked = getattr(found.pattern, "findall" if method == "finditer" else method)
        if method in ("sub", "subn"):
            asked = partial(asked, found.pattern.pattern[:0])
        yield asked if isinstance(found.pattern.pattern, str) else partial(_encoded, asked)


def _encoded(use: Callable[[bytes], object], text: str) -> object:
    return use(text.encode("utf-8", "surrogatepass"))


def hostile(found: Found) -> list[str]:
    """Pieces to repeat: those that patterns of this product are about, and the words of this one."""
    own = re.findall(r"[A-Za-z]{2,}|[^\w\s]", _text(found))
    return list(
        dict.fromkeys([*WORDS, *own, *(f"{word}-" for word in own), *(f"{word} " for word in own)])
    )


def _text(found: Found) -> str:
    written = found.pattern.pattern
    return written if isinstance(written, str) else written.decode()


def seconds(use: Use, text: str) -> float:
    best = float("inf")
    for _ in range(2):
        began = time.thread_time()
        use(text)
        best = min(best, time.thread_time() - began)
    return best


def growth(use: Use, piece: str, end: str) -> float:
    """How many times as long the long text takes; 1 where that is too quick to tell."""
    short = piece * (SHORT // len(piece))
    began = time.thread_time()
    use(short * TIMES + end)
    if time.thread_time() - began < FLOOR:
        return 1.0
    return seconds(use, short * TIMES + end) / max(seconds(use, short + end), FLOOR / TIMES / 4)


@pytest.mark.parametrize("found", FOUND, ids=lambda found: found.where)
def test_pattern_needs_time_in_proportion_to_the_text(found: Found) -> None:
    slow = [
        (piece, end, round(times, 1))
        for use in uses(found)
        for piece in hostile(found)
        for end in ENDS
        if (times := growth(use, piece, end)) > MOST and growth(use, piece, end) > MOST
    ]
    assert slow == []


@pytest.mark.parametrize("found", FOUND, ids=lambda found: found.where)
def test_pattern_is_matched_alike_by_every_python(found: Found) -> None:
    assert POSSESSIVE_GROUP.search(_text(found)) is None


def test_patterns_are_really_found() -> None:
    places = {found.where.split(":")[0] for found in FOUND}
    assert {
        "taskjuice/logs.py",
        "workflows/builder/widgets.py",
        "taskjuice/workspaces/models.py",
        "converter slug",
    } <= places
    assert len(FOUND) > 150


def test_measure_tells_a_quadratic_pattern() -> None:
    assert growth(re.compile(r"[\w-]*session[\w-]*=").search, "a-", "") > MOST
    assert growth(re.compile(r"(?<![\w-])[\w-]*+=").search, "a-", "") < MOST
