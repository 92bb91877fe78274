"""Secret values of an agency: encrypted like tokens, sent only to the host each is bound to, never
shown again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from connections.models import Secret
from connections.oauth import encryption
from taskjuice.workspaces import audit
from taskjuice.workspaces.models import Agency, User

NAME_TAKEN = "There is a secret value of this name. Replace it, or choose another name."
MIN_LENGTH = (
    8  # shorter ones could not be told from ordinary words where answers are cleaned of them
)


@dataclass(frozen=True, slots=True)
class OpenSecret:
    """A decrypted secret, for as long as a request takes. Its repr does not show the value."""

    host: str
    value: str = field(repr=False)


def add_secret(*, agency: Agency, name: str, host: str, value: str, by: User) -> Secret:
    """Add a secret value. Raises ValidationError when the name is taken."""
    secret = Secret(agency=agency, name=name, host=host, created_by=by, sealed="")
    try:
        with transaction.atomic():
            secret.save()
            _seal(secret, value, by)
            audit.record("secret value added", by=by, agency=agency, subject=name, host=host)
    except IntegrityError as error:  # secret_name_once_in_agency
        raise ValidationError(NAME_TAKEN, code="taken") from error
    return secret


@transaction.atomic
def replace_secret(*, secret: Secret, value: str, by: User) -> None:
    """Replace the value under the same name, for the same host; running steps use it from now on."""
    _seal(secret, value, by)
    audit.record("secret value replaced", by=by, agency=secret.agency, subject=secret.name)


@transaction.atomic
def delete_secret(*, secret: Secret, by: User) -> None:
    secret.delete()
    audit.record(
        "secret value deleted", by=by, agency=secret.agency, subject=secret.name, host=secret.host
    )


def list_secrets(agency: Agency) -> "QuerySet[Secret]":
    return (
        Secret.objects.filter(agency=agency)
        .select_related("created_by", "replaced_by")
        .order_by("name")
    )


def open_secrets(agency_id: int, names: Collection[str]) -> Mapping[str, OpenSecret]:
    """Return the decrypted secrets with these names, by name; missing ones are left out."""
    rows = (
        Secret.objects.filter(agency=agency_id, name__in=names) if names else Secret.objects.none()
    )
    return {
        row.name: OpenSecret(row.host, encryption.unseal(_owner(row), row.sealed)["value"])
        for row in rows
    }


def _seal(secret: Secret, value: str, by: User) -> None:
    Secret.objects.filter(pk=secret.pk).update(
        sealed=encryption.seal(_owner(secret), {"value": value}),
        key_id=encryption.get_current_key_id(),
        replaced_at=Now(),
        replaced_by=by,
    )


def _owner(secret: Secret) -> str:
    """Return the owner name of the ciphertext: it opens for no other agency, row or host."""
    return f"secret {secret.pk} of agency {secret.agency_id} for {secret.host}"
