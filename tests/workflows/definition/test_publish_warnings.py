"""Warnings about values that a provider may leave out; dates and lines of documents pass on."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection, make_workflow
from workflows.definition import conditions
from workflows.definition.drafts import Draft, Step
from workflows.definition.expressions import evaluate_text
from workflows.definition.publish_warnings import list_cautions
from workflows.definition.validation import list_problems
from workflows.engine.plans import build_plan
from workflows.models import Version
from workflows.steps.delay import DelayForm
from xero.fields import InstantField
from xero.forms import CreateInvoiceForm
from xero.line_forms import LinesField

LOOK_UP = Step("invoice", "xero/get-invoice", {"invoice_id": "{{ trigger.resource_id }}"})
DAY = "/Date(1796774400000+0000)/"  # 2026-12-09
BILL = {"type": "ACCPAY", "contact_name": "Rata Holdings", "status": "DRAFT"}
LINES = [{"description": "x", "quantity": "1", "unit_amount": "1", "account_code": "400"}]


def draft(*steps: Step) -> Draft:
    return Draft("xero/invoice-event", {"change": "any"}, [LOOK_UP, *steps])


def note(text: str, **options: Any) -> Step:
    return Step("note", "core/note", {"text": text}, options)


def when(field: str, operator: str, value: str = "") -> dict[str, Any]:
    return {"match": "all", "rows": [{"field": field, "operator": operator, "value": value}]}


def told(*steps: Step) -> list[tuple[Any, str]]:
    assert list_problems(draft(*steps)) == []
    return [(one.where, one.field) for one in list_cautions(draft(*steps))]


@pytest.mark.parametrize(
    "text",
    [
        "{{ steps.invoice.DueDateString }}",
        "{{ steps.invoice.LineItems[0].AccountCode }}",
        "{{ steps.invoice.Payments[0].Date }}",
        "{{ steps.invoice.Payments.first.Date }}",
        "{{ steps.invoice.Reference | upcase }}",
        "{{ steps.invoice.FullyPaidOnDate | date: '%d' | default: 'x' }}",
        "{{ steps.invoice.Total | plus: steps.invoice.CurrencyRate }}",
        "{{ 1 | default: steps.invoice.Reference }}",
    ],
)
def test_what_may_be_left_out_is_said(text: str) -> None:
    assert told(note(text)) == [(1, "text")]


@pytest.mark.parametrize(
    "text",
    [
        "{{ steps.invoice.Total }} {{ steps.invoice.Contact.Name }} {{ steps.invoice.LineItems[0].LineItemID }}",
        "{{ steps.invoice.DueDateString | default: 'none' }}",
        "{{ steps.invoice.LineItems[0].AccountCode | default: '' | upcase }}",
        "{{ trigger.resource_id }}",
        "{{ steps.invoice.LineItems.size }}",
    ],
)
def test_what_is_always_there_or_has_a_substitute_is_not(text: str) -> None:
    assert told(note(text)) == []


def test_step_that_asks_first_is_not_warned() -> None:
    reference, shown = "{{ steps.invoice.Reference }}", "{{ steps.invoice.Reference | upcase }}"
    assert told(note(shown, only_if=when(reference, "is-not-empty"))) == []
    stop = Step("stop", "core/filter", {"condition": when(reference, "is-not-empty")})
    assert told(stop, note(shown)) == []
    before = when("{{ steps.invoice.FullyPaidOnDate }}", "before", "2027-01-01")
    assert told(note("x", only_if=before)) == [(1, "options.only_if")]


def test_elements_of_a_list_are_looked_at_as_well() -> None:
    each = {"for_each": "{{ steps.invoice.LineItems }}"}
    assert told(note("{{ item.LineItemID }}", **each)) == []
    assert told(note("{{ item.AccountCode }}", **each)) == [(1, "text")]


def test_output_of_a_step_that_may_be_skipped_is_said() -> None:
    only = when("{{ trigger.type }}", "equals", "CREATE")
    other = Step(
        "other", "xero/get-invoice", {"invoice_id": "{{ trigger.resource_id }}"}, {"only_if": only}
    )
    assert told(other, note("{{ steps.other.Total }}")) == [(2, "text")]
    assert told(other, note("{{ steps.other.Total | default: 0 }}")) == []
    assert told(other, note("{{ steps.other.Total }}", only_if=only)) == []


def test_copied_lines_without_what_their_amounts_are_is_said() -> None:
    copy = Step("copy", "xero/create-invoice", BILL | {"lines": "{{ steps.invoice.LineItems }}"})
    assert told(copy) == [(1, "line_amount_types")]
    known = {"line_amount_types": "{{ steps.invoice.LineAmountTypes }}"}
    assert told(Step("copy", "xero/create-invoice", {**copy.input, **known})) == []


@pytest.mark.django_db
def test_builder_and_publishing_say_it_and_publish(as_member: Client, workspace: Workspace) -> None:
    connection: Connection = make_connection(workspace, name="Harbour Café Limited")
    steps = [LOOK_UP.as_stored(), note("{{ steps.invoice.DueDateString }}").as_stored()]
    workflow = make_workflow(connection.agency, connection, steps=steps, published=False)
    Version.objects.filter(workflow=workflow).update(trigger_settings={"change": "any"})
    said = "“steps.invoice.DueDateString” may be left out"
    page = as_member.get(f"/northwind/workflows/{workflow.pk}/edit/").content.decode()
    assert page.count(said) == 1
    assert "{{ steps.invoice.DueDateString | default: &#x27;…&#x27; }}" in page
    done = as_member.post(
        f"/northwind/workflows/{workflow.pk}/publish/", follow=True
    ).content.decode()
    assert "Version 1 is live at" in done
    assert f"Step 2: {said}" in done


# -- dates --


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ day }}", "2026-12-09"),
        ("on {{ day }}", "on 2026-12-09"),
        ("{{ moment }}", "2026-12-09T07:08:09Z"),
        ("{{ day | date: '%d %b %Y' }}", "09 Dec 2026"),
        ("{{ day | add_days: 30 }}", "2027-01-08"),
        ("{{ day | end_of_month }}", "2026-12-31"),
        ("{{ '/Date(99999999999999999)/' }}", "/Date(99999999999999999)/"),
    ],
)
def test_filters_and_texts_read_xeros_dates(text: str, value: str) -> None:
    data = {"day": DAY, "moment": "/Date(1796800089000+1300)/"}
    assert evaluate_text(text, data) == value


@pytest.mark.parametrize(
    ("operator", "value", "holds"),
    [
        ("before", "2027-01-01", True),
        ("after", "2027-01-01", False),
        ("equals", "2026-12-09", True),
        ("starts-with", "2026-12", True),
        ("in-list", "2026-12-08, 2026-12-09", True),
        ("before", "{{ later }}", True),
    ],
)
def test_conditions_read_xeros_dates(operator: str, value: str, holds: bool) -> None:
    row = {"field": "{{ day }}", "operator": operator, "value": value}
    data = {"day": DAY, "later": "/Date(1796860800000)/"}
    assert conditions.check_condition({"match": "all", "rows": [row]}, data)[0] is holds


@pytest.mark.parametrize("typed", [DAY, "/Date(1796774400000)/"])
def test_fields_read_xeros_dates(typed: str) -> None:
    form = CreateInvoiceForm(BILL | {"date": typed, "lines": LINES})
    assert form.is_valid(), form.errors
    assert str(form.cleaned_data["date"].fixed) == "2026-12-09"
    assert InstantField().clean(typed).isoformat() == "2026-12-09T00:00:00+00:00"
    delay = DelayForm({"until": typed})
    assert delay.is_valid(), delay.errors
    assert str(delay.cleaned_data["until"]) == "2026-12-09 09:00:00"


# -- lines --


XEROS_LINE = {
    "LineItemID": "8a0c1d5e-2f6b-4f3a-9d57-3a1b0c9e7f44",
    "Description": "Oak\nboards",
    "Quantity": Decimal("2.5000"),
    "UnitAmount": Decimal("12.3400"),
    "DiscountRate": Decimal(10),
    "AccountCode": "400",
    "TaxType": "INPUT2",
    "TaxAmount": Decimal("4.16"),
    "LineAmount": Decimal("27.77"),
    "Tracking": [{"TrackingCategoryID": "x", "Name": "Region", "Option": "North", "Options": []}],
}


def test_lines_of_a_document_become_lines_of_ours() -> None:
    (line,) = LinesField().clean([XEROS_LINE])
    assert {name: value for name, value in line.items() if value not in (None, "", [])} == {
        "description": "Oak\nboards",
        "quantity": Decimal("2.5"),
        "unit_amount": Decimal("12.34"),
        "discount_rate": Decimal(10),
        "account_code": "400",
        "tax_type": "INPUT2",
        "tracking": [{"name": "Region", "option": "North"}],
    }


def test_line_of_words_only_and_one_without_a_price_are_copied() -> None:
    words, priceless = LinesField().clean(
        [{"Description": "As agreed"}, {"Description": "Freight", "LineAmount": Decimal("9.90")}]
    )
    assert (words["description"], words["unit_amount"]) == ("As agreed", None)
    assert (priceless["quantity"], priceless["unit_amount"]) == (1, Decimal("9.90"))


def test_line_whose_copy_would_come_to_another_amount_is_refused() -> None:
    form = CreateInvoiceForm(
        BILL | {"lines": [XEROS_LINE | {"DiscountRate": None, "DiscountAmount": Decimal(5)}]}
    )
    assert "fixed amount off (5)" in form.errors["lines"][0]


def test_step_that_copies_lines_is_given_them_whole() -> None:
    step = Step("copy", "xero/create-invoice", BILL | {"lines": "{{ steps.invoice.LineItems }}"})
    _, cleaned = build_plan(step.as_stored()).prepare(
        {"steps": {"invoice": {"LineItems": [XEROS_LINE] * 2}}}
    )
    assert [line["account_code"] for line in cleaned["lines"]] == ["400", "400"]
