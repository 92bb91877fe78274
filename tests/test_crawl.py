"""A crawl of everything: every URL, persona and method; odd queries, forms and records. No 500
anywhere.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
import requests
from django.db import transaction
from django.test import Client

from connections.models import Connection
from taskjuice.demo.browsing import Form, Page
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection
from tests.generated_records import ID_FIELDS, generate_records
from tests.personas import PERSONAS, address
from tests.test_urls import TABLE, cast, values
from xero.models import Invoice, Ledger
from xero.sync import schedule as sync_schedule
from xero.sync import upsert

__all__ = ["cast", "values"]  # fixtures

METHODS = ("head", "put", "patch", "delete", "options", "trace")  # GET and POST: tests/test_urls.py
RECORDS = {
    "invoices": 1000,
    "contacts": 350,
    "payments": 350,
    "accounts": 150,
    "items": 150,
}  # 2,000 in all
PAGES = {
    "invoices": "invoices",
    "contacts": "contacts",
    "payments": "payments",
    "accounts": "accounts",
    "items": "items",
}
ODD_QUERIES = (
    "page=0&q=%00&sort=nothing&order=up&state=x&client=%27&from=9999-99-99&to=0000-00-00&at=1e99",
    "page=99999999999999999999&q=%ED%A0%80&status=DRAFT&status=PAID&from=2026-02-30&least=NaN&most=Infinity",
    f"q={'9' * 5000}&page=-1&kind=%3Cscript%3E&currency=%F0%9F%8D%8A&cursor=%7B%7D&after=x&before=x&ids=1,2,x",
)
ODD_TEXTS = (
    "\x00",
    "1e999999999",
    "[" * 5000,
    "9" * 6000,
    "{{ 'a' | sum }}{% x %}",
    "\ud7ff٥²½ -0 <b>",
    "[1e99999999999999]",
)


def find_failure(
    client: Client, ask: Callable[..., Any], path: str, *arguments: Any, **options: Any
) -> str:
    """Return what went wrong with one request, or nothing; all that it changed is undone."""
    cookies = deepcopy(client.cookies)
    try:
        with transaction.atomic():
            response = ask(path, *arguments, **options)
            if response.streaming:
                response.getvalue()  # what fails while it is sent fails here
            transaction.set_rollback(True)
    except Exception as error:  # noqa: BLE001 - it is the finding
        return f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        client.cookies = cookies
    return str(response.status_code) if response.status_code >= 500 else ""


@pytest.mark.parametrize("who", PERSONAS)
def test_no_method_of_any_url_fails(
    who: str, cast: dict[str, Client], values: dict[str, object]
) -> None:
    client, failures = cast[who], {}
    for route, row in TABLE.items():
        path = address(route, row, values)
        for method in METHODS:
            failures[f"{method} {path}"] = find_failure(client, getattr(client, method), path)
    assert {where: what for where, what in failures.items() if what} == {}


def test_no_odd_query_fails(cast: dict[str, Client], values: dict[str, object]) -> None:
    client, failures = cast["owner"], {}
    for route, row in TABLE.items():
        for query in ODD_QUERIES:
            path = f"{address(route, row, values)}?{query}"
            failures[path[:200]] = find_failure(
                client, client.get, path, headers={"HX-Request": "true"}
            )
    assert {where: what for where, what in failures.items() if what} == {}


def test_no_odd_form_fails(cast: dict[str, Client], values: dict[str, object]) -> None:
    """Each form of each page that the owner sees, sent with the same oddity in every field."""
    client, failures = cast["owner"], {}
    for form in list(collect_forms(client, values)):
        for text in ODD_TEXTS:
            sent: dict[str, Any] = dict.fromkeys((name for name, _ in form.fields), text)
            sent |= dict.fromkeys(form.choices, text)
            sent |= dict(form.buttons[:1])
            where = f"{form.action} {text[:12]!r}"
            failures[where] = find_failure(client, client.post, form.action, sent)
    assert len(failures) > 100
    assert {where: what for where, what in failures.items() if what} == {}


def collect_forms(client: Client, values: dict[str, object]) -> Iterator[Form]:
    """Every form that posts, once for each address, read from the pages as a browser would."""
    seen = set()
    for route, row in TABLE.items():
        path = address(route, row, values)
        response = client.get(path)
        if response.status_code != 200 or not response.get("Content-Type", "").startswith(
            "text/html"
        ):
            continue
        for form in parse_page(path, response.content).forms:
            key = (form.action.partition("?")[0], tuple(name for name, _ in form.fields))
            if (
                form.method == "post"
                and key not in seen
                and not form.action.endswith("/accounts/logout/")
            ):
                seen.add(key)
                yield form


def parse_page(path: str, content: bytes) -> Page:
    answer = requests.Response()
    answer.url, answer.status_code, answer._content = path, 200, content
    answer.encoding = "utf-8"
    return Page(answer)


@pytest.fixture
def books(workspace: Workspace) -> Connection:
    """A connection whose ledger holds 2,000 generated records."""
    link = make_connection(workspace, name="Harbour & Vine")
    sync_schedule.start_reading(link)
    Ledger.objects.update(base_currency="NZD", short_code="!ab1Cd")
    for kind, count in RECORDS.items():
        upsert.store_records(link, kind, list(generate_records(kind, count, seed=1)))
    return link


def test_no_generated_record_fails(
    as_member: Client, workspace: Workspace, books: Connection
) -> None:
    home, failures = f"/{workspace.agency.slug}/{workspace.slug}", {}
    for kind, count in RECORDS.items():
        records = generate_records(kind, count, seed=1)
        paths = [f"{home}/{kind}/{record[ID_FIELDS[kind]]}/" for record in records]
        for path in [
            f"{home}/{kind}/",
            f"{home}/{kind}/export/",
            f"{home}/{kind}/?status=all&q=e",
            *paths,
        ]:
            failures[path] = find_failure(as_member, as_member.get, path)
    assert len(failures) == sum(RECORDS.values()) + 3 * len(RECORDS)
    assert {where: what for where, what in failures.items() if what} == {}
    assert (
        Invoice.objects.count() > RECORDS["invoices"] / 2
    )  # those whose amounts are none are left out
