"""What an answer says of what was asked: reasons and warnings with their places, and whether it is
an answer at all.
"""

from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from connections import errors
from xero.api import answers
from xero.api import errors as xero_errors
from xero.records import wire

ID = "5c8ef2d1-6d2f-4a53-9d24-0d5b0b9a6f11"  # fixed: it stands in the names of tests
ZERO = "00000000-0000-0000-0000-000000000000"


def said(message: str) -> dict[str, Any]:
    return {"ValidationErrors": [{"Message": message}]}


@pytest.mark.parametrize(
    ("element", "reasons"),
    [
        (said("No"), ["No"]),
        ({"LineItems": [{}, {}, said("No account")]}, ["Line 3: No account"]),
        ({"LineItems": [{"Tracking": [{}, said("Gone")]}]}, ["Line 1, tracking 2: Gone"]),
        ({"Contact": said("Archived")}, ["Contact: Archived"]),
        (
            {"Contact": {"Addresses": [{}, said("Too long")], "Phones": [said("No digits")]}},
            ["Contact, address 2: Too long", "Contact, phone 1: No digits"],
        ),
        ({"Account": said("Not a bank")}, ["Account: Not a bank"]),
        ({"Invoice": {"Contact": {"PaymentTerms": said("Day")}}}, ["Invoice, contact, payment terms: Day"]),
        ({**said("No account"), "LineItems": [said("No account")]}, ["Line 1: No account"]),
        ({"LineItems": [said("Same"), said("Same")]}, ["Line 1: Same", "Line 2: Same"]),
        ({"validationErrors": [{"message": " two \r\n lines "}]}, ["two lines"]),
        ({"ValidationErrors": ["As a text"]}, ["As a text"]),
        ({"ValidationErrors": {"Message": "No list"}}, ["No list"]),
        ({"ValidationErrors": [{"Message": ""}, {"Message": 7}, None, {}]}, []),
        ({"ValidationErrors": [{"Message": "a\0b\ud800"}]}, ["a\ufffdb\ufffd"]),
        ({"LineItems": None, "Contact": [], "HasErrors": False}, []),
    ],
)  # fmt: skip
def test_reasons_are_found_at_any_depth_with_their_place(element: Any, reasons: list[str]) -> None:
    assert answers.read_reasons(element) == reasons
    assert answers.read_reasons([element]) == reasons


def test_reasons_are_found_however_deep_they_stand() -> None:
    element: Any = said("Deep")
    for _ in range(900):
        element = {"Contact": element}
    (reason,) = answers.read_reasons(element)
    assert reason.endswith(": Deep")


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["ValidationErrors", "Message", "LineItems", "Contact", "Warnings", "x"]), inner
)))  # fmt: skip
def test_no_answer_is_too_odd_to_be_read(value: Any) -> None:
    assert all(isinstance(text, str) and text for text in answers.read_reasons(value))
    assert all(isinstance(text, str) and text for text in answers.read_warnings(value))


@pytest.mark.parametrize(
    ("reason", "parts"),
    [
        ("Line 12: No account", ("line", 12, "No account")),
        ("Line 1, tracking 2: Gone: or not", ("line", 1, "Gone: or not")),
        ("Contact, address 1: Too long", ("contact", 0, "Too long")),
        ("Account: Not a bank", ("account", 0, "Not a bank")),
        ("Account code '1' is not valid: sorry", ("", 0, "Account code '1' is not valid: sorry")),
    ],
)
def test_place_of_a_reason_is_taken_apart(reason: str, parts: tuple[str, int, str]) -> None:
    assert answers.split_position(reason) == parts


def test_line_is_numbered_anew() -> None:
    assert (
        answers.renumber_line("Line 2, tracking 1: Line 2: x", 5) == "Line 5, tracking 1: Line 2: x"
    )


