"""The same form arriving twice at the same moment, from two browsers' worth of threads."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connections
from django.test import Client

from connections.models import Call, Connection
from connections.writes import journal
from tests.sandbox_process import SandboxProcess
from xero.models import Contact

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("second_click", ["at the same moment", "while the first is being sent"])
def test_two_requests_at_once_are_one_invoice(
    as_member: Client,
    connection: Connection,
    sandbox: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
    second_click: str,
) -> None:
    monkeypatch.setattr(journal, "SECOND_CLICK_SECONDS", 60.0)  # however slow the machine is
    mark = f"at once {uuid4()}"
    data = {
        "do": "draft",
        "form_key": str(uuid4()),
        "contact_name": Contact.objects.filter(connection=connection, status="ACTIVE")
        .earliest("name")
        .name,
        "line_amount_types": "Exclusive",
        "reference": mark,
        "lines-0-description": "Consulting",
        "lines-0-unit_amount": "100",
    }
    sandbox.api("POST", "faults", {"kind": "slow", "remaining": 1, "method": "PUT", "seconds": 1})

    def send() -> str:
        try:
            client = Client()
            client.cookies = as_member.cookies
            return str(client.post("/northwind/harbour-cafe/invoices/new/", data)["Location"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        earlier = pool.submit(send)
        while second_click == "while the first is being sent" and not Call.objects.exists():
            time.sleep(0.01)
        later = pool.submit(send)
        first, second = earlier.result(90), later.result(90)
    found = sandbox.xero("GET", str(connection.tenant_id), f"Invoices?searchTerm={mark}&page=1")[
        "Invoices"
    ]
    assert [one["Reference"] for one in found] == [mark]
    assert first == second == f"/northwind/harbour-cafe/invoices/{found[0]['InvoiceID']}/"
    assert Call.objects.count() == 1
