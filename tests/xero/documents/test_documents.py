"""The page of a new invoice or bill against the sandbox: what is typed arrives exactly, once, or is
explained.
"""

import re
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from connections.models import Call, Connection, Grant
from taskjuice.form_sizes import MOST_LINES
from taskjuice.workspaces.models import User, Workspace
from tests.factories import make_connection
from tests.sandbox_process import SandboxProcess
from tests.xero.books import read_all
from tests.xero.linked import link
from tests.xero.sandbox.openapi import check_request
from xero.documents import choices
from xero.fields import TrackingField
from xero.models import Account, Contact, Invoice, Stale
from xero.records import wire
from xero.sync import schedule as sync_schedule

pytestmark = pytest.mark.django_db

NEW = "/northwind/harbour-cafe/invoices/new/"
LOCKED_ORGANISATION = 1  # the second of the sandbox has a lock date
NEW_BILL = "/northwind/harbour-cafe/bills/new/"


def contact_of(connection: Connection) -> Contact:
    return Contact.objects.filter(connection=connection, status="ACTIVE").earliest("name")


def filled(connection: Connection, do: str = "draft", **more: Any) -> dict[str, str]:
    """A form as a browser posts it, with one line and two blank rows."""
    fields = {
        "do": do,
        "form_key": str(uuid4()),
        "organisation": str(connection.pk),
        "contact_name": contact_of(connection).name,
        "date": "2026-11-02",
        "due_date": "eom",
        "number": "",
        "reference": "Autumn",
        "currency": "",
        "line_amount_types": "Exclusive",
        "lines-0-item_code": "",
        "lines-0-description": "Consulting",
        "lines-0-quantity": "2",
        "lines-0-unit_amount": "1,000.1234",
        "lines-0-discount_rate": "10",
        "lines-0-account_code": "200",
        "lines-0-tax_type": "",
        "lines-1-description": "",
        "lines-1-quantity": "1",
        "lines-2-description": " ",
        "lines-2-quantity": "1",
    }
    return fields | {name.replace("__", "-"): str(value) for name, value in more.items()}


def test_invoice_is_made_and_shown(as_member: Client, connection: Connection) -> None:
    answer = as_member.post(NEW, filled(connection, "approve"))
    invoice = Invoice.objects.get(reference="Autumn")
    assert answer["Location"] == f"/northwind/harbour-cafe/invoices/{invoice.xero_id}/"
    assert (invoice.status, invoice.sub_total, invoice.total_tax) == (
        "AUTHORISED",
        Decimal("1800.22"),
        Decimal("270.03"),
    )
    assert (str(invoice.date), str(invoice.due_date)) == ("2026-11-02", "2026-11-30")
    assert len(invoice.body["LineItems"]) == 1
    call = Call.objects.select_related("sending").get()
    check_request("accounting.yaml", "PUT", "/Invoices", wire.decode(bytes(call.sending.body)))
    assert invoice.body["Url"].endswith(f"/calls/{call.pk}/")
    assert "is in Xero." in as_member.get(answer["Location"]).content.decode()


@pytest.mark.parametrize(
    ("do", "status"), [("draft", "DRAFT"), ("submit", "SUBMITTED"), ("approve", "AUTHORISED")]
)
def test_button_decides_the_status(
    do: str, status: str, as_member: Client, connection: Connection
) -> None:
    line = {"lines__0__discount_rate": "", "lines__0__account_code": "400"}
    as_member.post(
        NEW_BILL, filled(connection, do, status="PAID", number=(number := str(uuid4())), **line)
    )
    assert [(i.type, i.status) for i in Invoice.objects.filter(number=number)] == [
        ("ACCPAY", status)
    ]


