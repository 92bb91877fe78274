"""Any record of Xero's OpenAPI file, any field gone, any amount as text or "": every page and form
shows it.
"""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection
from tests.xero.sandbox import openapi
from xero.documents import choices
from xero.models import Item, Ledger
from xero.sync import schedule as sync_schedule
from xero.sync import upsert
from xero.sync.mapping import KINDS

pytestmark = pytest.mark.django_db

RECORDS = {
    "invoices": ("Invoice", "InvoiceID"),
    "contacts": ("Contact", "ContactID"),
    "payments": ("Payment", "PaymentID"),
    "accounts": ("Account", "AccountID"),
    "items": ("Item", "ItemID"),
}
FORMS = {"contacts", "accounts", "items"}  # their records are offered by the forms of new documents
DEEPEST = 3
DAYS = st.dates(date(2020, 1, 1), date(2030, 12, 31))
CHANGED = "/Date(1795167600000+0000)/"


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    found = make_connection(workspace)
    sync_schedule.start_reading(found)
    Ledger.objects.update(base_currency="NZD")
    return found


def amounts() -> st.SearchStrategy[Any]:
    exact = st.decimals(Decimal(-(10**9)), Decimal(10**9), places=4, allow_nan=False)
    return st.one_of(exact, exact.map(str), st.just(""), st.none())


def texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def values(schemas: dict[str, Any], schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        return records(schemas, schema, depth + 1) if depth < DEEPEST else st.just({})
    match schema.get("type"):
        case "array":
            return st.lists(values(schemas, schema["items"], depth), max_size=2) | st.none()
        case "number" | "integer":
            return amounts()
        case "boolean":
            return st.booleans() | st.none()
    if schema.get("enum"):
        return st.sampled_from([*map(str, schema["enum"]), ""])
    if schema.get("format") == "uuid":
        return st.uuids().map(str) | st.just("") | st.just(str(UUID(int=0)))
    if schema.get("x-is-msdate"):
        return DAYS.map(lambda day: f"{day.isoformat()}T00:00:00") | st.just("")
    return texts()


def records(
    schemas: dict[str, Any], schema: dict[str, Any], depth: int = 0
) -> st.SearchStrategy[Any]:
    """Of an object: each field may be gone."""
    fields = schema["properties"].items()
    optional = {name: values(schemas, field, depth) for name, field in fields}
    return st.fixed_dictionaries({}, optional=optional)


@pytest.mark.parametrize("kind", RECORDS)
def test_every_page_shows_any_record(kind: str, as_member: Client, connection: Connection) -> None:
    schemas = openapi.load("accounting.yaml")["components"]["schemas"]
    name, id_field = RECORDS[kind]
    shown: list[UUID] = []

    @settings(max_examples=12, suppress_health_check=list(HealthCheck), database=None)
    @given(records(schemas, schemas[name]), st.uuids(version=4))
    def show(record: dict[str, Any], xero_id: UUID) -> None:
        body = record | {id_field: str(xero_id), "UpdatedDateUTC": CHANGED}
        if kind == "invoices":
            body["Type"] = "ACCREC"
        if not KINDS[kind].map_bodies([body])[0]:
            return
        upsert.store_records(connection, kind, [body])
        place = "/northwind/harbour-cafe"
        paths = [f"{kind}/{xero_id}/", f"{kind}/", f"{kind}/?q=a", f"{kind}/export/"]
        if kind == "invoices":
            paths += [f"payments/new/?invoice={xero_id}", f"invoices/{xero_id}/void/"]
        if kind in FORMS:
            named = f"?contact={xero_id}" if kind == "contacts" else ""
            paths += [f"{form}{named}" for form in ("invoices/new/", "bills/new/", "payments/new/")]
        answers = {path: as_member.get(f"{place}/{path}").status_code for path in paths}
        assert set(answers.values()) == {200}, answers
        shown.append(xero_id)
        for item in Item.objects.filter(xero_id=xero_id):
            for type in ("ACCREC", "ACCPAY"):
                choices.read_item_fields(connection, item.code, type)

    show()
    assert shown
