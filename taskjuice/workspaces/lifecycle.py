"""The life of agencies and workspaces: creation, changes, archive. Each change is audited."""

from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from taskjuice.workspaces import audit, slugs
from taskjuice.workspaces.audit import Actor
from taskjuice.workspaces.models import Agency, Membership, Role, User, Workspace


class AlreadyFounded(Exception):
    """This person has an agency already: the wizard makes one."""


@transaction.atomic
def create_agency(*, name: str, slug: str, by: User) -> Agency:
    """Create an agency whose owner is `by`. Raises ValidationError for an unusable or taken slug."""
    slugs.check_agency_slug(slug)
    try:
        with transaction.atomic():
            agency = Agency.objects.create(name=name, slug=slug)
    except IntegrityError as error:  # taken between the check and now
        raise ValidationError("This address is taken.", code="taken") from error
    Membership.objects.create(agency=agency, user=by, role=Role.OWNER)
    audit.record("agency created", by=by, agency=agency, subject=name, slug=slug)
    return agency


@transaction.atomic
def create_workspace(*, agency: Agency, name: str, slug: str, by: User) -> Workspace:
    """Create a client of the agency. Raises ValidationError for an unusable or taken slug."""
    slugs.check_workspace_slug(agency, slug)
    try:
        with transaction.atomic():
            workspace = Workspace.objects.create(
                agency=agency, name=name, slug=slug, timezone=by.timezone
            )
    except IntegrityError as error:
        raise ValidationError("This address is taken.", code="taken") from error
    audit.record(
        "client created", by=by, agency=agency, workspace=workspace, subject=name, slug=slug
    )
    return workspace


@transaction.atomic
def found_agency(*, agency_name: str, agency_slug: str, client_name: str, by: User) -> Workspace:
    """Create an agency and its first client, for the wizard.

    Raises AlreadyFounded for the second of two requests at once.
    """
    User.objects.select_for_update(no_key=True).get(pk=by.pk)
    if Membership.objects.filter(user=by).exists():
        raise AlreadyFounded
    agency = create_agency(name=agency_name, slug=agency_slug, by=by)
    slug = slugs.free_workspace_slug(agency, client_name)
    return create_workspace(agency=agency, name=client_name, slug=slug, by=by)


@transaction.atomic
def rename_agency(*, agency: Agency, name: str, by: User) -> None:
    """Change the name of an agency."""
    # The address stays: bookmarks and links use it.
    old = Agency.objects.select_for_update().get(pk=agency.pk).name
    if old != name:
        Agency.objects.filter(pk=agency.pk).update(name=name)
        audit.record("agency renamed", by=by, agency=agency, subject=name, before=old, after=name)


@transaction.atomic
def rename_workspace(*, workspace: Workspace, name: str, by: User) -> None:
    """Change a client's name; its address stays."""
    old = Workspace.objects.select_for_update().get(pk=workspace.pk).name
    if old != name:
        Workspace.objects.filter(pk=workspace.pk).update(name=name)
        audit.record(
            "client renamed",
            by=by,
            agency=workspace.agency,
            workspace=workspace,
            subject=name,
            before=old,
            after=name,
        )


def set_time_zone(*, workspace: Workspace, time_zone: str, by: Actor) -> None:
    """Set the zone in which a client's days begin, where its organisation's zone is not known."""
    _change_time_zone(Workspace.objects.filter(pk=workspace.pk), time_zone, by)


def adopt_time_zone(*, workspace: Workspace, time_zone: str, by: Actor) -> None:
    """Take the zone of an organisation just connected, unless the zone was settled before."""
    _change_time_zone(
        Workspace.objects.filter(pk=workspace.pk, timezone_settled=False), time_zone, by
    )


@transaction.atomic
def _change_time_zone(rows: "QuerySet[Workspace]", time_zone: str, by: Actor) -> None:
    _check_time_zone(time_zone)
    workspace = rows.select_for_update(of=("self",)).select_related("agency").first()
    if workspace is None:
        return
    rows.update(timezone=time_zone, timezone_settled=True)
    if workspace.timezone != time_zone:
        audit.record(
            "client’s time zone changed",
            by=by,
            agency=workspace.agency,
            workspace=workspace,
            subject=workspace.name,
            before=workspace.timezone,
            after=time_zone,
        )


@transaction.atomic
def archive_workspace(*, workspace: Workspace, by: User) -> None:
    """Archive a client: it can be read, nothing in it can be changed. A repeat changes nothing."""
    rows = Workspace.objects.filter(pk=workspace.pk, archived_at__isnull=True)
    if rows.update(archived_at=timezone.now()):
        audit.record(
            "client archived",
            by=by,
            agency=workspace.agency,
            workspace=workspace,
            subject=workspace.name,
        )


@transaction.atomic
def unarchive_workspace(*, workspace: Workspace, by: User) -> None:
    rows = Workspace.objects.filter(pk=workspace.pk, archived_at__isnull=False)
    if rows.update(archived_at=None):
        audit.record(
            "client brought back",
            by=by,
            agency=workspace.agency,
            workspace=workspace,
            subject=workspace.name,
        )


def set_profile(*, user: User, name: str, time_zone: str) -> None:
    """Set a person's name and the zone in which they read times."""
    _check_time_zone(time_zone)
    user.name, user.timezone = name, time_zone
    user.save(update_fields=["name", "timezone"])


def _check_time_zone(time_zone: str) -> None:
    if time_zone not in available_timezones():
        raise ValidationError("Choose a time zone of the list.", code="unknown")
