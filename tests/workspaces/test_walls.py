"""The database itself keeps one tenant's rows from pointing at another's, and the audit trail as it
was written.
"""

from collections.abc import Callable

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from connections.models import Connection, ConnectLink, Consent, Event
from taskjuice.workspaces import audit
from taskjuice.workspaces.models import (
    Agency,
    AuditEntry,
    AuditHead,
    AuditLink,
    Invitation,
    Membership,
    Role,
    User,
    Workspace,
)
from tests.factories import (
    make_activation,
    make_connection,
    make_consent,
    make_event,
    make_invitation,
    make_link,
    make_user,
    make_workflow,
    make_workspace,
)
from workflows.models import Activation, Permit, WorkflowConnection


def refuses(change: Callable[[], object], constraint: str) -> None:
    """Assert that the database refuses `change` by the constraint of this name, at once or at the
    commit.
    """
    with pytest.raises(IntegrityError) as caught:
        commit(change, constraint)
    cause = caught.value.__cause__
    assert isinstance(cause, psycopg.Error)
    assert cause.diag.constraint_name == constraint


def commit(change: Callable[[], object], constraint: str) -> None:
    """Make the change, then let the constraint speak that would wait for the commit."""
    with transaction.atomic():
        change()
        execute(f"SET CONSTRAINTS {constraint} IMMEDIATE")


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_connection_cannot_stand_in_another_agencys_workspace(
    workspace: Workspace, foreign_workspace: Workspace
) -> None:
    row = make_connection(workspace)
    refuses(
        lambda: Connection.objects.filter(pk=row.pk).update(workspace=foreign_workspace),
        "connection_workspace_of_agency",
    )


def test_consent_cannot_stand_in_another_agencys_workspace(
    workspace: Workspace, foreign_workspace: Workspace, owner: User
) -> None:
    row = make_consent(workspace, owner)
    refuses(
        lambda: Consent.objects.filter(pk=row.pk).update(workspace=foreign_workspace),
        "consent_workspace_of_agency",
    )


def test_connect_link_and_what_came_of_it_stay_in_one_workspace(
    workspace: Workspace, other_workspace: Workspace, foreign_workspace: Workspace
) -> None:
    here, there = make_link(workspace), make_link(other_workspace)
    links = ConnectLink.objects.filter(pk=here.pk)
    refuses(lambda: links.update(workspace=foreign_workspace), "link_workspace_of_agency")
    elsewhere = make_connection(other_workspace)
    refuses(lambda: links.update(reconnects=elsewhere), "link_reconnects_in_workspace")
    rows = Connection.objects.filter(pk=elsewhere.pk)
    refuses(lambda: rows.update(connected_through=here), "connection_through_link_of_workspace")
    consent = make_consent(workspace, None, link=here)
    consents = Consent.objects.filter(pk=consent.pk)
    refuses(lambda: consents.update(link=there), "consent_link_in_workspace")


def test_consent_is_of_a_person_or_a_link(workspace: Workspace, owner: User) -> None:
    with pytest.raises(IntegrityError, match="consent_of_person_or_link"):
        make_consent(workspace, owner, link=make_link(workspace))


def test_invitation_cannot_stand_in_another_agencys_workspace(
    workspace: Workspace, foreign_workspace: Workspace
) -> None:
    row = make_invitation(workspace.agency, role="client", workspace=workspace)
    refuses(
        lambda: Invitation.objects.filter(pk=row.pk).update(workspace=foreign_workspace),
        "invitation_workspace_of_agency",
    )


def test_address_has_one_open_invitation_in_an_agency(agency: Agency) -> None:
    row = make_invitation(agency, "nia@example.com")
    make_invitation(agency, "nia@example.com", revoked_at=row.created_at)
    with pytest.raises(IntegrityError, match="invitation_one_open"):
        make_invitation(agency, "nia@example.com")


@pytest.mark.parametrize(
    ("role", "placed"), [("client", False), ("member", True), ("admin", True), ("owner", False)]
)
def test_invitation_of_a_client_user_and_no_other_names_a_workspace(
    agency: Agency, workspace: Workspace, role: str, placed: bool
) -> None:
    with pytest.raises(IntegrityError, match="invitation_role_fits_place"):
        make_invitation(agency, role=role, workspace=workspace if placed else None)


def test_consent_cannot_reconnect_another_clients_connection(
    workspace: Workspace, other_workspace: Workspace, owner: User
) -> None:
    row = make_consent(workspace, owner)
    other = make_connection(other_workspace)
    refuses(
        lambda: Consent.objects.filter(pk=row.pk).update(reconnects=other),
        "consent_reconnects_in_workspace",
    )


def test_event_cannot_name_another_clients_connection(
    workspace: Workspace, other_workspace: Workspace
) -> None:
    row = make_event(make_connection(workspace))
    refuses(
        lambda: Event.objects.filter(pk=row.pk).update(workspace=other_workspace),
        "event_connection_in_workspace",
    )


