"""Who gets which answer where: the words in which tests/test_urls.py writes its table."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver

from taskjuice.workspaces.gate import ADMIN, LEVELS, OWN, READ, WORK

PERSONAS = ("anonymous", "stranger", "client_user", "member", "admin", "owner")
LEVEL_OF = {"client_user": READ, "member": WORK, "admin": ADMIN, "owner": OWN}

Answers = dict[str, int]  # persona → status
Rule = Callable[[str], Answers]  # from a route


def everybody(status: int, **exceptions: int) -> Rule:
    return lambda route: dict.fromkeys(PERSONAS, status) | exceptions


not_offered = everybody(405)


def tenant(level: str, status: int) -> Rule:
    """The gate's answers: sign-in for the anonymous, 404 for strangers, 403 below `level`, `status`
    for the rest.

    A client's own user is a stranger to the agency, and reads inside their workspace.
    """

    def answers(route: str) -> Answers:
        staff = {who: status if _may(who, level) else 403 for who in LEVEL_OF}
        outside = {} if "<slug:workspace>" in route else {"client_user": 404}
        return {"anonymous": 302, "stranger": 404} | staff | outside

    return answers


def _may(who: str, level: str) -> bool:
    return LEVELS.index(LEVEL_OF[who]) >= LEVELS.index(level)


@dataclass(frozen=True)
class Row:
    """The status each persona gets from a GET and from an empty POST.

    `at` is the path to ask where the route is a regular expression. `token_free`: the POST needs no
    CSRF token, since it proves itself otherwise.
    """

    get: Rule = not_offered
    post: Rule = not_offered
    at: str = ""
    token_free: bool = False


def page(level: str, status: int = 200) -> Row:
    """Inside the gate, to look at."""
    return Row(get=tenant(level, status))


def action(level: str, status: int = 302) -> Row:
    """Inside the gate, to do something: POST only."""
    return Row(post=tenant(level, status))


def form(level: str, status: int = 200) -> Row:
    """Inside the gate, a page that also takes what was filled in; `status` answers an empty form."""
    return Row(get=tenant(level, 200), post=tenant(level, status))


def personal(get: int = 200, post: int | None = None) -> Row:
    """For whoever is signed in."""
    return Row(
        get=everybody(get, anonymous=302),
        post=not_offered if post is None else everybody(post, anonymous=302),
    )


def routes() -> list[str]:
    """Every route of the project, as written in the URLconfs."""
    return list(_walk(get_resolver().url_patterns))


def _walk(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, route)
        else:
            yield route


def address(route: str, row: Row, values: Mapping[str, object]) -> str:
    """The path to ask: each `<converter:name>` of the route filled from `values`."""
    return "/" + (row.at or re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(values[match[1]]), route))
