"""A running worker writes one letter to each person, however much needs them, and ends pauses whose
time is over.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from taskjuice.workspaces.models import Role, User
from tests.factories import (
    make_activation,
    make_agency,
    make_approval,
    make_connection,
    make_member,
    make_workflow,
    make_workspace,
)
from tests.queue.fresh import fresh_database, worker
from workflows.engine import lanes
from workflows.models import Activation, Approval, OrganisationPause, Workflow

pytestmark = pytest.mark.processes

PATIENCE = 150.0  # seconds, on a busy machine


def wait_for(is_done: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + PATIENCE
    while not is_done():
        assert time.monotonic() < ends, what
        time.sleep(0.5)


def letters(folder: Path) -> list[tuple[str, str, str]]:
    """(to, subject, text) of every letter."""
    found = []
    for path in sorted(folder.glob("*")):
        for one in path.read_bytes().split(b"-" * 79 + b"\n"):
            if one.strip():
                letter = message_from_bytes(one.lstrip(), policy=default)
                found.append((str(letter["To"]), str(letter["Subject"]), str(letter.get_content())))
    return found


def test_flood_is_one_letter_to_each_person_and_pauses_end(
    tmp_path: Path, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> None:
    with django_db_blocker.unblock(), fresh_database() as environment:
        agency = make_agency("Northwind Books")
        owner = agency.memberships.get(role=Role.OWNER).user
        admin, member = make_member(agency, Role.ADMIN), make_member(agency)
        connection = make_connection(make_workspace(agency, "Harbour Café"))
        step = {"name": "note", "action": "core/note", "input": {"text": "Fine"}}
        workflow = make_workflow(agency, connection, steps=[step])
        to = [owner.email, admin.email]
        asked = [make_approval(_resting(workflow), told=to).pk for _ in range(80)]
        for _ in range(12):
            make_connection(connection.workspace, state="error", reason="It ended.")
        waits = make_activation(workflow, connection, trigger_data={})
        OrganisationPause.objects.create(
            agency=agency,
            workflow=workflow,
            connection=connection,
            holds=True,
            until=timezone.now() + timedelta(seconds=1),
        )
        lanes.wake_lanes([connection.pk])
        mails = tmp_path / "mail"
        environment |= {"EMAIL_URL": f"filemail://{mails}", "VAR_DIR": str(tmp_path)}
        with worker(environment, tmp_path / "worker.log"):
            untold = Approval.objects.filter(pk__in=asked, told_at=None)
            wait_for(lambda: not untold.exists(), "tasks are told")
            late = make_approval(_resting(workflow), told=[owner.email, member.email])
            # The member was not written to yet: once they are, the sweep has also seen what is new
            # for the owner.
            wait_for(lambda: member.email in _reached(late), "the member is told")
            assert owner.email not in _reached(late)
            User.objects.filter(pk=owner.pk).update(notified_at=Now() - timedelta(minutes=16))
            wait_for(lambda: owner.email in _reached(late), "the owner is told in the next letter")
            wait_for(
                lambda: Activation.objects.get(pk=waits.pk).state == "succeeded",
                "the pause is over",
            )
            assert not OrganisationPause.objects.exists()
        found = letters(mails)
        assert sorted(to for to, *_ in found) == sorted(
            [owner.email, owner.email, admin.email, member.email]
        )
        first = next(one for one in found if one[0] == owner.email)
        assert ("To decide: 80" in first[2], "- and 75 more" in first[2]) == (True, True)
        assert first[2].count("http://") == 3  # one for all of it, and two of the e-mail's own


def _resting(workflow: Workflow) -> Activation:
    connection = workflow.applications.get().connection
    in_a_week = timezone.now() + timedelta(days=7)
    return make_activation(workflow, connection, next_at=in_a_week)


def _reached(approval: Approval) -> list[str]:
    return list(Approval.objects.values_list("reached", flat=True).get(pk=approval.pk))
