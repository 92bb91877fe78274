import json
from typing import Any

import pytest

from tests.xero.sandbox.openapi import FOLDER, check_request, check_response, check_schema, load


@pytest.fixture
def examples() -> dict[str, Any]:
    load("accounting.yaml")
    found = json.loads((FOLDER / "examples.json").read_text())
    return {
        key: {
            k: json.loads(v) if isinstance(v, str) and v[:1] in "{[" else v
            for k, v in value.items()
        }
        for key, value in found.items()
        if isinstance(value, dict)
    }


@pytest.mark.parametrize(
    "name", ["getInvoices", "getItems", "getTaxRates", "getOrganisations", "getAccounts"]
)
def test_checker_accepts_the_examples_of_xeros_file(examples: dict[str, Any], name: str) -> None:
    check_response(
        "accounting.yaml", "GET", examples[name]["path"], 200, examples[name]["response_200"]
    )


@pytest.mark.parametrize(
    "name", ["createInvoices", "createContacts", "createPayment", "createPayments", "deletePayment"]
)
def test_checker_accepts_the_requests_of_xeros_file(examples: dict[str, Any], name: str) -> None:
    example = examples[name]
    check_request(
        "accounting.yaml",
        example["method"],
        example["path"].split("{")[0] + "x" * ("{" in example["path"]),
        example["request"],
    )


def test_checker_refuses_unknown_fields_wrong_types_and_plain_dates() -> None:
    with pytest.raises(AssertionError, match="Colour"):
        check_response(
            "accounting.yaml", "GET", "/Invoices", 200, {"Invoices": [{"Colour": "red"}]}
        )
    with pytest.raises(AssertionError, match="Invoices/0/Total"):
        check_response(
            "accounting.yaml", "GET", "/Invoices", 200, {"Invoices": [{"Total": "1.00"}]}
        )
    with pytest.raises(AssertionError, match="Invoices/0/Date"):
        check_response(
            "accounting.yaml", "GET", "/Invoices", 200, {"Invoices": [{"Date": "2026-01-01"}]}
        )
    with pytest.raises(AssertionError, match="never answers 418"):
        check_response("accounting.yaml", "GET", "/Invoices", 418, {})
    with pytest.raises(AssertionError, match="Status"):
        check_request("accounting.yaml", "POST", "/Payments", {"Status": "MAYBE"})


def test_checker_reads_the_other_files() -> None:
    check_response("identity.yaml", "GET", "/connections", 200, [])
    with pytest.raises(AssertionError, match="tenantId"):
        check_response("identity.yaml", "GET", "/connections", 200, [{"tenantId": "x"}])
    event = {"resourceUrl": "https://api.xero.com/api.xro/2.0/Invoices/x", "eventType": "DELETE"}
    body = {"events": [event], "lastEventSequence": 1, "firstEventSequence": 1, "entropy": "A"}
    with pytest.raises(AssertionError, match="eventType"):
        check_schema("webhooks.yaml", "WebhookEvent", body)
