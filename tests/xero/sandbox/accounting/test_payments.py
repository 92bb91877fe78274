from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.xero.sandbox.accounting.api import Api, Clock, line, payment
from xero.sandbox.accounting import Books
from xero.sandbox.storage import Storage

TOO_MUCH = "Payment amount exceeds the amount outstanding on this document"


def refused(api: Api, body: dict[str, Any]) -> list[str]:
    before = dict(api.organisation.invoices), dict(api.organisation.payments)
    answer = api.call("PUT", "/Payments", body)
    assert (answer.status, answer.changes) == (400, ())
    assert (dict(api.organisation.invoices), dict(api.organisation.payments)) == before
    return answer.messages


def test_part_payment_moves_the_amounts_of_its_invoice(api: Api, clock: Clock) -> None:
    made = api.invoice()
    clock.advance(timedelta(seconds=2))
    answer = api.call(
        "PUT", "/Payments", payment(made["InvoiceID"], "15.50") | {"Reference": "Part"}
    )
    paid = answer.body["Payments"][0]
    assert answer.told == [("INVOICE", "UPDATE", made["InvoiceID"])]
    assert (paid["Amount"], paid["BankAmount"], paid["PaymentType"]) == (
        Decimal("15.50"),
        Decimal("15.50"),
        "ACCRECPAYMENT",
    )
    assert (paid["Account"]["Code"], paid["Account"]["Name"]) == ("090", "Business Cheque Account")
    assert (paid["Invoice"]["AmountDue"], paid["Invoice"]["Status"]) == (
        Decimal("99.50"),
        "AUTHORISED",
    )
    now = api.one(f"/Invoices/{made['InvoiceID']}")
    assert (now["AmountPaid"], now["AmountDue"], now["UpdatedDateUTC"]) == (
        Decimal("15.50"),
        Decimal("99.50"),
        "/Date(1795426277250+0000)/",
    )
    assert [(one["PaymentID"], one["Amount"], one["Reference"]) for one in now["Payments"]] == [
        (paid["PaymentID"], Decimal("15.50"), "Part")
    ]
    assert api.one(f"/Payments/{paid['PaymentID']}") == paid


def test_full_payment_settles_and_deleting_it_reopens(api: Api) -> None:
    made = api.invoice()
    path = f"/Invoices/{made['InvoiceID']}"
    api.pay(made, "100", "2026-11-10")
    last = api.pay(made, "15", "2026-11-12")
    settled = api.one(path)
    assert (settled["Status"], settled["AmountDue"], settled["AmountPaid"]) == (
        "PAID",
        Decimal("0.00"),
        Decimal("115.00"),
    )
    assert settled["FullyPaidOnDate"] == "/Date(1794441600000+0000)/"
    answer = api.call("POST", f"/Payments/{last['PaymentID']}", {"Status": "DELETED"})
    assert (answer.status, answer.body["Payments"][0]["Status"]) == (200, "DELETED")
    assert answer.told == [("INVOICE", "UPDATE", made["InvoiceID"])]
    reopened = api.one(path)
    assert (reopened["Status"], reopened["AmountDue"], len(reopened["Payments"])) == (
        "AUTHORISED",
        Decimal("15.00"),
        1,
    )
    assert "FullyPaidOnDate" not in reopened
    again = api.call("POST", f"/Payments/{last['PaymentID']}", {"Status": "DELETED"})
    assert again.messages == ["This payment has already been deleted."]


def test_deleting_takes_the_wrapper_too(api: Api) -> None:
    paid = api.pay(api.invoice(), "15")
    body = {"Payments": [{"Status": "DELETED"}]}
    assert api.write("POST", f"/Payments/{paid['PaymentID']}", body)["Status"] == "DELETED"
    assert api.call("POST", "/Payments/11111111-1111-1111-1111-111111111111", body).status == 404


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        ({"Amount": 115.01}, [TOO_MUCH]),
        ({"Amount": 0}, ["The payment amount must be greater than zero."]),
        ({"Amount": -1}, ["The payment amount must be greater than zero."]),
        ({"Amount": 1.005}, ["The payment amount can have at most 2 decimal places."]),
        ({"Amount": None}, ["The payment amount must be greater than zero."]),
        ({"Date": None}, ["A Date must be specified for this payment."]),
        ({"Invoice": None}, ["Payment must be made against an Invoice"]),
        (
            {"Invoice": {"InvoiceID": "11111111-1111-1111-1111-111111111111"}},
            ["Invoice could not be found"],
        ),
        ({"Account": None}, ["An Account must be specified for this payment."]),
        ({"Account": {"Code": "nope"}}, ["Account could not be found"]),
        ({"Account": {"Code": "200"}}, ["Account type is invalid for making payments"]),
        (
            {"Account": {"Code": "498"}},
            ["The account has been archived and cannot be used for payments."],
        ),
        (
            {"Account": {"Code": "092"}},
            [
                "The currency of the account must be that of the document or the base currency of the organisation."
            ],
        ),
        ({"Account": None, "Code": "090"}, ["An Account must be specified for this payment."]),
    ],
)
def test_create_refuses_what_xero_refuses(
    api: Api, fields: dict[str, Any], messages: list[str]
) -> None:
    body = payment(api.invoice()["InvoiceID"], "1") | fields
    assert (
        refused(api, {key: value for key, value in body.items() if value is not None}) == messages
    )


