"""Run with the product's environment: a workflow that writes to Xero for each event of a contact."""

import django


def main() -> None:
    django.setup()
    from connections.models import Connection  # they need Django to be set up
    from tests.factories import make_workflow

    connection = Connection.objects.get(state="active")
    if connection.agency.workflows.filter(name="Chaos writes").exists():
        return
    line = {"description": "Work", "quantity": 1, "unit_amount": "80", "account_code": "200"}
    document = {
        "contact_name": "Chaos",
        "status": "DRAFT",
        "due_date": "+30",
        "reference": "{{ trigger.occurred_at }}",
        "lines": [line],
    }
    steps = [{"name": "write", "action": "xero/create-invoice", "input": document}]
    make_workflow(
        connection.agency,
        connection,
        trigger="xero/contact-event",
        steps=steps,
        name="Chaos writes",
    )


if __name__ == "__main__":
    main()