@pytest.mark.parametrize(
    ("path", "answer", "is_one"),
    [
        ("/Invoices", {"Invoices": []}, True),
        ("/Invoices", {"Invoices": [{"InvoiceID": ID}]}, True),
        (f"/Invoices/{ID}", {"Invoices": [{"InvoiceID": ID}]}, True),
        ("/Organisation", {"Organisations": [{"Name": "Kea"}]}, True),
        ("/Organisation", {"Organisations": []}, False),
        ("/Invoices", {}, False),
        ("/Invoices", {"Status": "OK", "Contacts": []}, False),
        ("/Invoices", {"Invoices": {}}, False),
        ("/Invoices", {"Invoices": [{"InvoiceID": ZERO}]}, False),
        ("/Invoices", {"Invoices": ["x"]}, False),
        ("/TaxRates", {"TaxRates": [None]}, False),
    ],
)
def test_list_that_was_asked_for_must_be_there(path: str, answer: Any, is_one: bool) -> None:
    if is_one:
        answers.check_collection(path, answer)
    else:
        with pytest.raises(answers.UnexpectedAnswer):
            answers.check_collection(path, answer)


def response(body: Any, status: int, kind: str = "application/json") -> requests.Response:
    made = requests.Response()
    made.status_code, made._content = status, body if isinstance(body, bytes) else wire.encode(body)
    made.headers["Content-Type"] = kind
    return made


XML = b"""<?xml version="1.0" encoding="utf-8"?><ApiException xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<ErrorNumber>10</ErrorNumber><Type>ValidationException</Type><Message>A validation exception occurred</Message>
<Elements><DataContractBase xsi:type="Invoice"><LineItems><LineItem/><LineItem><ValidationErrors><ValidationError>
<Message>Account code must be specified</Message></ValidationError></ValidationErrors></LineItem></LineItems>
</DataContractBase></Elements></ApiException>"""


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        (response({"Message": "General", "Elements": [{"LineItems": [said("Inner")]}]}, 400), ["Line 1: Inner"]),
        (response({"message": "General", "elements": [{"contact": said("Inner")}]}, 400), ["Contact: Inner"]),
        (response({"Message": "General", "Invoices": [said("Inner")]}, 400), ["Inner"]),
        (response({"Message": "General", **said("Top")}, 400), ["Top"]),
        (response({"Message": "General", "Elements": [{"ValidationErrors": []}]}, 400), ["General"]),
        (response({"Message": "General", "Elements": "none"}, 400), ["General"]),
        (response(XML, 400, "text/xml; charset=utf-8"), ["Line 2: Account code must be specified"]),
        (response(b"<a>", 400, "text/xml"), ["Xero answered with status 400."]),
        (response(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 400, "text/xml"), ["Xero answered with status 400."]),
        (response(b"<a>" * 5000 + b"</a>" * 5000, 400, "text/xml"), ["Xero answered with status 400."]),
        (response(b"<html>", 400, "text/html"), ["Xero answered with status 400."]),
    ],
)  # fmt: skip
def test_reasons_of_a_refused_request(answer: requests.Response, reasons: list[str]) -> None:
    error = xero_errors.build_error(answer, writes=True)
    assert isinstance(error, errors.Invalid)
    assert error.messages == reasons


def in_xml(*invoices: str) -> requests.Response:
    body = f"<Response><Status>OK</Status><Invoices>{''.join(invoices)}</Invoices></Response>"
    return response(body.encode(), 200, "text/xml; charset=utf-8")


MADE = f"<Invoice><InvoiceID>{ID}</InvoiceID></Invoice>"
NOT_MADE = f"""<Invoice><InvoiceID>{ZERO}</InvoiceID><ValidationErrors><ValidationError><Message>No</Message>
</ValidationError></ValidationErrors></Invoice>"""


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (in_xml(NOT_MADE), errors.Invalid),
        (in_xml(MADE), errors.UnknownOutcome),
        (
            in_xml(NOT_MADE, MADE),
            errors.UnknownOutcome,
        ),  # part of it may be written: it is looked up
        (in_xml(), errors.UnknownOutcome),
    ],
)
def test_good_answer_in_xml_is_only_believed_where_nothing_was_written(
    answer: requests.Response, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        xero_errors.read_content(answer, writes=True)
