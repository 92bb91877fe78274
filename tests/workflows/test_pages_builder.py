"""The builder over plain HTTP, as a browser without JavaScript uses it."""

from typing import Any

import pytest
from django.test import Client

from connections.models import Connection
from taskjuice.workspaces.models import Agency, User, Workspace
from tests.conftest import SignIn
from tests.factories import make_connection, make_workflow
from workflows.models import Version, Workflow

pytestmark = pytest.mark.django_db

NEW = "/northwind/workflows/new/"


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace, name="Harbour Café Limited")


@pytest.fixture
def draft(as_member: Client, connection: Connection) -> Workflow:
    """Made from the starting point, not yet published."""
    as_member.post(NEW, {"template": "large-invoice", "connections": [connection.pk], "do": "save"})
    return Workflow.objects.get()


def fields(workflow: Workflow, **changes: Any) -> dict[str, Any]:
    """What the builder posts for the starting point's draft."""
    version = workflow.versions.latest("number")
    posted = {
        "stamp": f"{version.number}.{'published' if version.published_at else version.revision}",
        "name": workflow.name,
        "connections": list(workflow.applications.values_list("connection_id", flat=True)),
        "trigger": "xero/invoice-event",
        "trigger-change": "any",
        "step": ["s1", "s2"],
        "step-s1-action": "xero/get-invoice",
        "step-s1-name": "invoice",
        "step-s1-invoice_id": "{{ trigger.resource_id }}",
        "step-s2-action": "core/set-values",
        "step-s2-name": "note",
        "step-s2-values-0-name": "note",
        "step-s2-values-0-value": "{{ steps.invoice.Total }}",
        "step-s2-values-1-name": "",
        "step-s2-values-1-value": "",
    }
    return posted | changes


def edit(workflow: Workflow) -> str:
    return f"/northwind/workflows/{workflow.pk}/edit/"


def test_template_is_created_and_published_in_two_posts(as_member: Client, connection: Connection) -> None:
    made = as_member.post(NEW, {"template": "large-invoice", "connections": [connection.pk], "do": "save"})
    workflow = Workflow.objects.get()
    assert (made.status_code, made["Location"]) == (302, edit(workflow))
    published = as_member.post(f"/northwind/workflows/{workflow.pk}/publish/")
    assert (published.status_code, published["Location"]) == (302, f"/northwind/workflows/{workflow.pk}/")
    version = workflow.versions.get()
    assert (version.live, version.number, version.trigger) == (True, 1, "xero/invoice-event")
    assert [step["action"] for step in version.steps] == [
        "xero/get-invoice",
        "core/filter",
        "core/set-values",
    ]
    workflow.refresh_from_db()
    assert (workflow.state, workflow.name) == ("published", "Note large invoices")


def test_pages_render(as_member: Client, draft: Workflow) -> None:
    for path in (
        "/northwind/workflows/",
        NEW,
        edit(draft),
        f"/northwind/workflows/{draft.pk}/",
        NEW + "?template=large-invoice",
    ):
        assert as_member.get(path).status_code == 200
    as_member.post(f"/northwind/workflows/{draft.pk}/publish/")
    for path in ("/northwind/workflows/", NEW, edit(draft), f"/northwind/workflows/{draft.pk}/"):
        assert as_member.get(path).status_code == 200
    assert as_member.get("/northwind/activations/").status_code == 200
