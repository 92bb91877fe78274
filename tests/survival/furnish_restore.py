"""Run with the product's environment: workflows that write an invoice, a payment and a contact to
Xero.
"""

import django

LINE = {"description": "Work", "quantity": 1, "unit_amount": "80", "account_code": "200"}
INVOICE = {
    "contact_id": "{{ trigger.resource_id }}",
    "due_date": "+30",
    "reference": "{{ trigger.occurred_at }}",
    "lines": [LINE],
}
PAYMENT = {"invoice_id": "{{ trigger.resource_id }}", "account_code": "090", "amount": "10"}
WORKFLOWS = {
    "Bill a contact": ("xero/contact-event", "xero/create-invoice", INVOICE),
    "Pay a part": ("xero/invoice-approved", "xero/create-payment", PAYMENT),
    "Note a payer": (
        "xero/invoice-approved",
        "xero/create-contact",
        {"name": "Payer of {{ trigger.number }}"},
    ),
}


def main() -> None:
    django.setup()
    from connections.models import Connection  # they need Django to be set up
    from tests.factories import make_workflow

    connection = Connection.objects.get(state="active")
    for name, (trigger, action, given) in WORKFLOWS.items():
        steps = [{"name": "write", "action": action, "input": given}]
        make_workflow(connection.agency, connection, trigger=trigger, steps=steps, name=name)


if __name__ == "__main__":
    main()