def test_workflow_cannot_be_applied_to_another_agencys_connection(
    agency: Agency, workspace: Workspace, foreign_workspace: Workspace
) -> None:
    workflow = make_workflow(agency, make_connection(workspace))
    foreign = make_connection(foreign_workspace)
    refuses(
        lambda: WorkflowConnection.objects.create(
            agency=agency, workflow=workflow, connection=foreign
        ),
        "application_connection_of_agency",
    )


def test_workflow_of_another_agency_cannot_be_applied(
    agency: Agency, workspace: Workspace, foreign_agency: Agency, foreign_workspace: Workspace
) -> None:
    foreign = make_workflow(foreign_agency, make_connection(foreign_workspace))
    own = make_connection(workspace)
    refuses(
        lambda: WorkflowConnection.objects.create(agency=agency, workflow=foreign, connection=own),
        "application_workflow_of_agency",
    )


@pytest.mark.parametrize(
    ("field", "constraint"),
    [
        ("workflow", "activation_workflow_of_agency"),
        ("workspace", "activation_workspace_of_agency"),
        ("connection", "activation_connection_in_workspace"),
        ("event", "activation_event_of_connection"),
    ],
)
def test_activation_cannot_name_another_agencys_rows(
    field: str,
    constraint: str,
    agency: Agency,
    workspace: Workspace,
    foreign_agency: Agency,
    foreign_workspace: Workspace,
) -> None:
    own = make_connection(workspace)
    foreign = make_connection(foreign_workspace)
    row = make_activation(make_workflow(agency, own), own)
    elsewhere = {
        "workflow": make_workflow(foreign_agency, foreign),
        "workspace": foreign_workspace,
        "connection": foreign,
        "event": make_event(foreign),
    }
    refuses(
        lambda: Activation.objects.filter(pk=row.pk).update(**{field: elsewhere[field]}), constraint
    )


@pytest.mark.parametrize(
    ("field", "constraint"),
    [
        ("workflow", "permit_workflow_of_agency"),
        ("workspace", "permit_workspace_of_agency"),
        ("connection", "permit_connection_in_workspace"),
    ],
)
def test_permit_cannot_name_another_agencys_rows(
    field: str,
    constraint: str,
    agency: Agency,
    workspace: Workspace,
    foreign_agency: Agency,
    foreign_workspace: Workspace,
) -> None:
    own, foreign = make_connection(workspace), make_connection(foreign_workspace)
    workflow = make_workflow(agency, own)
    row = Permit.objects.create(
        agency=agency,
        workspace=workspace,
        connection=own,
        workflow=workflow,
        activation=make_activation(workflow, own),
        step="pay",
    )
    elsewhere = {
        "workflow": make_workflow(foreign_agency, foreign),
        "workspace": foreign_workspace,
        "connection": foreign,
    }
    refuses(
        lambda: Permit.objects.filter(pk=row.pk).update(**{field: elsewhere[field]}), constraint
    )


def test_slug_is_once_in_an_agency_and_free_in_another(
    agency: Agency, workspace: Workspace, foreign_agency: Agency
) -> None:
    assert make_workspace(foreign_agency, slug=workspace.slug).slug == workspace.slug
    refuses(lambda: make_workspace(agency, slug=workspace.slug), "workspace_slug_once_in_agency")


def test_agency_has_one_owner(agency: Agency) -> None:
    second = make_user()
    refuses(
        lambda: Membership.objects.create(agency=agency, user=second, role=Role.OWNER),
        "membership_one_owner",
    )


def test_membership_knows_only_known_roles(agency: Agency) -> None:
    person = make_user()
    refuses(
        lambda: Membership.objects.create(agency=agency, user=person, role="god"),
        "membership_role_known",
    )


def test_email_differing_only_in_case_is_taken(owner: User) -> None:
    refuses(lambda: User.objects.create(email=owner.email.upper()), "user_email_once")


@pytest.mark.parametrize(
    "change",
    [
        lambda: AuditEntry.objects.update(verb="nothing happened"),
        lambda: AuditEntry.objects.all().delete(),
        lambda: execute("TRUNCATE workspaces_auditentry CASCADE"),
        lambda: AuditLink.objects.update(number=7),
        lambda: AuditLink.objects.all().delete(),
        lambda: execute("TRUNCATE workspaces_auditlink"),
        lambda: AuditHead.objects.update(number=7),
        lambda: AuditHead.objects.all().delete(),
        lambda: execute("TRUNCATE workspaces_audithead"),
    ],
    ids="update delete truncate link-update link-delete link-truncate head-update head-delete head-truncate".split(),
)
def test_audit_entry_cannot_be_changed(
    agency: Agency, owner: User, change: Callable[[], object]
) -> None:
    audit.record("client created", by=owner, agency=agency, subject="Harbour Café")
    execute("SET CONSTRAINTS audit_chain IMMEDIATE")
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        change()
    assert list(AuditEntry.objects.values_list("verb", "subject", "actor_name")) == [
        ("client created", "Harbour Café", owner.email)
    ]


def test_audit_trail_outlives_its_people(agency: Agency) -> None:
    person = make_user("gone@example.com")
    audit.record("client created", by=person, agency=agency)
    person.delete()
    assert AuditEntry.objects.get().actor_name == "gone@example.com"
