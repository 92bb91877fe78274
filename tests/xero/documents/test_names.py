"""Contacts whose names hold other blanks than people can type, and texts of several lines as a
browser sends them.
"""

import importlib
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.test import Client

from connections.models import Call, Connection
from tests.sandbox_process import SandboxProcess
from tests.xero.documents.test_answers import invoice_step, run_step
from tests.xero.documents.test_documents import NEW, filled
from xero.models import Contact, Invoice
from xero.sync import upsert
from xero.sync.mapping import CONTACTS

pytestmark = pytest.mark.django_db
PLACE = "/northwind/harbour-cafe"
SPELT = [
    "{0}  Double Space Ltd",
    "{0} Nb\u00a0Space Ltd",
    " {0} Leading Blank Ltd",
    "{0} Thin\u2009Blank Ltd",
]


@pytest.fixture
def stored(connection: Connection, sandbox: SandboxProcess) -> list[Contact]:
    """Such contacts, as an import brought them into Xero and the sync into the local copy."""
    mark = uuid4().hex[:8]
    for spelt in SPELT:
        made = sandbox.xero(
            "PUT", str(connection.tenant_id), "Contacts", {"Name": spelt.format(mark)}
        )
        upsert.store_records(connection, CONTACTS, made["Contacts"])
    return [Contact.objects.get(connection=connection, name=spelt.format(mark)) for spelt in SPELT]


def named_at_xero(sandbox: SandboxProcess, connection: Connection, name: str) -> list[str]:
    found = sandbox.xero("GET", str(connection.tenant_id), "Contacts?page=1&pageSize=1000")[
        "Contacts"
    ]
    return [one["ContactID"] for one in found if " ".join(one["Name"].split()) == name]


def test_contact_is_found_by_its_name_as_it_is_shown(
    as_member: Client, connection: Connection, sandbox: SandboxProcess, stored: list[Contact]
) -> None:
    for contact in stored:
        shown = " ".join(contact.name.split())
        for typed in (shown, f"  {shown.upper()} ", contact.name, shown.replace(" ", "\u00a0")):
            mark = str(uuid4())
            answer = as_member.post(NEW, filled(connection, contact_name=typed, reference=mark))
            assert answer.status_code == 302, answer.context["form"].errors
            assert Invoice.objects.get(reference=mark).contact_xero_id == contact.xero_id
        assert named_at_xero(sandbox, connection, shown) == [str(contact.xero_id)]
        options = as_member.get(f"{PLACE}/contacts/find/", {"contact_name": shown}).content.decode()
        assert options.count("<option") == 1
        listed = as_member.get(f"{PLACE}/contacts/", {"q": shown}).content.decode()
        assert str(contact.xero_id) in listed


def test_contact_of_such_a_name_is_there_already(
    as_member: Client, connection: Connection, sandbox: SandboxProcess, stored: list[Contact]
) -> None:
    for contact in stored:
        shown = " ".join(contact.name.split())
        data = {"form_key": str(uuid4()), "organisation": str(connection.pk), "name": shown}
        answer = as_member.post(f"{PLACE}/contacts/new/", data)
        assert answer.context["form"].errors == {
            "name": ["There is a contact of this name already."]
        }
        activation = run_step(connection, "xero/create-contact", {"name": shown})
        assert activation.state == "failed"
        assert named_at_xero(sandbox, connection, shown) == [str(contact.xero_id)]


def test_step_gives_the_contact_that_is_there(
    connection: Connection, sandbox: SandboxProcess, stored: list[Contact]
) -> None:
    for contact in stored:
        shown = " ".join(contact.name.split())
        values = invoice_step(connection, contact_id="", contact_name=shown)
        activation = run_step(connection, "xero/create-invoice", values)
        assert (activation.state, activation.error) == ("succeeded", "")
        assert named_at_xero(sandbox, connection, shown) == [str(contact.xero_id)]


def test_what_is_stored_is_found_after_the_migration(
    connection: Connection, stored: list[Contact]
) -> None:
    migration: Any = importlib.import_module("xero.migrations.0010_names_with_blanks")
    before = dict(Contact.objects.values_list("pk", "search_key"))
    migration.backwards(apps, None)
    old = Contact.objects.get(pk=stored[0].pk)
    assert old.search_key.startswith(f"{old.name.lower()}\n")
    migration.forwards(apps, None)
    assert dict(Contact.objects.values_list("pk", "search_key")) == before


def test_line_end_counts_once_and_reaches_xero_as_one_character(
    as_member: Client, connection: Connection
) -> None:
    text = "\n".join(["x" * 199, *["y" * 199] * 18, "z" * 200])
    assert (len(text), text.count("\n")) == (4000, 19)
    typed = text.replace("\n", "\r\n")
    answer = as_member.post(
        NEW, filled(connection, lines__0__description=typed, reference=(mark := str(uuid4())))
    )
    assert answer.status_code == 302
    invoice = Invoice.objects.get(reference=mark)
    assert invoice.body["LineItems"][0]["Description"] == text
    assert Call.objects.get().body["LineItems"][0]["Description"] == text
    lone = as_member.post(
        NEW, filled(connection, lines__0__description="one\rtwo\r\n\nthree", reference="cr")
    )
    assert lone.status_code == 302
    assert (
        Invoice.objects.get(reference="cr").body["LineItems"][0]["Description"]
        == "one\ntwo\n\nthree"
    )
