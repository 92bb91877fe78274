"""Rows for tests, made with the fewest values that make sense. Keyword arguments are the model's
fields.
"""

import hashlib
import itertools
from datetime import timedelta
from typing import Any
from uuid import uuid4

from allauth.account.models import EmailAddress
from django.utils import timezone

from connections.models import (
    Call,
    CallState,
    Connection,
    ConnectionState,
    ConnectLink,
    Consent,
    Delivery,
    DeliveryState,
    Event,
    Grant,
    Mention,
    Secret,
    Sending,
)
from connections.secrets import values as secret_values
from taskjuice.workspaces.models import (
    Agency,
    Branding,
    ClientUser,
    DataExport,
    Invitation,
    Membership,
    Role,
    User,
    Workspace,
)
from workflows.models import (
    Activation,
    Approval,
    Version,
    Workflow,
    WorkflowConnection,
    WorkflowState,
)
from xero.models import Ledger
from xero.sync import upsert

PASSWORD = "correct horse battery staple"
numbers = itertools.count(1)


def make_user(email: str = "", *, password: str = PASSWORD, **fields: Any) -> User:
    """A person whose e-mail address is verified."""
    user = User.objects.create_user(
        email or f"person-{next(numbers)}@example.com", password, **fields
    )
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def make_agency(name: str = "", *, owner: User | None = None, **fields: Any) -> Agency:
    number = next(numbers)
    agency = Agency.objects.create(
        name=name or f"Agency {number}", slug=fields.pop("slug", f"agency-{number}"), **fields
    )
    make_member(agency, Role.OWNER, user=owner)
    return agency


def make_member(agency: Agency, role: str = Role.MEMBER, *, user: User | None = None) -> User:
    person = user or make_user()
    Membership.objects.create(agency=agency, user=person, role=role)
    return person


def make_workspace(agency: Agency, name: str = "", **fields: Any) -> Workspace:
    number = next(numbers)
    slug = fields.pop("slug", f"client-{number}")
    return Workspace.objects.create(
        agency=agency, name=name or f"Client {number}", slug=slug, **fields
    )


def make_client_user(workspace: Workspace, *, user: User | None = None) -> User:
    person = user or make_user()
    ClientUser.objects.create(workspace=workspace, user=person)
    return person


def make_invitation(
    agency: Agency, email: str = "", *, token: str = "", role: str = Role.MEMBER, **fields: Any
) -> Invitation:
    """An open one, as if its letter had gone out an hour ago with this token."""
    values = {
        "email": email or f"person-{next(numbers)}@example.com",
        "token_hash": hashlib.sha256((token or uuid4().hex).encode()).hexdigest(),
        "invited_by": agency.memberships.get(role=Role.OWNER).user,
        "sent_at": timezone.now() - timedelta(hours=1),
        "expires_at": timezone.now() + timedelta(days=7),
    }
    return Invitation.objects.create(agency=agency, role=role, **values | fields)


def make_branding(agency: Agency, **fields: Any) -> Branding:
    """With a logo of 1 × 1."""
    values = {
        "colour": "#0f5570",
        "logo": b"\x89PNG",
        "logo_digest": uuid4().hex,
        "logo_width": 1,
        "logo_height": 1,
    }
    return Branding.objects.create(agency=agency, **values | fields)


def make_link(workspace: Workspace, *, token: str = "", **fields: Any) -> ConnectLink:
    """An open one, as if its letter had gone out an hour ago with this token."""
    values = {
        "agency": workspace.agency,
        "provider": "xero",
        "email": f"person-{next(numbers)}@example.com",
        "token_hash": hashlib.sha256((token or uuid4().hex).encode()).hexdigest(),
        "sent_by": workspace.agency.memberships.get(role=Role.OWNER).user,
        "sent_at": timezone.now() - timedelta(hours=1),
        "expires_at": timezone.now() + timedelta(days=7),
    }
    return ConnectLink.objects.create(workspace=workspace, **values | fields)


def make_data_export(workspace: Workspace, **fields: Any) -> DataExport:
    """One that is ready, and empty."""
    values = {"finished_at": timezone.now(), "expires_at": timezone.now() + timedelta(days=7)}
    return DataExport.objects.create(
        agency=workspace.agency, workspace=workspace, **values | fields
    )


def make_grant(**fields: Any) -> Grant:
    """A grant that looks alive. Its `tokens` are empty: a test that calls the provider stores real
    ones.
    """
    values = {
        "provider": "xero",
        "app_id": "app",
        "provider_user_id": str(uuid4()),
        "tokens": "",
        "access_expires_at": timezone.now() + timedelta(minutes=30),
    }
    return Grant.objects.create(**values | fields)


def make_connection(workspace: Workspace, *, name: str = "", **fields: Any) -> Connection:
    values = {
        "agency": workspace.agency,
        "workspace": workspace,
        "grant": fields.pop("grant", None) or make_grant(),
        "provider": "xero",
        "tenant_id": uuid4(),
        "provider_connection_id": uuid4(),
        "name": name or f"Organisation {next(numbers)}",
        "details": {"country": "NZ", "currency": "NZD"},
        "state": ConnectionState.ACTIVE,
    }
    return Connection.objects.create(**values | fields)


