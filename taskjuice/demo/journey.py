"""The journey of a first user, on the product's own pages and the sandbox's: what a person would
click.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import requests

from taskjuice.demo.browsing import Page, Visitor
from taskjuice.demo.place import AGENCY, CLIENT, OWNER_EMAIL, Place
from taskjuice.demo.stages import StageFailed, Stages

T = TypeVar("T")
PATIENCE = 30.0  # seconds that one stage may take


def run(place: Place, stages: Stages) -> None:
    """Sign in, connect, subscribe, publish a workflow, change an invoice, see its activation
    finish.
    """
    job = Journey(place, stages)
    job.sign_in()
    job.connect()
    job.subscribe()
    job.publish()
    job.see_a_change_through()


class Journey:
    def __init__(self, place: Place, stages: Stages) -> None:
        self.place = place
        self.stages = stages
        self.visitor = Visitor(place.base_url)
        self.home = f"/{AGENCY.slug}/{CLIENT.slug}/"

    def sign_in(self) -> None:
        page = self.visitor.open("/accounts/login/")
        password = self.place.secrets["OWNER_PASSWORD"]
        page = self.visitor.submit(
            page, page.form(having="password"), login=OWNER_EMAIL, password=password
        )
        if "/accounts/" in page.url:
            raise StageFailed(f"Signing in as {OWNER_EMAIL} ended at {page.url}")
        self.stages.done(f"signed in as {OWNER_EMAIL}")

    def connect(self) -> None:
        """Connections → Connect Xero → consent → back → pick the organisation by name."""
        page = self.visitor.open(f"{self.home}connections/")
        if self._connections(page):
            self.stages.done("Xero is connected already")
            return
        page = self.visitor.open(f"{self.home}connections/new/")
        page = self.visitor.submit(page, page.form(action="/connections/xero/connect/"))
        page = self._consent(page)
        self.stages.done("consent given at Xero")
        page = self.visitor.submit(page, page.form(having="tenants"))
        if not self._connections(self.visitor.open(f"{self.home}connections/")):
            raise StageFailed(
                f"No connection after the choice of the organisation; it ended at {page.url}"
            )
        self.stages.done("organisation picked, connected")

    def subscribe(self) -> None:
        """Set the delivery URL in Xero's portal, and wait for the intent-to-receive probes."""
        url = f"{self.place.base_url}/webhooks/xero/"
        self._xero("POST", "subscription", {"url": url})
        state = self._until("the intent-to-receive check is over", self._probed)
        statuses = [probe["status"] for probe in state["probes"]]
        if statuses != [401, 401, 401, 200]:
            raise StageFailed(
                f"Intent to receive: the probes got {statuses}, not three 401 and a 200"
            )
        self.stages.done("webhook validated: 401, 401, 401 for wrong signatures, 200")

    def publish(self) -> None:
        """Publish a workflow that notes each changed invoice with a total over 1,000."""
        name = "Watch large invoices"
        page = self.visitor.open(f"{self.home}workflows/")
        if name in page.text:
            self.stages.done("workflow is published already")
            return
        page = self.visitor.open(f"{self.home}workflows/new/?template=large-invoice")
        page = self.visitor.submit(page, page.form(having="stamp"), ("do", "publish"), name=name)
        if not re.search(r"/workflows/\d+/$", page.url):
            raise StageFailed(f"Publishing the workflow ended at {page.url}")
        self.stages.done("workflow published: fetch, stop unless over 1,000, note")

    def see_a_change_through(self) -> None:
        """Change the reference of a large invoice in Xero, and wait for its activation to
        succeed.
        """
        tenant = self._tenant()
        seen = self._finished()
        invoice = self._large_invoice(tenant)
        logged = max((entry["id"] for entry in self._xero("GET", "deliveries")), default=0)
        reference = f"Changed {datetime.now(UTC):%H:%M:%S}"
        change = {"InvoiceID": invoice["InvoiceID"], "Reference": reference}
        self._xero("POST", f"organisations/{tenant}/xero/Invoices/{invoice['InvoiceID']}", change)
        changed_at = time.monotonic()
        self.stages.done(f"{invoice['InvoiceNumber']} changed in Xero")
        delivery = self._until("the webhook is sent", lambda: self._delivered(logged))
        acknowledged_at = time.monotonic()
        if delivery["status"] != 200:
            raise StageFailed(f"The webhook was answered {delivery['status']}: {delivery}")
        self.stages.done(f"webhook acknowledged in {delivery['milliseconds']} ms")
        self._until(
            "the activation is listed as succeeded", lambda: (self._finished() - seen) or None
        )
        after = (time.monotonic() - acknowledged_at) * 1000
        whole = (time.monotonic() - changed_at) * 1000
        self.stages.done(f"activation finished after {after:.0f} ms ({whole:.0f} since the change)")

    def _tenant(self) -> str:
        """Return the tenant ID of the client's organisation, which need not be the first at the
        sandbox.
        """
        pages = self._connections(self.visitor.open(f"{self.home}connections/"))
        found = re.search(
            r"Tenant ID</dt><dd><code>([0-9a-f-]{36})<", self.visitor.open(pages[0]).text
        )
        if found is None:
            raise StageFailed(f"{pages[0]} does not name the organisation's tenant ID")
        return found[1]

    def _large_invoice(self, tenant: str) -> dict[str, Any]:
        where = 'Type=="ACCREC" AND Status=="AUTHORISED" AND Total>1000'
        wanted = urlencode(
            {"where": where, "order": "Date DESC", "page": 1}
        )  # older ones may be locked
        found = self._xero("GET", f"organisations/{tenant}/xero/Invoices?{wanted}")
        invoice: dict[str, Any] = found["Invoices"][0]
        return invoice

    def _delivered(self, before: int) -> dict[str, Any] | None:
        """Return the first delivery after the one with this id, once it has its answer."""
        new = [entry for entry in self._xero("GET", "deliveries") if entry["id"] > before]
        return new[0] if new else None

    def _finished(self) -> set[str]:
        """Return the links of the activations that the product lists as succeeded."""
        page = self.visitor.open(f"{self.home}activations/?state=succeeded")
        return {link for link in page.links if re.search(r"/activations/\d+/$", link)}

    def _probed(self) -> dict[str, Any] | None:
        state = self._xero("GET", "subscription")
        return state if state.get("probes") else None

    def _connections(self, page: Page) -> list[str]:
        """Return the links to the pages of connections."""
        return [link for link in page.links if re.search(r"/connections/\d+/$", link)]

    def _consent(self, page: Page) -> Page:
        """Log in at the sandbox as its first person, and allow access to the organisation offered
        first.
        """
        if any(name == "sandbox_user" for form in page.forms for name, _ in form.buttons):
            form = page.form(having="sandbox_user")
            button = next(button for button in form.buttons if button[0] == "sandbox_user")
            page = self.visitor.submit(page, form, button)
        return self.visitor.submit(page, page.form(having="tenant"), ("action", "allow"))

    def _xero(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the sandbox's control API, which does what a person does inside Xero."""
        answer = requests.request(
            method, f"{self.place.sandbox_url}/sandbox/api/{path}", json=body, timeout=20
        )
        if answer.status_code != 200:
            raise StageFailed(f"sandbox {method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    def _until(self, what: str, look: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + PATIENCE
        while (found := look()) is None:
            if time.monotonic() > deadline:
                raise StageFailed(f"Waited {PATIENCE:.0f} s in vain until {what}")
            time.sleep(0.05)
        return found
