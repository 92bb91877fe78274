import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.xero.sandbox.accounting.api import Api, Clock, invoice, line, payment
from xero.sandbox.accounting import Books

UNIQUE = ["Invoice # must be unique."]
STATUS = ["Invoice not of valid status for modification"]
GONE = (
    "Account code '498' has been archived, or has been deleted."
    " Each line item must reference a valid account."
)
ALLOCATED = ["This document cannot be edited as it has a payment or credit note allocated to it."]


def refused(api: Api, method: str, path: str, body: dict[str, Any]) -> list[str]:
    """The messages; nothing may have changed."""
    before = dict(api.organisation.invoices), dict(api.organisation.contacts)
    answer = api.call(method, path, body)
    assert (answer.status, answer.changes) == (400, ())
    assert (dict(api.organisation.invoices), dict(api.organisation.contacts)) == before
    return answer.messages


def test_created_invoice_looks_as_in_xero(api: Api, clock: Clock) -> None:
    contact = api.customer()
    body = invoice(
        Contact={"ContactID": contact["ContactID"]},
        Reference="PO 7",
        Url="https://taskjuice.example/calls/1",
        InvoiceNumber="A-1",
    )
    answer = api.call("PUT", "/Invoices", body)
    made = answer.body["Invoices"][0]
    assert answer.told == [("INVOICE", "CREATE", made["InvoiceID"])]
    assert answer.changes[0].at == clock.now
    assert list(answer.body)[:4] == ["Id", "Status", "ProviderName", "DateTimeUTC"]
    shown = {
        key: made[key]
        for key in ("InvoiceNumber", "Reference", "Url", "Status", "CurrencyCode", "CurrencyRate")
    }
    assert shown == {
        "InvoiceNumber": "A-1",
        "Reference": "PO 7",
        "Url": "https://taskjuice.example/calls/1",
        "Status": "AUTHORISED",
        "CurrencyCode": "NZD",
        "CurrencyRate": Decimal("1.000000"),
    }
    assert (made["Date"], made["DateString"]) == (
        "/Date(1793491200000+0000)/",
        "2026-11-01T00:00:00",
    )
    assert made["UpdatedDateUTC"] == "/Date(1795426275250+0000)/"
    assert made["UpdatedDateUTCString"] == "2026-11-23T09:31:15Z"
    assert (made["AmountDue"], made["AmountPaid"], made["Total"]) == (
        Decimal("115.00"),
        Decimal("0.00"),
        Decimal("115.00"),
    )
    assert made["Contact"]["Name"] == contact["Name"]
    assert api.one(f"/Invoices/{made['InvoiceID']}") == made
    assert api.one("/Invoices/A-1") == made


def test_numbers_continue_after_the_highest(api: Api) -> None:
    api.invoice(InvoiceNumber="INV-0500")
    assert [api.invoice()["InvoiceNumber"] for _ in range(2)] == ["INV-0501", "INV-0502"]
    assert "InvoiceNumber" not in api.invoice(Type="ACCPAY", LineItems=[line(AccountCode="400")])


def test_sales_numbers_are_unique_and_bill_numbers_are_not(api: Api) -> None:
    api.invoice(InvoiceNumber="X-1")
    assert refused(api, "PUT", "/Invoices", invoice(InvoiceNumber="x-1")) == UNIQUE
    bill = {"Type": "ACCPAY", "InvoiceNumber": "X-1", "LineItems": [line(AccountCode="400")]}
    first, second = api.invoice(**bill), api.invoice(**bill)
    assert first["InvoiceID"] != second["InvoiceID"]


def test_put_with_a_taken_number_fails_where_post_overwrites(api: Api) -> None:
    first = api.invoice(InvoiceNumber="X-1")
    assert (
        refused(api, "PUT", "/Invoices", invoice(InvoiceNumber="X-1", Reference="other")) == UNIQUE
    )
    again = api.write(
        "POST", "/Invoices", {"Type": "ACCREC", "InvoiceNumber": "X-1", "Reference": "other"}
    )
    assert (again["InvoiceID"], again["Reference"]) == (first["InvoiceID"], "other")