def make_consent(workspace: Workspace, user: User | None, **fields: Any) -> Consent:
    """A trip to the provider that came back with one tenant, which nobody has picked yet."""
    values = {
        "state_hash": uuid4().hex * 2,
        "session_hash": uuid4().hex * 2,
        "provider": "xero",
        "agency": workspace.agency,
        "workspace": workspace,
        "user": user,
        "nonce": "nonce",
        "code_verifier": "",
        "used_at": timezone.now(),
        "grant": fields.pop("grant", None) or make_grant(granted_by=user),
        "tenants": [
            {
                "id": str(uuid4()),
                "tenant_id": str(uuid4()),
                "name": "Tui Studio",
                "type": "ORGANISATION",
            }
        ],
    }
    return Consent.objects.create(**values | fields)


def make_delivery(**fields: Any) -> Delivery:
    values = {
        "provider": "xero",
        "body": b"{}",
        "sha256": b"0" * 32,
        "state": DeliveryState.DONE,
        "verdict": "valid",
    }
    return Delivery.objects.create(**values | fields)


def make_event(connection: Connection, **fields: Any) -> Event:
    values = {
        "workspace": connection.workspace,
        "connection": connection,
        "category": "INVOICE",
        "type": "UPDATE",
        "resource_id": uuid4(),
        "occurred_at": timezone.now(),
    }
    event = Event.objects.create(**values | fields)
    if event.delivery is not None:
        Mention.objects.get_or_create(
            delivery=event.delivery,
            connection=connection,
            defaults={
                "agency": connection.agency,
                "workspace": connection.workspace,
                "events": 1,
                "fresh": 1,
            },
        )
    return event


def make_workflow(
    agency: Agency,
    *connections: Connection,
    trigger: str = "xero/invoice-event",
    steps: list[dict[str, Any]] | None = None,
    published: bool = True,
    **fields: Any,
) -> Workflow:
    """A workflow with one version, live if `published`, applied to `connections`."""
    state = WorkflowState.PUBLISHED if published else WorkflowState.DRAFT
    values = {"agency": agency, "name": f"Workflow {next(numbers)}", "state": state}
    workflow = Workflow.objects.create(**values | fields)
    Version.objects.create(
        workflow=workflow,
        number=1,
        trigger=trigger,
        steps=steps or [],
        live=published,
        published_at=timezone.now() if published else None,
    )
    for connection in connections:
        WorkflowConnection.objects.create(agency=agency, workflow=workflow, connection=connection)
    return workflow


def make_activation(workflow: Workflow, connection: Connection, **fields: Any) -> Activation:
    version = workflow.versions.get(number=1)
    values = {
        "agency": connection.agency,
        "workspace": connection.workspace,
        "connection": connection,
        "workflow": workflow,
        "version": version,
        "event": fields.pop("event", None) or make_event(connection),
        "workflow_name": workflow.name,
        "version_number": version.number,
    }
    return Activation.objects.create(**values | fields)


def make_approval(activation: Activation, **fields: Any) -> Approval:
    """A task that waits for a decision for another week."""
    values = {
        "agency": activation.agency,
        "workspace": activation.workspace,
        "activation": activation,
        "step": "ask",
        "question": "Pay INV-0042?",
        "expires_at": timezone.now() + timedelta(days=7),
    }
    return Approval.objects.create(**values | fields)


def make_secret(
    agency: Agency, name: str = "crm", *, host: str = "api.example.com", value: str = ""
) -> Secret:
    return secret_values.add_secret(
        agency=agency,
        name=name,
        host=host,
        value=value or "a secret for tests",
        by=agency.memberships.get(role=Role.OWNER).user,
    )


def make_ledger(connection: Connection) -> dict[str, str]:
    """A ledger that was read, with one record of each kind: their ids at Xero, by what the
    addresses call them.
    """
    now = timezone.now()
    Ledger.objects.create(
        connection=connection,
        workspace=connection.workspace,
        base_currency="NZD",
        first_finished_at=now,
        finished_at=now,
    )
    ids = {name: str(uuid4()) for name in ("document", "contact", "payment", "account", "item")}
    changed = {"UpdatedDateUTC": now.isoformat()}
    contact = {"ContactID": ids["contact"], "Name": "Ridgeway University"}
    document = {
        "InvoiceID": ids["document"],
        "InvoiceNumber": "INV-0001",
        "Type": "ACCREC",
        "Contact": contact,
    }
    paid = {"PaymentID": ids["payment"], "PaymentType": "ACCRECPAYMENT", "Invoice": document}
    bodies: dict[str, dict[str, Any]] = {
        "contacts": contact,
        "invoices": document | {"Status": "AUTHORISED"},
        "payments": paid | {"Status": "AUTHORISED"},
        "accounts": {"AccountID": ids["account"], "Code": "200", "Name": "Sales"},
        "items": {"ItemID": ids["item"], "Code": "BOOK"},
    }
    for kind, body in bodies.items():
        upsert.store_records(connection, kind, [body | changed])
    return ids


def make_call(connection: Connection, **fields: Any) -> Call:
    """A write that Xero confirmed."""
    sending = Sending.objects.create(
        connection=connection,
        idempotency_key=uuid4().hex,
        method="PUT",
        path="/Invoices",
        body=b"{}",
        first_sent_at=timezone.now(),
        times=1,
    )
    values = {
        "id": uuid4(),
        "agency": connection.agency,
        "workspace": connection.workspace,
        "connection": connection,
        "action": "xero/create-invoice",
        "subject": "Invoice to Ridgeway University",
        "form_key": uuid4(),
        "sending": sending,
        "body": {"Type": "ACCREC"},
        "state": CallState.CONFIRMED,
        "record_id": uuid4(),
        "record_name": "INV-0042",
        "answer": {"InvoiceNumber": "INV-0042"},
    }
    return Call.objects.create(**values | fields)