def test_second_click_makes_no_second_invoice(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    data = filled(connection, reference="only once")
    first, second = as_member.post(NEW, data), as_member.post(NEW, data | {"reference": "twice"})
    assert first["Location"] == second["Location"]
    assert Call.objects.count() == 1
    found = sandbox.xero("GET", str(connection.tenant_id), "Invoices?searchTerm=only once&page=1")
    assert len(found["Invoices"]) == 1
    assert "Nothing was sent again" in as_member.get(second["Location"]).content.decode()


def test_total_that_is_previewed_is_xeros(as_member: Client, connection: Connection) -> None:
    lines = {
        f"lines__{n}__{name}": value
        for n, price in enumerate(["25.06", "25.61", "25.63"])
        for name, value in (
            ("description", "x"), ("quantity", "1"), ("unit_amount", price), ("account_code", "200"),
            ("discount_rate", ""),
        )
    }  # fmt: skip
    for amounts_are in ("Exclusive", "Inclusive", "NoTax"):
        data = filled(connection, "update", line_amount_types=amounts_are, **lines)
        shown = as_member.post(NEW, data).context["totals"]
        made = as_member.post(NEW, data | {"do": "draft"})
        invoice = Invoice.objects.get(xero_id=made["Location"].split("/")[-2])
        tax = sum(shown.taxes.values(), Decimal(0))
        assert (shown.sub_total, tax, shown.total) == (
            invoice.sub_total,
            invoice.total_tax,
            invoice.total,
        )


def test_preview_answers_htmx_with_the_sums_alone(
    as_member: Client, connection: Connection
) -> None:
    answer = as_member.post(
        f"{NEW}?part=sums", filled(connection, "update"), headers={"HX-Request": "true"}
    ).content.decode()
    assert answer.strip().startswith('<div id="sums"')
    assert ["1,800.22" in answer, "270.03" in answer, "15% GST on Income" in answer] == [
        True,
        True,
        True,
    ]
    assert 'id="amount-0" hx-swap-oob="true"' in answer
    assert "<html" not in answer


@pytest.mark.parametrize(
    ("do", "descriptions"),
    [
        ("add1", ["Consulting", "", " ", ""]),
        ("add5", ["Consulting", "", " ", "", "", "", "", ""]),
        ("remove-1", ["Consulting", " "]),
        ("remove-99", ["Consulting", "", " "]),
        ("remove-x", ["Consulting", "", " "]),
        ("no such button", ["Consulting", "", " "]),
    ],
)
def test_buttons_of_the_table_edit_rows_and_send_nothing(
    do: str, descriptions: list[str], as_member: Client, connection: Connection
) -> None:
    answer = as_member.post(NEW, filled(connection, do, due_date="nonsense"))
    assert answer.status_code == 200
    rows = [row["description"].value() or "" for row, _ in answer.context["rows"]]
    assert rows == descriptions
    assert answer.context["form"]["due_date"].value() == "nonsense"
    assert Call.objects.count() == 0


def test_item_fills_its_line(as_member: Client, connection: Connection) -> None:
    blank = {f"lines__0__{name}": "" for name in ("description", "unit_amount", "account_code")}
    code = as_member.get(NEW).context["items"][0].code
    answer = as_member.post(
        NEW, filled(connection, "item-0", lines__0__item_code=code.lower(), **blank)
    )
    row = answer.context["rows"][0][0]
    values = {
        name: row[name].value()
        for name in ("item_code", "description", "unit_amount", "account_code")
    }
    assert values["item_code"] == code
    assert all(values.values())


@pytest.mark.parametrize(
    ("field", "value", "shown_at", "message"),
    [
        ("lines__0__unit_amount", "1.000,00", "unit_amount", "Give a number, such as 1234.50."),
        ("lines__0__unit_amount", "1e3", "unit_amount", "Give a number, such as 1234.50."),
        ("lines__0__unit_amount", "NaN", "unit_amount", "Give a number, such as 1234.50."),
        ("lines__0__unit_amount", "Infinity", "unit_amount", "Give a number, such as 1234.50."),
        ("lines__0__unit_amount", "٥", "unit_amount", "Give a number, such as 1234.50."),
        ("lines__0__unit_amount", "0.1+0.2", "unit_amount", "Give a number, such as 1234.50."),
        ("lines__0__unit_amount", "9" * 30, "unit_amount", "This number is too large."),
        ("lines__0__unit_amount", "1.00001", "unit_amount", "Give at most 4 decimal places."),
        ("lines__0__discount_rate", "101", "discount_rate", "A discount is at most 100 %."),
        ("lines__0__account_code", "nope", "account_code", "No such account."),
        ("lines__0__tax_type", "NOPE", "tax_type", "No such tax rate."),
        ("lines__0__item_code", "NOPE", "item_code", "No such item."),
        ("lines__0__description", "", "description", "A line needs a description or an item."),
        ("lines__0__description", "a\0b", "description", "characters that Xero cannot store"),
        ("lines__0__description", "x" * 1_000_000, "description", "at most 4000 characters"),
    ],
)
def test_wrong_line_is_explained_in_its_row(
    field: str, value: str, shown_at: str, message: str, as_member: Client, connection: Connection
) -> None:
    answer = as_member.post(NEW, filled(connection, **{field: value}))
    row = answer.context["rows"][0][0]
    assert answer.status_code == 422
    assert [message in error for error in row.errors[shown_at]] == [True]
    assert row[shown_at].value() == value
    assert answer.context["form"]["reference"].value() == "Autumn"
    assert Call.objects.count() == 0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("date", "2026-11-31", "Give a date such as 2026-11-30"),
        ("date", "0000-01-01", "Give a date such as 2026-11-30"),
        ("date", "9999-12-31", "Give a date such as 2026-11-30"),
        ("due_date", "in a while", "Give a date such as 2026-11-30"),
        ("currency", "NZ", "Give the three letters"),
        ("contact_name", "", "Choose whom it is to."),
        ("contact_name", "Nobody Knows Ltd", "has no contact of this name"),
        ("contact_name", "a\0b", "characters that Xero cannot store"),
        ("number", "n" * 256, "at most 255 characters"),
        ("reference", "r" * 1_000_000, "at most 255 characters"),
        ("line_amount_types", "Sideways", "Select a valid choice"),
    ],
)
def test_wrong_field_is_explained(
    field: str, value: str, message: str, as_member: Client, connection: Connection
) -> None:
    answer = as_member.post(NEW, filled(connection, **{field: value}))
    assert answer.status_code == 422
    assert [message in error for error in answer.context["form"].errors[field]] == [True]
    assert Call.objects.count() == 0


