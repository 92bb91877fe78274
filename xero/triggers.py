"""What can start a workflow at Xero. A webhook says only that something changed; a step reads what."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms

from connections.integrations import Data, Trigger
from connections.models import Connection, Event

KINDS = [("any", "is created or updated"), ("CREATE", "is created"), ("UPDATE", "is updated")]


class EventForm(forms.Form):
    """Which changes start the workflow."""

    change = forms.ChoiceField(label="When it", choices=KINDS, initial="any")


class _XeroEvent(Trigger):
    form = EventForm
    page: ClassVar[str]  # of one such record at Xero, without its ID

    def matches(self, event: Event, settings: Mapping[str, Any]) -> bool:
        wanted = settings.get("change", "any")
        return wanted in {"any", event.type}

    def data(self, event: Event) -> Data:
        return {
            "category": event.category,
            "type": event.type,
            "resource_id": str(event.resource_id),
            "occurred_at": event.occurred_at.isoformat(),
            "organisation": event.connection.name,
            "tenant_id": str(event.connection.tenant_id),
        }

    def address(self, connection: Connection, data: Mapping[str, Any]) -> str:
        """Xero's deep link: the short code picks the organisation, whichever the person had open."""
        short_code, resource = connection.details.get("short_code"), str(data.get("resource_id", ""))
        if not short_code or not resource:
            return ""
        query = urlencode({"shortcode": short_code, "redirecturl": self.page + resource})
        return f"https://go.xero.com/organisationlogin/default.aspx?{query}"


def _sample(category: str) -> Data:
    return {
        "category": category,
        "type": "UPDATE",
        "resource_id": "d3b1c1f4-6d0e-4a53-9f0c-2f7d5f1b2a10",
        "occurred_at": "2026-11-23T09:41:07.198000+00:00",
        "organisation": "Harbour Café Limited",
        "tenant_id": "0f6f3f9a-4f0e-4a2c-9a57-8f3b8f2f4c11",
    }


class InvoiceEvent(_XeroEvent):
    key = "xero/invoice-event"
    title = "An invoice or bill changes"
    description = "Starts when Xero reports that an invoice or a bill was created or updated."
    category = "INVOICE"
    page = "/AccountsReceivable/View.aspx?InvoiceID="
    sample = _sample("INVOICE")


class ContactEvent(_XeroEvent):
    key = "xero/contact-event"
    title = "A contact changes"
    description = "Starts when Xero reports that a contact was created or updated."
    category = "CONTACT"
    page = "/Contacts/View/"
    sample = _sample("CONTACT")
