"""Templates of workflows: the ones that agencies ask for first.

Each can be published as it is, except for fields that only the agency can fill (an account, an
address); those are empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from workflows.definition.drafts import Draft, Step

CUSTOMER = "steps.customer"
SALE = "{{ trigger.number }}"
OWED = "{{ trigger.amount_due }} {{ trigger.currency }}"


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """A template; `title` says what it does, `name` is the name of the new workflow."""

    key: str
    name: str
    title: str
    draft: Draft

    def draft_for(self, address: str) -> Draft:
        """Return the draft, with `address` in e-mails that have no recipient."""
        steps = [
            replace(step, input=dict(step.input) | {"to": address})
            if step.input.get("to") == ""
            else step
            for step in self.draft.steps
        ]
        return replace(self.draft, steps=steps)


def _rows(*rows: tuple[str, str, str], match: str = "all") -> dict[str, Any]:
    condition_rows = [
        {"field": field, "operator": operator, "value": value} for field, operator, value in rows
    ]
    return {"match": match, "rows": condition_rows}


def _email(
    subject: str, *lines: str, to: str = "", options: Mapping[str, Any] | None = None
) -> Step:
    values = {"to": to, "subject": subject, "body": "\n\n".join(lines)}
    return Step("email", "core/send-email", values, options or {})


def _look_up(record: str) -> Step:
    return Step("invoice", "xero/get-invoice", {"invoice_id": record})


# The customer's own address is in the contact, not in the invoice
LOOK_UP_CUSTOMER = Step("customer", "xero/get-contact", {"contact_id": "{{ trigger.contact_id }}"})
HAS_ADDRESS = {"only_if": _rows((f"{{{{ {CUSTOMER}.EmailAddress }}}}", "is-not-empty", ""))}


def _to_customer(subject: str, *lines: str) -> Step:
    return _email(subject, *lines, to=f"{{{{ {CUSTOMER}.EmailAddress }}}}", options=HAS_ADDRESS)


PAID = StartingPoint(
    key="paid",
    name="Tell me when a sales invoice is paid",
    title="When a sales invoice is paid, e-mail me",
    draft=Draft(
        "xero/invoice-paid",
        {"documents": "ACCREC"},
        [
            _email(
                f"{SALE} is paid",
                "{{ trigger.contact }} has paid "
                + SALE
                + ": {{ trigger.total }} {{ trigger.currency }}.",
                "Organisation: {{ trigger.organisation }}",
            )
        ],
    ),
)
THANK_PAYER = StartingPoint(
    key="thank-payer",
    name="Thank a payer",
    title="When a sales invoice is paid, thank the customer by e-mail, if Xero knows the address",
    draft=Draft(
        "xero/invoice-paid",
        {"documents": "ACCREC"},
        [
            LOOK_UP_CUSTOMER,
            _to_customer(
                f"Thank you for paying {SALE}",
                "Hello {{ trigger.contact }},",
                f"Thank you: {SALE} is paid in full.",
                "{{ trigger.organisation }}",
            ),
        ],
    ),
)
CHASE = StartingPoint(
    key="chase-overdue",
    name="Chase overdue invoices",
    title="A week after its due date, remind the customer of a sales invoice by e-mail, if Xero knows the address",
    draft=Draft(
        "xero/invoice-overdue",
        {"documents": "ACCREC", "days": 7},
        [
            LOOK_UP_CUSTOMER,
            _to_customer(
                f"A reminder: {SALE} was due on {{{{ trigger.due_date }}}}",
                "Hello {{ trigger.contact }},",
                f"{OWED} of {SALE} has been due since {{{{ trigger.due_date }}}}. If you have paid it meanwhile,"
                " thank you; if something is wrong with it, please tell us.",
                "{{ trigger.organisation }}",
            ),
        ],
    ),
)
LARGE_BILL = StartingPoint(
    key="large-bill",
    name="Alert me to large bills",
    title="When a bill over 5,000 is approved, e-mail me before it is paid",
    draft=Draft(
        "xero/invoice-approved",
        {"documents": "ACCPAY", "over": "5000"},
        [
            _email(
                "Large bill: {{ trigger.total }} {{ trigger.currency }} to {{ trigger.contact }}",
                "{{ trigger.organisation }} approved the bill {{ trigger.number }} from {{ trigger.contact }}"
                " over {{ trigger.total }} {{ trigger.currency }}, due {{ trigger.due_date }}.",
            )
        ],
    ),
)
FORGOTTEN_DRAFT = StartingPoint(
    key="forgotten-draft",
    name="Remind me of forgotten drafts",
    title="When a sales invoice is still a draft three days after it was entered, e-mail me",
    draft=Draft(
        "xero/invoice-status",
        {"documents": "ACCREC", "status": "DRAFT"},
        [
            Step("wait", "core/delay", {"length": "3", "unit": "days", "until": ""}),
            _look_up("{{ trigger.resource_id }}"),
            Step(
                "still",
                "core/filter",
                {"condition": _rows(("{{ steps.invoice.Status }}", "equals", "DRAFT"))},
            ),
            _email(
                f"{SALE} is still a draft",
                f"{SALE} to {{{{ trigger.contact }}}} was entered three days ago and has not been approved.",
                "Organisation: {{ trigger.organisation }}",
            ),
        ],
    ),
)
RECORD_PAYMENT = StartingPoint(
    key="record-payment",
    name="Record what was paid by card",
    title="When a sales invoice whose reference says CARD is approved, record its payment on the account you choose",
    draft=Draft(
        "xero/invoice-approved",
        {"documents": "ACCREC"},
        [
            Step(
                "card",
                "core/filter",
                {"condition": _rows(("{{ trigger.reference }}", "contains", "CARD"))},
            ),
            Step(
                "payment",
                "xero/create-payment",
                {
                    "invoice_id": "{{ trigger.resource_id }}",
                    "account_code": "",
                    "amount": "{{ trigger.amount_due }}",
                    "reference": "{{ trigger.reference }}",
                },
                {"guard": {"per_hour": "100", "approve_above": "5000", "duplicate": "skip"}},
            ),
        ],
    ),
)
PART_PAYMENT = StartingPoint(
    key="part-payment",
    name="Note part payments",
    title="When less becomes due of a sales invoice that stays open, note what was paid and what is left",
    draft=Draft(
        "xero/amount-due-changed",
        {"documents": "ACCREC"},
        [
            Step(
                "open",
                "core/filter",
                {
                    "condition": _rows(
                        ("{{ trigger.amount_due }}", "greater", "0"),
                        ("{{ trigger.amount_due }}", "less", "{{ trigger.previous_amount_due }}"),
                    )
                },
            ),
            Step(
                "note",
                "core/set-values",
                {
                    "values": {
                        "paid": "{{ trigger.previous_amount_due | minus: trigger.amount_due }}",
                        "left": "{{ trigger.amount_due }}",
                    }
                },
            ),
        ],
    ),
)
LARGE_INVOICE = StartingPoint(
    key="large-invoice",
    name="Note large invoices",
    title="When an invoice changes, fetch it, stop unless its total is over 1,000, note it",
    draft=Draft(
        "xero/invoice-event",
        {"change": "any"},
        [
            _look_up("{{ trigger.resource_id }}"),
            Step(
                "large",
                "core/filter",
                {"condition": _rows(("{{ steps.invoice.Total }}", "greater", "1,000"))},
            ),
            Step(
                "note",
                "core/set-values",
                {
                    "values": {
                        "note": "{{ steps.invoice.InvoiceNumber | default: 'A bill' }}"
                        " for {{ steps.invoice.Contact.Name }}:"
                        " {{ steps.invoice.Total }} {{ steps.invoice.CurrencyCode }}"
                    }
                },
            ),
        ],
    ),
)
COPY_CONTACTS = StartingPoint(
    key="copy-contacts",
    name="Copy new contacts elsewhere",
    title="When a contact is added, send its name and address to another system of yours",
    draft=Draft(
        "xero/contact-event",
        {"change": "CREATE"},
        [
            Step("contact", "xero/get-contact", {"contact_id": "{{ trigger.resource_id }}"}),
            Step(
                "copy",
                "core/http-request",
                {
                    "method": "POST",
                    "url": "",
                    "json": '{"id": "{{ trigger.resource_id }}", "name": "{{ steps.contact.Name }}",'
                    ' "organisation": "{{ trigger.organisation }}"}',
                },
                {"on_error": {"then": "stop", "times": 3, "seconds": 60}},
            ),
        ],
    ),
)
NEW_CONTACT = StartingPoint(
    key="new-contact",
    name="Note new contacts",
    title="When a contact is added, note which one",
    draft=Draft(
        "xero/contact-event",
        {"change": "CREATE"},
        [
            Step(
                "note",
                "core/set-values",
                {
                    "values": {
                        "contact_id": "{{ trigger.resource_id }}",
                        "organisation": "{{ trigger.organisation }}",
                    }
                },
            )
        ],
    ),
)
STARTING_POINTS = {
    point.key: point
    for point in (
        PAID,
        THANK_PAYER,
        CHASE,
        LARGE_BILL,
        RECORD_PAYMENT,
        COPY_CONTACTS,
        FORGOTTEN_DRAFT,
        PART_PAYMENT,
        LARGE_INVOICE,
        NEW_CONTACT,
    )
}