@pytest.mark.parametrize(
    "text", ["😀 Ünïcode", "\u202esdrawkcab", "a\u200bb", "<script>alert(1)</script>", "{{ x }}"]
)
def test_any_text_arrives_as_it_was_typed(
    text: str, as_member: Client, connection: Connection
) -> None:
    as_member.post(
        NEW, filled(connection, lines__0__description=text, reference=(mark := str(uuid4())))
    )
    invoice = Invoice.objects.get(reference=mark)
    assert [line["Description"] for line in invoice.body["LineItems"]] == [text]
    page = as_member.get(f"/northwind/harbour-cafe/invoices/{invoice.xero_id}/").content.decode()
    assert "<script>alert" not in page


def test_new_contact_is_added_in_place(as_member: Client, connection: Connection) -> None:
    data = filled(connection, contact_name="  Nobody   Knows Ltd ", reference="for a new one")
    refused = as_member.post(NEW, data)
    assert "as a new contact" in refused.content.decode()
    as_member.post(NEW, data | {"new_contact": "on"})
    invoice = Invoice.objects.get(reference="for a new one")
    assert invoice.contact_name == "Nobody Knows Ltd"
    assert invoice.contact_xero_id in set(Stale.objects.values_list("xero_id", flat=True))


def test_contact_is_found_whatever_its_case(as_member: Client, connection: Connection) -> None:
    contact = contact_of(connection)
    as_member.post(NEW, filled(connection, contact_name=contact.name.upper(), reference="loud"))
    assert Invoice.objects.get(reference="loud").contact_xero_id == contact.xero_id


def test_contacts_are_offered_for_what_is_typed(as_member: Client, connection: Connection) -> None:
    contact = contact_of(connection)
    part = contact.name[1:6].lower()
    answer = as_member.get(
        f"/northwind/harbour-cafe/contacts/find/?contact_name={part}"
    ).content.decode()
    assert contact.name in re.findall('<option value="([^"]*)">', answer)
    assert (
        as_member.get("/northwind/harbour-cafe/contacts/find/?contact_name=%00zzzz").status_code
        == 200
    )


def test_archived_account_is_refused_in_xeros_words_at_its_row(
    as_member: Client, connection: Connection
) -> None:
    assert Account.objects.get(connection=connection, code="498").status == "ARCHIVED"
    line = {"lines__0__discount_rate": "", "lines__0__account_code": "498"}
    answer = as_member.post(NEW_BILL, filled(connection, **line))
    (message,) = answer.context["refused"]
    assert message.startswith("Account code '498' has been archived")
    assert answer.context["rows"][0][0].errors == {"account_code": [message]}
    assert answer.context["rows"][0][0]["account_code"].value() == "498"