def test_number_of_a_deleted_draft_is_free_again(api: Api) -> None:
    draft = api.invoice(InvoiceNumber="X-1", Status="DRAFT")
    api.write("POST", f"/Invoices/{draft['InvoiceID']}", {"Status": "DELETED"})
    assert api.invoice(InvoiceNumber="X-1")["Status"] == "AUTHORISED"


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        ({"Type": None}, ["A valid Type (ACCREC or ACCPAY) must be specified for this invoice."]),
        ({"Contact": None}, ["A Contact must be specified for this type of transaction"]),
        ({"Contact": {}}, ["A Contact must be specified for this type of transaction"]),
        ({"LineItems": []}, ["One or more line items must be specified"]),
        ({"LineItems": None}, ["One or more line items must be specified"]),
        ({"Status": "PAID"}, ["Invoice not of valid status for creation"]),
        ({"Status": "VOIDED"}, ["Invoice not of valid status for creation"]),
        ({"DueDate": None}, ["A Due Date must be specified for this type of transaction"]),
        ({"CurrencyCode": "XTS"}, ["Organisation is not subscribed to currency XTS"]),
        (
            {"InvoiceNumber": "n" * 256},
            ["The field InvoiceNumber must be a string with a maximum length of 255."],
        ),
        ({"Url": "calls/1"}, ["The Url must be an absolute address."]),
        ({"Url": "https://[x"}, ["The Url must be an absolute address."]),
        ({"LineItems": [line(AccountCode=None)]}, ["Account code must be specified"]),
        (
            {"LineItems": [line(AccountCode="999")]},
            ["Account code '999' is not a valid code for this document."],
        ),
        (
            {"LineItems": [line(AccountCode="090")]},
            ["Account code '090' is not a valid code for this document."],
        ),
        (
            {"LineItems": [line(AccountCode="610")]},
            ["Account code '610' is not a valid code for this document."],
        ),
        (
            {"LineItems": [line(AccountCode="498")]},
            [GONE],
        ),
        (
            {"LineItems": [line(TaxType="INPUT2")]},
            [
                "The TaxType code INPUT2 does not exist or cannot be used for this type of transaction.",
                "The TaxType code 'INPUT2' cannot be used with account code '200'.",
            ],
        ),
        (
            {"LineItems": [line(TaxType="NOPE")]},
            [
                "The TaxType code NOPE does not exist or cannot be used for this type of transaction.",
                "The TaxType code 'NOPE' cannot be used with account code '200'.",
            ],
        ),
        (
            {"LineItems": [line(Description="")]},
            ["The description field is mandatory for each line item."],
        ),
        ({"LineItems": [line(ItemCode="NOPE")]}, ["Item code 'NOPE' is not valid."]),
        ({"LineItems": [line(Quantity=10**13)]}, ["The Quantity is out of range."]),
        ({"LineItems": [line(Quantity=-1)]}, ["The document total cannot be negative."]),
        (
            {"Type": "ACCPAY", "LineItems": [line(AccountCode="400", DiscountRate=5)]},
            ["Discounts may not be applied to ACCPAY invoices."],
        ),
        (
            {"LineItems": [line(Tracking=[{"Name": "Region", "Option": "Moon"}])]},
            ["Tracking option 'Moon' of 'Region' does not exist."],
        ),
        (
            {"Contact": {"ContactID": "11111111-1111-1111-1111-111111111111"}},
            ["The contact with the specified ContactID could not be found"],
        ),
    ],
)
def test_create_refuses_what_xero_refuses(
    api: Api, fields: dict[str, Any], messages: list[str]
) -> None:
    assert refused(api, "PUT", "/Invoices", invoice(**fields)) == messages


def test_refusal_echoes_the_object_with_an_id_of_zeros(api: Api) -> None:
    body = invoice(LineItems=[line(AccountCode="999")], Reference="mine")
    answer = api.call("PUT", "/Invoices", body)
    assert {key: answer.body[key] for key in ("ErrorNumber", "Type", "Message")} == {
        "ErrorNumber": 10,
        "Type": "ValidationException",
        "Message": "A validation exception occurred",
    }
    element = answer.body["Elements"][0]
    assert (element["InvoiceID"], element["Reference"]) == (
        "00000000-0000-0000-0000-000000000000",
        "mine",
    )
    assert element["Contact"] == {"Name": "Kauri Tea Rooms"}


