"""docs/roles.md says what is so: its tables against the table of personas and against the ranks."""

import re
from pathlib import Path

import pytest

from taskjuice.workspaces.ranks import outranks
from tests.personas import LEVEL_OF
from tests.test_urls import TABLE

ROLES = (Path(__file__).parent.parent / "docs" / "roles.md").read_text()
COLUMNS = ("client_user", "member", "admin", "owner")
YES = {"yes": True, "no": False}
REFUSED = {403, 404}


def cells(text: str) -> list[list[str]]:
    """The rows of all tables in a Markdown text, without their outer bars."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


DEEDS = [row for row in cells(ROLES) if len(row) == 6 and "`" in row[1]]
RANKS = [row for row in cells(ROLES) if len(row) == 5 and row[0] in LEVEL_OF]


@pytest.mark.parametrize("row", DEEDS, ids=lambda row: row[0])
def test_role_table_says_what_each_person_is_answered(row: list[str]) -> None:
    asked = re.fullmatch(r"(GET|POST) `(.+)`", row[1])
    assert asked is not None
    method, route = asked.groups()
    answers = (TABLE[route].get if method == "GET" else TABLE[route].post)(route)
    said = {who: YES[cell] for who, cell in zip(COLUMNS, row[2:], strict=True)}
    assert said == {who: answers[who] not in REFUSED for who in COLUMNS}


def test_role_table_names_all_that_is_done_to_a_team() -> None:
    named = {row[1].split("`")[1] for row in DEEDS}
    assert [route for route in TABLE if "/team/" in route and route not in named] == []


@pytest.mark.parametrize("row", RANKS, ids=lambda row: row[0])
def test_rank_table_says_whom_one_may_act_on(row: list[str]) -> None:
    others = ("client", "member", "admin", "owner")
    said = [YES[cell] for cell in row[1:]]
    assert said == [outranks(row[0], other) for other in others]


def test_tables_of_the_roles_are_read() -> None:
    assert (len(DEEDS) > 20, [row[0] for row in RANKS]) == (True, ["member", "admin", "owner"])