def test_archived_contact_is_refused_in_xeros_words(
    as_member: Client, connection: Connection
) -> None:
    gone = Contact.objects.filter(connection=connection, status="ARCHIVED")[0]
    answer = as_member.post(NEW, filled(connection, contact_name=gone.name))
    assert answer.context["refused"] == answer.context["form"].errors["contact_name"]
    words = "has been archived and cannot be used on this document."
    assert answer.context["refused"] == [f"The contact {gone.name} {words}"]


def test_locked_period_is_refused_at_the_date(
    as_member: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    locked = link(sandbox, workspace, LOCKED_ORGANISATION)
    sync_schedule.start_reading(locked)
    read_all(locked)
    answer = as_member.post(NEW, filled(locked, date="2024-01-31"))
    assert answer.context["form"].errors == {"date": answer.context["refused"]}
    assert answer.context["refused"][0].startswith(
        "The document date cannot be before the period lock date"
    )


def test_duplicate_number_is_refused_at_the_number_and_may_be_corrected(
    as_member: Client, connection: Connection
) -> None:
    taken = (
        Invoice.objects.filter(connection=connection, type="ACCREC").exclude(number="")[0].number
    )
    data = filled(connection, number=taken)
    answer = as_member.post(NEW, data)
    assert (answer.status_code, answer.context["form"].errors) == (
        422,
        {"number": ["Invoice # must be unique."]},
    )
    assert as_member.post(NEW, data | {"number": "TJ-77"}).status_code == 302
    assert [call.state for call in Call.objects.order_by("created_at")] == ["failed", "confirmed"]


def test_missing_scope_asks_for_consent(
    as_member: Client, as_admin: Client, connection: Connection
) -> None:
    scopes = ["accounting.contacts", "accounting.settings", "accounting.transactions.read"]
    Grant.objects.filter(connections=connection).update(scopes=scopes)
    page = as_member.get(NEW).content.decode()
    assert "needs consent for <strong>accounting.transactions</strong>" in page
    assert "An owner or admin" in page
    assert "Ask for consent at Xero" in as_admin.get(NEW).content.decode()
    assert as_member.post(NEW, filled(connection)).status_code == 409
    assert Call.objects.count() == 0


def test_another_clients_organisation_is_not_found(
    as_member: Client, connection: Connection, foreign_workspace: Any, other_workspace: Any
) -> None:
    for place in (foreign_workspace, other_workspace):
        other = make_connection(place)
        assert as_member.post(NEW, filled(connection, organisation=other.pk)).status_code == 404
        assert as_member.get(f"{NEW}?organisation={other.pk}").status_code == 404
    assert as_member.post(NEW, filled(connection, organisation="1; DROP")).status_code == 404


def test_answer_that_got_lost_still_leads_to_the_one_invoice(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    sandbox.api("POST", "faults", {"kind": "reset_after", "remaining": 1, "method": "PUT"})
    answer = as_member.post(NEW, filled(connection, reference=(mark := str(uuid4()))))
    invoice = Invoice.objects.get(reference=mark)
    assert answer["Location"] == f"/northwind/harbour-cafe/invoices/{invoice.xero_id}/"
    assert Call.objects.count() == 1


def test_what_cannot_be_confirmed_leads_to_the_page_of_its_call(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    as_member.post(NEW, filled(connection, "update"))  # the tax rates are known
    sandbox.api("POST", "faults", {"kind": "reset_after", "remaining": 20})
    data = filled(connection)
    answer = as_member.post(NEW, data)
    call = Call.objects.get()
    assert answer["Location"] == f"/northwind/harbour-cafe/calls/{call.pk}/"
    assert as_member.post(NEW, data)["Location"] == answer["Location"]
    assert Call.objects.count() == 1


def test_reader_and_archived_client_write_nothing(
    as_client_user: Client, as_member: Client, connection: Connection
) -> None:
    assert as_client_user.get(NEW).status_code == 403
    assert as_client_user.post(NEW, filled(connection)).status_code == 403
    connection.workspace.archived_at = timezone.now()
    connection.workspace.save()
    assert as_member.post(NEW, filled(connection)).status_code == 403
    assert Call.objects.count() == 0


def test_post_of_another_site_is_refused(member: User, connection: Connection) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(member)
    assert client.post(NEW, filled(connection)).status_code == 403
    assert Call.objects.count() == 0


def test_looking_at_the_form_asks_xero_nothing(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    sandbox.api("DELETE", "counters")
    assert as_member.get(NEW).status_code == 200
    assert sandbox.api("GET", "counters") == []


def test_another_organisation_is_switched_to_with_what_was_typed(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    other = link(sandbox, connection.workspace, 1)
    sync_schedule.start_reading(other)
    read_all(other)
    data = filled(connection)
    page = as_member.post(NEW, data | {"do": "organisation", "organisation": str(other.pk)})
    assert page.context["connection"] == other
    assert page.context["form"]["reference"].value() == "Autumn"
    assert str(page.context["form"]["form_key"].value()) != data["form_key"]
    assert page.context["rows"][0][0]["description"].value() == "Consulting"
    names = {account.name for account in Account.objects.filter(connection=other)}
    groups = page.context["form"].line_choices.accounts
    assert {label.split(" ", 1)[1] for _, group in groups for _, label in group} <= names


def test_key_of_another_kind_of_form_is_refused(as_member: Client, connection: Connection) -> None:
    data = filled(connection)
    as_member.post(NEW, data)
    made = {"form_key": data["form_key"], "name": f"Somebody {uuid4()}"}
    answer = as_member.post("/northwind/harbour-cafe/contacts/new/", made)
    assert answer.context["refused"] == [
        "This form was used for something else already. Open the page anew."
    ]
    assert Call.objects.count() == 1


def test_due_date_starts_with_the_organisations_terms(
    as_member: Client, connection: Connection
) -> None:
    assert as_member.get(NEW).context["form"]["due_date"].value() == "+20"
    assert as_member.get(NEW_BILL).context["form"]["due_date"].value() == ""


def test_contact_whose_page_led_here_is_filled_in(
    as_member: Client, connection: Connection
) -> None:
    contact = contact_of(connection)
    assert (
        as_member.get(f"{NEW}?contact={contact.xero_id}").context["form"]["contact_name"].value()
        == contact.name
    )
    for nobody in (uuid4(), "x"):
        assert (
            as_member.get(f"{NEW}?contact={nobody}").context["form"]["contact_name"].value() == ""
        )


def test_rows_end_where_a_form_ends(as_member: Client, connection: Connection) -> None:
    rows = {
        f"lines__{n}__{name}": ""
        for n in range(MOST_LINES - 2)
        for name in (
            "item_code",
            "description",
            "unit_amount",
            "discount_rate",
            "account_code",
            "tax_type",
        )
    }
    answer = as_member.post(NEW, filled(connection, "add5", **rows))
    assert (answer.status_code, len(answer.context["rows"])) == (200, MOST_LINES)


def test_rates_that_cannot_be_asked_for_are_said_to_be_unknown(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    sandbox.api("POST", "faults", {"kind": "error_503_before", "remaining": 5, "method": "GET"})
    answer = as_member.post(NEW, filled(connection, "update"))
    assert not answer.context["totals"].complete
    assert "is not known here" in answer.content.decode()


def test_tracking_is_offered_as_xero_has_it(as_member: Client, connection: Connection) -> None:
    assert choices.list_tracking(connection) == [
        ("Region", ["Eastside", "North", "South", "West Coast"]),
        ("Team", ["Delivery", "Sales: new customers", "Support"]),
    ]
    page = as_member.get(NEW).content.decode()
    assert page.count('name="lines-0-tracking"') == 2
    assert 'aria-label="Region of line 1"' in page
    assert "Spring fair" not in page  # archived


def test_tracking_of_a_line_arrives_in_xero(as_member: Client, connection: Connection) -> None:
    chosen = [
        TrackingField.pair("Region", "North"),
        TrackingField.pair("Team", "Sales: new customers"),
    ]
    as_member.post(NEW, filled(connection, reference="tracked") | {"lines-0-tracking": chosen})
    (line,) = Invoice.objects.get(reference="tracked").body["LineItems"]
    assert [(one["Name"], one["Option"]) for one in line["Tracking"]] == [
        ("Region", "North"),
        ("Team", "Sales: new customers"),
    ]
    call = Call.objects.select_related("sending").get()
    check_request("accounting.yaml", "PUT", "/Invoices", wire.decode(bytes(call.sending.body)))


def test_tracking_stays_chosen_while_rows_are_edited(
    as_member: Client, connection: Connection
) -> None:
    chosen = ["", TrackingField.pair("Team", "Support")]
    data = filled(connection, "add1") | {"lines-0-tracking": chosen}
    page = as_member.post(NEW, data).content.decode()
    assert re.findall(r'<option value="([^"]+)" selected>(?:Support|North)', page) == [
        "Team\tSupport"
    ]


@pytest.mark.parametrize(
    "chosen", [["Region\tMoon"], ["Campaign\tSpring fair"], ["Region\tNorth", "Region\tSouth"]]
)
def test_tracking_that_is_not_offered_is_refused_and_shown(
    chosen: list[str], as_member: Client, connection: Connection
) -> None:
    answer = as_member.post(NEW, filled(connection) | {"lines-0-tracking": chosen})
    assert answer.status_code == 422
    assert Call.objects.count() == 0
    page = answer.content.decode()
    assert chosen[-1].partition("\t")[2] in page


def test_archived_client_says_so_instead_of_a_form(
    as_member: Client, connection: Connection, workspace: Workspace
) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(archived_at=timezone.now())
    for path in (
        NEW,
        NEW_BILL,
        "/northwind/harbour-cafe/contacts/new/",
        "/northwind/harbour-cafe/payments/new/",
    ):
        page = as_member.get(path).content.decode()
        assert ("This client is archived" in page, 'name="form_key"' in page) == (True, False)


def many_lines(connection: Connection, count: int, **more: Any) -> dict[str, Any]:
    """A form of so many lines with every field that the page has, tracking twice, as a browser
    posts it.
    """
    pairs = [
        TrackingField.pair(name, options[0]) for name, options in choices.list_tracking(connection)
    ]
    rows: dict[str, Any] = {}
    for n in range(count):
        rows |= {f"lines-{n}-{name}": "" for name in ("item_code", "discount_rate", "tax_type")}
        rows |= {
            f"lines-{n}-description": f"Line {n + 1} – Größe",
            f"lines-{n}-quantity": "1",
            f"lines-{n}-unit_amount": "1.25",
            f"lines-{n}-account_code": "200",
            f"lines-{n}-tracking": [*pairs, ""][:2],
        }
    fields = {
        name: value for name, value in filled(connection).items() if not name.startswith("lines-")
    }
    return fields | rows | more


def test_document_of_as_many_lines_as_are_allowed_is_made(
    as_member: Client, connection: Connection
) -> None:
    answer = as_member.post(
        NEW, many_lines(connection, MOST_LINES, reference=(mark := str(uuid4())))
    )
    invoice = Invoice.objects.get(reference=mark)
    assert answer["Location"] == f"/northwind/harbour-cafe/invoices/{invoice.xero_id}/"
    assert len(invoice.body["LineItems"]) == MOST_LINES
    page = as_member.post(NEW, many_lines(connection, MOST_LINES - 3, do="add5"))
    assert len(page.context["rows"]) == MOST_LINES


def test_document_of_more_lines_says_so_and_keeps_them(
    as_member: Client, connection: Connection
) -> None:
    answer = as_member.post(NEW, many_lines(connection, MOST_LINES + 30))
    assert answer.status_code == 422
    assert answer.context["form"].errors == {"lines": ["Give at most 200 lines."]}
    rows = [row["description"].value() for row, _ in answer.context["rows"]]
    assert rows == [f"Line {n + 1} – Größe" for n in range(MOST_LINES + 30)]
    assert Call.objects.count() == 0


def test_longest_texts_that_are_allowed_can_be_sent(
    as_member: Client, connection: Connection
) -> None:
    rows = {f"lines-{n}-description": "😀" * 4000 for n in range(MOST_LINES)}
    typed = urlencode(many_lines(connection, MOST_LINES, do="update") | rows, doseq=True)
    answer = as_member.post(NEW, typed, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200
    assert {len(row["description"].value()) for row, _ in answer.context["rows"]} == {4000}