def test_drafts_need_only_type_contact_and_a_line(api: Api) -> None:
    body = {
        "Type": "ACCREC",
        "Contact": {"Name": "Kauri Tea Rooms"},
        "LineItems": [{"Description": "Tea"}],
    }
    made = api.write("PUT", "/Invoices", body)
    assert (made["Status"], made["Total"], made["DateString"]) == (
        "DRAFT",
        Decimal("0.00"),
        "2026-11-23T00:00:00",
    )
    assert "DueDate" not in made


def test_item_fills_in_its_line(api: Api) -> None:
    item = next(one for one in api.list("/Items") if one["IsPurchased"])
    sale = api.invoice(LineItems=[{"ItemCode": item["Code"], "Quantity": 2}])["LineItems"][0]
    bill = api.invoice(Type="ACCPAY", LineItems=[{"ItemCode": item["Code"]}])["LineItems"][0]
    assert (sale["UnitAmount"], sale["AccountCode"], sale["TaxType"]) == (
        item["SalesDetails"]["UnitPrice"],
        "200",
        "OUTPUT2",
    )
    assert (bill["UnitAmount"], bill["AccountCode"]) == (
        item["PurchaseDetails"]["UnitPrice"],
        "310",
    )
    assert sale["Description"] == item["Description"]


def test_contact_named_in_an_invoice_is_found_or_created(api: Api) -> None:
    first = api.call("PUT", "/Invoices", invoice(Contact={"Name": "Brand New"}))
    contact = first.body["Invoices"][0]["Contact"]["ContactID"]
    assert [told[:2] for told in first.told] == [("CONTACT", "CREATE"), ("INVOICE", "CREATE")]
    again = api.call("PUT", "/Invoices", invoice(Contact={"Name": "brand new"}))
    assert again.body["Invoices"][0]["Contact"]["ContactID"] == contact


def test_fields_beside_the_contact_id_change_the_contact_and_drop_its_persons(api: Api) -> None:
    person = {
        "FirstName": "Ana",
        "LastName": "Reid",
        "EmailAddress": "ana@example.com",
        "IncludeInEmails": True,
    }
    contact = api.write("PUT", "/Contacts", {"Name": "With People", "ContactPersons": [person]})
    same = {"ContactID": contact["ContactID"], "Name": "With People"}
    assert [told[0] for told in api.call("PUT", "/Invoices", invoice(Contact=same)).told] == [
        "INVOICE"
    ]
    changed = same | {"EmailAddress": "new@example.com"}
    assert [told[:2] for told in api.call("PUT", "/Invoices", invoice(Contact=changed)).told] == [
        ("CONTACT", "UPDATE"),
        ("INVOICE", "CREATE"),
    ]
    now = api.one(f"/Contacts/{contact['ContactID']}")
    assert (now["EmailAddress"], now["ContactPersons"]) == ("new@example.com", [])


def test_archived_contact_is_refused(api: Api) -> None:
    archived = next(
        one for one in api.organisation.contacts.values() if one["ContactStatus"] == "ARCHIVED"
    )
    body = invoice(Contact={"ContactID": archived["ContactID"]})
    words = f"The contact {archived['Name']} has been archived and cannot be used on this document."
    assert refused(api, "PUT", "/Invoices", body) == [words]


ALLOWED = {
    "DRAFT": {"DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"},
    "SUBMITTED": {"SUBMITTED", "AUTHORISED", "DRAFT", "DELETED"},
    "AUTHORISED": {"AUTHORISED", "VOIDED"},
    "PAID": {"PAID"},
    "VOIDED": set[str](),
    "DELETED": set[str](),
}


def in_status(api: Api, status: str) -> dict[str, Any]:
    if status in {"DRAFT", "SUBMITTED", "AUTHORISED"}:
        return api.invoice(Status=status)
    if status == "PAID":
        made = api.invoice()
        api.pay(made, "115")
        return made
    made = api.invoice(Status="DRAFT" if status == "DELETED" else "AUTHORISED")
    return api.write("POST", f"/Invoices/{made['InvoiceID']}", {"Status": status})


@pytest.mark.parametrize("now", ALLOWED)
@pytest.mark.parametrize("then", ALLOWED)
def test_status_moves_only_as_xero_allows(api: Api, now: str, then: str) -> None:
    made = in_status(api, now)
    answer = api.call("POST", f"/Invoices/{made['InvoiceID']}", {"Status": then})
    after = api.one(f"/Invoices/{made['InvoiceID']}")["Status"]
    if then in ALLOWED[now]:
        assert (answer.status, after) == (200, then)
        assert answer.told == [("INVOICE", "UPDATE", made["InvoiceID"])]
    else:
        assert (answer.status, after) == (400, now)


