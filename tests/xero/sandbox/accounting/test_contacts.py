from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.xero.sandbox.accounting.api import Api, Clock, line

TAKEN = (
    "The contact name {} is already assigned to another contact."
    " The contact name must be unique across all active contacts."
)


def refused(api: Api, method: str, path: str, body: dict[str, Any]) -> list[str]:
    before = dict(api.organisation.contacts)
    answer = api.call(method, path, body)
    assert (answer.status, answer.changes, dict(api.organisation.contacts)) == (400, (), before)
    return answer.messages


def test_created_contact_looks_as_in_xero(api: Api) -> None:
    body = {
        "Name": "Totara Books",
        "ContactNumber": "C-1",
        "EmailAddress": "hello@totara.example",
        "Phones": [{"PhoneType": "MOBILE", "PhoneNumber": "555-1212", "PhoneAreaCode": "415"}],
        "PaymentTerms": {"Sales": {"Day": 10, "Type": "DAYSAFTERBILLMONTH"}},
    }
    answer = api.call("PUT", "/Contacts", body)
    made = answer.body["Contacts"][0]
    assert answer.told == [("CONTACT", "CREATE", made["ContactID"])]
    assert (made["ContactStatus"], made["IsCustomer"], made["IsSupplier"]) == (
        "ACTIVE",
        False,
        False,
    )
    assert [one["PhoneNumber"] for one in made["Phones"]] == ["", "", "", "555-1212"]
    assert [one["AddressType"] for one in made["Addresses"]] == ["STREET", "POBOX"]
    assert made["PaymentTerms"] == {"Sales": {"Day": 10, "Type": "DAYSAFTERBILLMONTH"}}
    assert made["UpdatedDateUTC"] == "/Date(1795426275250+0000)/"
    assert api.one(f"/Contacts/{made['ContactID']}") == made
    assert api.one("/Contacts/C-1") == made


def test_put_with_a_taken_name_fails_and_post_updates(api: Api) -> None:
    first = api.write("PUT", "/Contacts", {"Name": "Totara Books"})
    assert refused(api, "PUT", "/Contacts", {"Name": "totara BOOKS"}) == [
        TAKEN.format("totara BOOKS")
    ]
    after = api.write("POST", "/Contacts", {"Name": "Totara Books", "FirstName": "Mia"})
    assert (after["ContactID"], after["FirstName"]) == (first["ContactID"], "Mia")


def test_refusal_is_the_error_body_of_xeros_file(api: Api) -> None:
    api.write("PUT", "/Contacts", {"Name": "Totara Books"})
    answer = api.call("PUT", "/Contacts", {"Name": "Totara Books", "AccountNumber": "A"})
    assert answer.body == {
        "ErrorNumber": 10,
        "Type": "ValidationException",
        "Message": "A validation exception occurred",
        "Elements": [
            {
                "ContactID": "00000000-0000-0000-0000-000000000000",
                "Name": "Totara Books",
                "AccountNumber": "A",
                "HasValidationErrors": True,
                "ValidationErrors": [{"Message": TAKEN.format("Totara Books")}],
            }
        ],
    }


def test_name_of_an_archived_contact_is_free_and_cannot_be_taken_back(api: Api) -> None:
    first = api.write("PUT", "/Contacts", {"Name": "Totara Books"})
    path = f"/Contacts/{first['ContactID']}"
    assert api.write("POST", path, {"ContactStatus": "ARCHIVED"})["ContactStatus"] == "ARCHIVED"
    second = api.write("PUT", "/Contacts", {"Name": "Totara Books"})
    assert second["ContactID"] != first["ContactID"]
    assert refused(api, "POST", path, {"ContactStatus": "ACTIVE"}) == [TAKEN.format("Totara Books")]


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({"FirstName": "A"}, ["The contact name must be specified."]),
        ({"Name": "  "}, ["The contact name must be specified."]),
        ({"Name": "A <b>"}, ["The contact name cannot contain angle brackets."]),
        ({"Name": " A"}, ["The contact name cannot contain leading, trailing or double spaces."]),
        ({"Name": "A  B"}, ["The contact name cannot contain leading, trailing or double spaces."]),
        ({"Name": "n" * 256}, ["The field Name must be a string with a maximum length of 255."]),
        (
            {"Name": "A", "ContactNumber": "n" * 51},
            ["The field ContactNumber must be a string with a maximum length of 50."],
        ),
        ({"Name": "A", "EmailAddress": "nobody"}, ["Email address nobody is not valid."]),
        (
            {"Name": "A", "SalesDefaultAccountCode": "x"},
            ["Account code 'x' is not a valid code for this contact."],
        ),
        (
            {"Name": "A", "AccountsPayableTaxType": "x"},
            ["The TaxType code x does not exist or cannot be used for this contact."],
        ),
    ],
)
def test_create_refuses_what_xero_refuses(
    api: Api, body: dict[str, Any], messages: list[str]
) -> None:
    assert refused(api, "PUT", "/Contacts", body) == messages


def test_contact_numbers_are_unique(api: Api) -> None:
    api.write("PUT", "/Contacts", {"Name": "A", "ContactNumber": "C-1"})
    words = ["The contact number C-1 is already assigned to another contact."]
    assert refused(api, "PUT", "/Contacts", {"Name": "B", "ContactNumber": "C-1"}) == words