@pytest.mark.parametrize("status", ["DRAFT", "SUBMITTED"])
def test_only_approved_documents_can_be_paid(api: Api, status: str) -> None:
    made = api.invoice(Status=status)
    words = ["Payments can only be made against Authorised documents"]
    assert refused(api, payment(made["InvoiceID"], "1")) == words


def test_paid_document_takes_no_more(api: Api) -> None:
    made = api.invoice()
    api.pay(made, "115")
    assert refused(api, payment(made["InvoiceID"], "0.01")) == [TOO_MUCH]


def test_accounts_open_for_payments_work_by_id_and_invoices_by_number(api: Api) -> None:
    made = api.invoice()
    account = next(one for one in api.list("/Accounts") if one["EnablePaymentsToAccount"])
    body = payment(made["InvoiceID"], "115") | {
        "Invoice": {"InvoiceNumber": made["InvoiceNumber"]},
        "Account": {"AccountID": account["AccountID"]},
    }
    paid = api.write("POST", "/Payments", body)
    assert (paid["Account"]["AccountID"], paid["Invoice"]["Status"]) == (
        account["AccountID"],
        "PAID",
    )


def test_batch_is_booked_whole_or_not_at_all(api: Api) -> None:
    made = api.invoice()
    batch = {"Payments": [payment(made["InvoiceID"], "60"), payment(made["InvoiceID"], "60")]}
    assert refused(api, batch) == [TOO_MUCH]
    answer = api.call("PUT", "/Payments", batch, {"summarizeErrors": "false"})
    assert [one["StatusAttributeString"] for one in answer.body["Payments"]] == ["OK", "ERROR"]
    assert api.one(f"/Invoices/{made['InvoiceID']}")["AmountDue"] == Decimal("55.00")


def test_bills_are_paid_too_and_foreign_ones_from_either_account(api: Api) -> None:
    bill = api.invoice(
        Type="ACCPAY", LineItems=[line(AccountCode="400")], CurrencyCode="USD", CurrencyRate=0.5
    )
    usd = api.write(
        "PUT", "/Payments", payment(bill["InvoiceID"], "10") | {"Account": {"Code": "092"}}
    )
    nzd = api.write("PUT", "/Payments", payment(bill["InvoiceID"], "10"))
    assert (usd["PaymentType"], usd["BankAmount"], nzd["BankAmount"]) == (
        "ACCPAYPAYMENT",
        Decimal("10.00"),
        Decimal("20.00"),
    )


def test_payments_are_paged_and_filtered(api: Api) -> None:
    made = api.invoice()
    ids = [api.pay(made, "1")["PaymentID"] for _ in range(3)]
    where = f'Invoice.InvoiceID==Guid("{made["InvoiceID"]}") AND Status!="DELETED"'
    answer = api.call("GET", "/Payments", None, {"where": where, "page": "2", "pageSize": "2"})
    assert answer.body["pagination"] == {"page": 2, "pageSize": 2, "pageCount": 2, "itemCount": 3}
    assert [one["PaymentID"] for one in answer.body["Payments"]] == [sorted(ids)[2]]


moves = st.lists(st.tuples(st.sampled_from(["pay", "delete"]), st.integers(1, 7000)), max_size=14)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(moves)
def test_paid_and_due_always_add_up_whatever_is_booked(
    clock: Clock, moves: list[tuple[str, int]]
) -> None:
    books = Books(Storage(None), clock)
    books.seed(organisations=1, invoices=2)
    api = Api(books, next(iter(books.organisations)))
    made = api.invoice()
    standing: dict[str, Decimal] = {}
    for kind, number in moves:
        if kind == "pay":
            answer = api.call("PUT", "/Payments", payment(made["InvoiceID"], f"{number / 100:.2f}"))
            fits = Decimal(number) / 100 <= Decimal("115.00") - sum(standing.values())
            assert answer.status == (200 if fits else 400)
            if fits:
                standing[answer.body["Payments"][0]["PaymentID"]] = Decimal(number) / 100
        elif standing:
            id = list(standing)[number % len(standing)]
            assert api.call("POST", f"/Payments/{id}", {"Status": "DELETED"}).status == 200
            del standing[id]
        now = api.one(f"/Invoices/{made['InvoiceID']}")
        assert now["AmountPaid"] == sum(standing.values(), Decimal(0))
        assert now["AmountPaid"] + now["AmountDue"] == now["Total"] == Decimal("115.00")
        assert now["Status"] == ("AUTHORISED" if now["AmountDue"] else "PAID")
        assert {one["PaymentID"] for one in now["Payments"]} == standing.keys()
