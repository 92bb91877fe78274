import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.xero.sandbox.accounting.api import Api, invoice, line
from xero.sandbox.accounting import Request

# fields of an invoice whose values are of the wrong kind
UNREADABLE: list[dict[str, Any]] = [
    {"Date": "2017-12-14 00:00:00"},
    {"Date": "2026-02-30"},
    {"Date": 20260101},
    {"DueDate": "tomorrow"},
    {"Type": "INVOICE"},
    {"Status": "OPEN"},
    {"LineItems": {}},
    {"LineItems": [1]},
    {"Contact": "Bob"},
    {"Contact": {"ContactID": "x"}},
    {"LineItems": [line(Quantity="many")]},
    {"LineItems": [line(UnitAmount=True)]},
    {"LineItems": [line(UnitAmount="1e999")]},
    {"LineItems": [line(UnitAmount="NaN")]},
    {"SentToContact": "maybe"},
    {"Date": "/Date(99999999999999999)/"},
    {"CurrencyRate": [1]},
    {"Reference": {"a": 1}},
]


@pytest.mark.parametrize(
    "path",
    [
        "/Invoices/not-an-id",
        "/Invoices/11111111-1111-1111-1111-111111111111",
        "/Contacts/x",
        "/Payments/x",
        "/Accounts/090",
        "/Items/nope",
        "/Nothing",
        "/",
        "",
    ],
)
def test_unknown_records_and_paths_are_404_in_html(api: Api, path: str) -> None:
    answer = api.call("GET", path)
    assert answer.status == 404
    assert "The resource you're looking for cannot be found" in answer.body


def test_unknown_organisation_is_404(api: Api) -> None:
    assert api.books.handle("nobody", "", Request("GET", "/Invoices", {}, {}, b"")).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/CreditNotes"),
        ("GET", "/Reports/ProfitAndLoss"),
        ("PUT", "/Accounts"),
        ("POST", "/Items"),
        ("GET", "/Invoices/11111111-1111-1111-1111-111111111111/History"),
        ("PUT", "/TaxRates"),
        ("POST", "/Organisation"),
        ("GET", "/Organisation/Actions"),
    ],
)
def test_what_only_xero_has_is_501(api: Api, method: str, path: str) -> None:
    answer = api.call(method, path)
    assert (answer.status, answer.body["ErrorNumber"], answer.body["Type"]) == (
        501,
        20,
        "ApiMethodNotImplementedException",
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/Invoices"), ("PATCH", "/Contacts"), ("PUT", "/Invoices/INV-0001")],
)
def test_other_methods_are_not_allowed(api: Api, method: str, path: str) -> None:
    assert api.call(method, path).status == 405


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"\xff\xfe",
        b'{"Invoices":[]}',
        b'{"Invoices":[1]}',
        b'{"Invoices":"x"}',
        b'{"Type":"ACCREC","Total":NaN}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"Invoices":[null]}',
        *(json.dumps(invoice(**fields)).encode() for fields in UNREADABLE),
        b"<Invoices>",
        b"<Nope/>",
        b'<!DOCTYPE x [<!ENTITY e "boo">]><Invoices><Invoice><Type>&e;</Type></Invoice></Invoices>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x [<!ENTITY e "boo">]><Invoice/>'.encode(
            "utf-16"
        ),
    ],
)
def test_unreadable_bodies_are_post_data_invalid(api: Api, body: bytes) -> None:
    headers = {"content_type": "text/xml"} if b"<" in body[:8] else {}
    answer = api.call("PUT", "/Invoices", body, None, **headers)
    assert (answer.status, answer.body["ErrorNumber"], answer.body["Type"]) == (
        400,
        14,
        "PostDataInvalidException",
    )


def test_bodies_over_the_limit_are_refused(api: Api) -> None:
    assert api.call("PUT", "/Invoices", b" " * 3_500_001).status == 413


def test_dates_are_taken_in_each_of_xeros_forms(api: Api) -> None:
    for form in (
        "2026-11-02",
        "2026-11-02T00:00:00",
        "/Date(1793577600000+0000)/",
        "/Date(1793577600000)/",
    ):
        assert api.invoice(Date=form)["DateString"] == "2026-11-02T00:00:00"


def test_ids_in_paths_match_in_any_case(api: Api) -> None:
    made = api.invoice()
    assert api.one(f"/Invoices/{made['InvoiceID'].upper()}") == made
    assert (
        api.write("POST", f"/invoices/{made['InvoiceID'].upper()}", {"Reference": "R"})["Reference"]
        == "R"
    )


def test_posting_an_unknown_id_is_404_and_changes_nothing(api: Api) -> None:
    unknown = "11111111-1111-1111-1111-111111111111"
    for path in (f"/Invoices/{unknown}", f"/Contacts/{unknown}"):
        assert api.call("POST", path, {"Name": "x"}).status == 404
    assert api.call("POST", "/Invoices", invoice(InvoiceID=unknown)).messages == [
        "The invoice with the specified InvoiceID could not be found"
    ]


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=True),
    st.text(max_size=12),
    st.just("2026-11-01"),
    st.sampled_from(["ACCREC", "ACCPAY", "AUTHORISED", "DELETED", "200", "NONE", "090"]),
    st.integers(-(10**30), 10**30),
)
names = st.sampled_from(
    "Type Contact Name ContactID LineItems Quantity UnitAmount LineAmount AccountCode TaxType Date DueDate Status"
    " Amount Invoice InvoiceID Account Code Tracking Option Phones PhoneType Addresses PaymentTerms Sales Day"
    " CurrencyCode CurrencyRate Url DiscountRate".split()
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=6)),
    max_leaves=25,
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from(["/Invoices", "/Contacts", "/Payments"]),
    st.sampled_from(["PUT", "POST"]),
    st.dictionaries(names, values, max_size=10),
    st.sampled_from(["true", "false"]),
)
def test_no_body_breaks_the_books(
    api: Api, path: str, method: str, body: dict[str, Any], summarize: str
) -> None:
    sent = json.dumps(body).encode()
    answer = api.call(method, path, sent, {"summarizeErrors": summarize})
    assert answer.status in {200, 400}


def test_mutated_bodies_never_break_the_books(api: Api) -> None:
    good = json.dumps(invoice(LineItems=[line(Tracking=[{"Name": "Region", "Option": "North"}])]))
    chance = random.Random(7)
    for _ in range(300):
        place, width = chance.randrange(len(good)), chance.randrange(4)
        body = (
            good[:place]
            + chance.choice(['"', "{", "9", "null", "-", "", "\\u0000"])
            + good[place + width :]
        )
        assert api.call("POST", "/Invoices", body.encode()).status in {200, 400}