def test_approving_needs_what_a_draft_may_lack(api: Api) -> None:
    draft = api.invoice(Status="DRAFT", DueDate=None, LineItems=[line(AccountCode=None)])
    assert refused(api, "POST", f"/Invoices/{draft['InvoiceID']}", {"Status": "AUTHORISED"}) == [
        "A Due Date must be specified for this type of transaction",
        "Account code must be specified",
    ]


def test_line_items_are_kept_changed_created_and_deleted_by_their_ids(api: Api) -> None:
    made = api.invoice(
        LineItems=[line(), line(Description="Milk", UnitAmount=10), line(Description="Cups")]
    )
    _, second, _ = made["LineItems"]
    sent = [
        {"LineItemID": second["LineItemID"], "Quantity": 3},
        line(Description="New", UnitAmount=1),
    ]
    after = api.write("POST", f"/Invoices/{made['InvoiceID']}", {"LineItems": sent})
    kept, new = after["LineItems"]
    assert (kept["LineItemID"], kept["Description"], kept["LineAmount"]) == (
        second["LineItemID"],
        "Milk",
        Decimal("30.00"),
    )
    assert (kept["TaxAmount"], new["Description"]) == (Decimal("4.50"), "New")
    assert new["LineItemID"] not in {one["LineItemID"] for one in made["LineItems"]}
    assert after["Total"] == Decimal("35.65")
    status_only = api.write("POST", f"/Invoices/{made['InvoiceID']}", {"Reference": "R"})
    assert status_only["LineItems"] == after["LineItems"]


def test_part_paid_document_lets_only_some_fields_change(api: Api, clock: Clock) -> None:
    made = api.invoice()
    api.pay(made, "15")
    path, line_id = f"/Invoices/{made['InvoiceID']}", made["LineItems"][0]["LineItemID"]
    assert refused(api, "POST", path, {"Date": "2026-11-02"}) == ALLOCATED
    assert (
        refused(api, "POST", path, {"LineItems": [{"LineItemID": line_id, "UnitAmount": 200}]})
        == ALLOCATED
    )
    assert refused(api, "POST", path, {"LineItems": [line()]}) == [
        "To update fields on a paid invoice line item, you must supply a LineItemID"
    ]
    assert refused(api, "POST", path, {"Status": "VOIDED"}) == ALLOCATED
    assert refused(api, "POST", path, {"Status": "DRAFT"}) == [
        "The status DRAFT cannot be applied to the invoice because it has payments or credit notes allocated to it."
    ]
    words = {"Reference": "new", "LineItems": [{"LineItemID": line_id, "Description": "Green tea"}]}
    after = api.write("POST", path, words)
    assert (after["Reference"], after["LineItems"][0]["Description"], after["Total"]) == (
        "new",
        "Green tea",
        Decimal("115.00"),
    )


def test_some_edits_of_part_paid_documents_do_not_move_the_update_time(
    api: Api, clock: Clock
) -> None:
    made = api.invoice()
    paid = api.pay(made, "15")["Invoice"]["UpdatedDateUTC"]
    clock.advance(timedelta(hours=1))
    path = f"/Invoices/{made['InvoiceID']}"
    answer = api.call("POST", path, {"DueDate": "2026-12-24", "SentToContact": True})
    after = answer.body["Invoices"][0]
    assert (after["DueDateString"], after["SentToContact"], after["UpdatedDateUTC"]) == (
        "2026-12-24T00:00:00",
        True,
        paid,
    )
    assert answer.told == [("INVOICE", "UPDATE", made["InvoiceID"])]
    assert (
        api.write("POST", path, {"Reference": "R"})["UpdatedDateUTC"]
        == "/Date(1795429875250+0000)/"
    )


def test_unpaid_documents_always_move_their_update_time(api: Api, clock: Clock) -> None:
    made = api.invoice()
    clock.advance(timedelta(seconds=1))
    after = api.write("POST", f"/Invoices/{made['InvoiceID']}", {"DueDate": "2026-12-24"})
    assert after["UpdatedDateUTC"] == "/Date(1795426276250+0000)/"