def test_update_keeps_what_is_not_sent(api: Api) -> None:
    body = {"Name": "A", "FirstName": "Ana", "Phones": [{"PhoneType": "DDI", "PhoneNumber": "1"}]}
    made = api.write("PUT", "/Contacts", body)
    phones = [{"PhoneType": "FAX", "PhoneNumber": "2"}]
    after = api.write(
        "POST", f"/Contacts/{made['ContactID']}", {"LastName": "Reid", "Phones": phones}
    )
    assert (after["FirstName"], after["LastName"]) == ("Ana", "Reid")
    assert [one["PhoneNumber"] for one in after["Phones"]] == ["1", "", "2", ""]


def test_renaming_shows_on_documents_without_moving_them(api: Api, clock: Clock) -> None:
    made = api.invoice(Contact={"Name": "Before"})
    path = f"/Invoices/{made['InvoiceID']}"
    api.list("/Invoices", {"IDs": made["InvoiceID"], "page": "1"})
    clock.advance(timedelta(seconds=5))
    api.write("POST", f"/Contacts/{made['Contact']['ContactID']}", {"Name": "After"})
    listed = api.list("/Invoices", {"IDs": made["InvoiceID"], "page": "1"})[0]
    assert (listed["Contact"]["Name"], api.one(path)["Contact"]["Name"]) == ("After", "After")
    assert listed["UpdatedDateUTC"] == made["UpdatedDateUTC"]


def test_balances_and_roles_change_without_moving_the_update_time(api: Api, clock: Clock) -> None:
    contact = api.customer()
    path = f"/Contacts/{contact['ContactID']}"
    assert "Balances" not in api.one(path)
    clock.advance(timedelta(seconds=5))
    late = api.invoice(Contact={"ContactID": contact["ContactID"]}, DueDate="2026-11-22")
    api.invoice(Contact={"ContactID": contact["ContactID"]}, DueDate="2026-11-23")
    bill = {
        "Type": "ACCPAY",
        "LineItems": [line(AccountCode="400")],
        "CurrencyCode": "USD",
        "CurrencyRate": 0.5,
    }
    api.invoice(Contact={"ContactID": contact["ContactID"]}, **bill)
    api.pay(late, "15")
    now = api.one(path)
    assert now["Balances"] == {
        "AccountsReceivable": {"Outstanding": Decimal("215.00"), "Overdue": Decimal("100.00")},
        "AccountsPayable": {"Outstanding": Decimal("230.00"), "Overdue": Decimal("230.00")},
    }
    assert (now["IsCustomer"], now["IsSupplier"]) == (True, True)
    assert now["UpdatedDateUTC"] == contact["UpdatedDateUTC"]
    clock.advance(timedelta(days=1))
    assert api.one(path)["Balances"]["AccountsReceivable"]["Overdue"] == Decimal("215.00")


def test_archived_contacts_are_listed_only_when_asked_for(api: Api) -> None:
    every = api.list("/Contacts", {"includeArchived": "true"})
    active = api.list("/Contacts")
    archived = [one["ContactID"] for one in every if one["ContactStatus"] == "ARCHIVED"]
    assert archived != []
    assert [one["ContactID"] for one in active] == [
        one["ContactID"] for one in every if one["ContactID"] not in archived
    ]
    assert api.one(f"/Contacts/{archived[0]}")["ContactStatus"] == "ARCHIVED"


def test_summaries_of_contacts_are_lighter_and_paged(api: Api) -> None:
    answer = api.call("GET", "/Contacts", None, {"summaryOnly": "true", "pageSize": "5"})
    assert answer.body["pagination"] == {"page": 1, "pageSize": 5, "pageCount": 8, "itemCount": 38}
    assert {"Addresses", "Phones", "Balances", "ContactPersons"} & answer.body["Contacts"][
        0
    ].keys() == set()


def test_search_looks_at_names_and_addresses(api: Api) -> None:
    made = api.write(
        "PUT", "/Contacts", {"Name": "Zebra Crossing", "EmailAddress": "stripes@example.com"}
    )
    for term in ("zebra", "STRIPES@"):
        assert [one["ContactID"] for one in api.list("/Contacts", {"searchTerm": term})] == [
            made["ContactID"]
        ]


def test_addresses_without_a_type_are_left_out(api: Api) -> None:
    body = {
        "Name": "A",
        "Addresses": [{"City": "Nelson"}, {"AddressType": "STREET", "City": "Napier"}],
    }
    made = api.write("PUT", "/Contacts", body)
    assert [one["City"] for one in made["Addresses"]] == ["Napier", ""]
    after = api.write(
        "POST",
        f"/Contacts/{made['ContactID']}",
        {"Addresses": [{"City": "Otaki"}], "FirstName": "B"},
    )
    assert [one["City"] for one in after["Addresses"]] == ["Napier", ""]


def test_moving_an_invoice_moves_the_balance(api: Api) -> None:
    first, second = api.customer(), api.customer()
    made = api.invoice(Contact={"ContactID": first["ContactID"]})
    for contact, owed in ((first, Decimal("115.00")), (second, None)):
        balances = api.list("/Contacts", {"IDs": contact["ContactID"], "page": "1"})[0].get(
            "Balances"
        )
        assert (balances and balances["AccountsReceivable"]["Outstanding"]) == owed
    api.write(
        "POST", f"/Invoices/{made['InvoiceID']}", {"Contact": {"ContactID": second["ContactID"]}}
    )
    for contact, owed in ((first, None), (second, Decimal("115.00"))):
        balances = api.list("/Contacts", {"IDs": contact["ContactID"], "page": "1"})[0].get(
            "Balances"
        )
        assert (balances and balances["AccountsReceivable"]["Outstanding"]) == owed
