"""Expressions that give the wrong type are reported before a run; unknown types are accepted."""

from typing import Any

import pytest

from connections.integrations import registry
from workflows.definition.drafts import Draft, Step
from workflows.definition.templates import STARTING_POINTS
from workflows.definition.validation import list_problems

INVOICE = Step("invoice", "xero/get-invoice", {"invoice_id": "{{ trigger.resource_id }}"})
CALL = Step("call", "core/http-request", {"method": "GET", "url": "https://api.example.com/"})
NAMED = Step(
    "named", "core/set-values", {"values": [{"name": "sum", "value": "{{ trigger.contact }}"}]}
)


def said(field: str, typed: str, **options: Any) -> list[tuple[str, str]]:
    given = {"invoice_id": "{{ trigger.resource_id }}", "account_code": "090"} | {field: typed}
    pay = Step("pay", "xero/create-payment", given, options)
    draft = Draft("xero/invoice-paid", {"documents": "ACCREC"}, [INVOICE, CALL, NAMED, pay])
    return [(problem.field, problem.message) for problem in list_problems(draft)]


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("amount", "{{ trigger.total }}"),
        (
            "amount",
            "{{ trigger.amount_due }}",
        ),  # nothing is due of a paid one: another amount may be right
        ("amount", "{{ steps.invoice.Total }}"),
        ("amount", "{{ steps.named.sum }}"),
        ("amount", "{{ steps.call.body.price }}"),
        ("amount", "{{ steps.call.body.id }}"),
        ("amount", "{{ steps.invoice.NotInTheSample }}"),
        ("amount", "{{ trigger.contact | size }}"),
        ("date", "{{ trigger.due_date }}"),
        ("date", "{{ trigger.contact | date }}"),
        ("reference", "{{ trigger.contact }}"),
        ("invoice_id", "{{ steps.invoice.InvoiceID }}"),
    ],
)
def test_what_fits_or_cannot_be_known_is_let_be(field: str, typed: str) -> None:
    assert said(field, typed) == []


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        (
            "amount",
            "{{ trigger.contact }}",
            "{{ trigger.contact }} gives a value such as “Ridgeway University”. Give a number, such as 1234.50.",
        ),
        (
            "invoice_id",
            "{{trigger.number}}",
            "{{trigger.number}} gives a value such as “INV-0042”. This is no Xero ID.",
        ),
        (
            "invoice_id",
            "{{ steps.invoice.Total }}",
            "{{ steps.invoice.Total }} gives a value such as “1200.00”. This is no Xero ID.",
        ),
        (
            "date",
            "{{ steps.invoice.Contact.Name }}",
            (
                "{{ steps.invoice.Contact.Name }} gives a value such as “Ridgeway University”."
                " Give a date such as 2026-11-30, or +30, eom, today."
            ),
        ),
    ],
)
def test_other_kinds_are_said_at_the_field(field: str, typed: str, message: str) -> None:
    assert said(field, typed) == [(field, message)]


def test_address_must_be_one() -> None:
    mail = Step(
        "mail", "core/send-email", {"to": "{{ trigger.contact }}", "subject": "x", "body": "x"}
    )
    (found,) = list_problems(Draft("xero/invoice-paid", {"documents": "ACCREC"}, [mail]))
    assert (found.field, found.message.partition(". ")[2]) == ("to", "Enter a valid email address.")


def test_elements_of_a_list_are_looked_at() -> None:
    each = {"for_each": "{{ steps.invoice.LineItems }}"}
    assert said("amount", "{{ item.LineAmount }}", **each) == []
    ((field, _),) = said("amount", "{{ item.Description }}", **each)
    assert field == "amount"


def test_starting_points_bring_what_their_fields_take() -> None:
    for point in STARTING_POINTS.values():
        found = [
            one.message
            for one in list_problems(point.draft_for("me@example.com"))
            if "gives a value" in one.message
        ]
        assert (point.key, found) == (point.key, [])


def test_samples_of_free_actions_are_only_examples() -> None:
    assert {key for key, action in registry.actions.items() if action.free} == {
        "core/set-values",
        "core/http-request",
    }