def test_nothing_is_written_in_a_locked_period(books: Books) -> None:
    api = Api(books, list(books.organisations)[1])
    locked = (
        "The document date cannot be before the period lock date, currently set at 31 March 2026"
    )
    assert api.one("/Organisation")["PeriodLockDate"] == "/Date(1774915200000+0000)/"
    assert refused(api, "PUT", "/Invoices", invoice(Date="2026-03-31")) == [locked]
    assert api.invoice(Date="2026-04-01")["Status"] == "AUTHORISED"
    old = next(
        one
        for one in api.organisation.invoices.values()
        if one["Date"] < "2026-03-31" and one["Status"] == "PAID"
    )
    assert refused(api, "POST", f"/Invoices/{old['InvoiceID']}", {"Reference": "x"}) == [
        "The document cannot be edited as it is currently dated before the period lock date"
    ]
    open_one = api.invoice()
    answer = api.call("PUT", "/Payments", payment(open_one["InvoiceID"], "1", "2026-03-31"))
    assert answer.messages == [locked]


def test_foreign_documents_get_the_day_rate_or_the_one_that_is_sent(api: Api) -> None:
    assert api.invoice(CurrencyCode="USD")["CurrencyRate"] == Decimal("0.595238")
    assert api.invoice(CurrencyCode="USD", CurrencyRate=0.6)["CurrencyRate"] == Decimal("0.600000")


def test_summarize_errors_false_keeps_the_good_ones(api: Api) -> None:
    bodies = {
        "Invoices": [
            invoice(InvoiceNumber="S-1"),
            invoice(InvoiceNumber="S-1"),
            invoice(InvoiceNumber="S-2"),
        ]
    }
    assert api.call("PUT", "/Invoices", bodies).messages == UNIQUE
    assert api.call("GET", "/Invoices/S-2").status == 404
    answer = api.call("PUT", "/Invoices", bodies, {"summarizeErrors": "false"})
    assert answer.status == 200
    assert [one["StatusAttributeString"] for one in answer.body["Invoices"]] == [
        "OK",
        "ERROR",
        "OK",
    ]
    assert answer.body["Invoices"][1]["ValidationErrors"] == [{"Message": UNIQUE[0]}]
    assert [told[:2] for told in answer.told if told[0] == "INVOICE"] == [("INVOICE", "CREATE")] * 2
    assert api.one("/Invoices/S-2")["InvoiceNumber"] == "S-2"


def test_approved_document_of_nothing_is_paid(api: Api) -> None:
    made = api.invoice(LineItems=[line(UnitAmount=0)])
    assert (made["Status"], made["FullyPaidOnDate"]) == ("PAID", made["Date"])


def test_field_names_match_regardless_of_case_and_unknown_ones_are_ignored(api: Api) -> None:
    body = {
        "type": "ACCREC",
        "contact": {"name": "Kauri"},
        "lineItems": [{"description": "x"}],
        "Colour": 1,
        "Url": None,
    }
    made = api.write("PUT", "/Invoices", json.dumps(body).encode())
    assert (made["Type"], made["Contact"]["Name"], made["LineItems"][0]["Description"]) == (
        "ACCREC",
        "Kauri",
        "x",
    )


@pytest.mark.parametrize("rate", [0, -1, 0.0000001, 10**9])
def test_currency_rates_are_plausible(api: Api, rate: float) -> None:
    words = ["The currency rate must be greater than zero."]
    assert refused(api, "PUT", "/Invoices", invoice(CurrencyCode="USD", CurrencyRate=rate)) == words
    made = api.invoice(CurrencyCode="USD")
    answer = api.call("PUT", "/Payments", payment(made["InvoiceID"], "1") | {"CurrencyRate": rate})
    assert answer.messages == words


def test_contacts_currency_is_the_default_of_their_documents(api: Api) -> None:
    contact = api.write("PUT", "/Contacts", {"Name": "Dollars", "DefaultCurrency": "USD"})
    assert api.invoice(Contact={"ContactID": contact["ContactID"]})["CurrencyCode"] == "USD"
    assert (
        api.invoice(Contact={"ContactID": contact["ContactID"]}, CurrencyCode="NZD")["CurrencyCode"]
        == "NZD"
    )
