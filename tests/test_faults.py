"""No fault of docs/faults.md is without a test, and what it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

from tests.chaos.cases import CASES

ROOT = Path(__file__).resolve().parent.parent
LINE = re.compile(r"^\| (F\d\d) \| (.+?) \| (.+) \|$", re.MULTILINE)
NUMBERS = [*range(1, 15), *range(20, 38), *range(40, 52), *range(60, 78)]


def table() -> dict[str, str]:
    lines = LINE.findall((ROOT / "docs" / "faults.md").read_text())
    assert len(lines) == len({number for number, _, _ in lines})
    return {number: tests for number, _, tests in lines}


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_fault_has_a_test() -> None:
    assert list(table()) == [f"F{number:02}" for number in NUMBERS]
    assert all("::test_" in tests or "`make chaos`" in tests for tests in table().values())


def test_every_test_that_is_named_is_there() -> None:
    named = [
        test
        for tests in table().values()
        for test in re.findall(r"`(tests/\S+?)::(test_\w+)`", tests)
    ]
    assert [f"{path}::{name}" for path, name in named if name not in functions(path)] == []


def test_every_case_of_make_chaos_is_named() -> None:
    named = {number for number, tests in table().items() if "`make chaos`" in tests}
    assert named == set(CASES)
