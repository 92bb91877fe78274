"""Choices that the builder takes from the agency: colleagues, secret values."""

from collections.abc import Sequence
from dataclasses import dataclass

from connections.secrets import values as secret_values
from taskjuice.workspaces.models import Agency


@dataclass(frozen=True, slots=True)
class Colleague:
    """A member of the agency; `address` is in lower case."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class SecretChoice:
    name: str
    host: str


@dataclass(frozen=True, slots=True)
class BuilderChoices:
    colleagues: Sequence[Colleague] = ()
    secrets: Sequence[SecretChoice] = ()


def load_choices(agency: Agency) -> BuilderChoices:
    """Load the agency's choices, in two queries."""
    people = (
        agency.memberships.filter(user__is_active=True)
        .select_related("user")
        .order_by("user__name", "pk")
    )
    colleagues = [Colleague(str(member.user), member.user.email.lower()) for member in people]
    secrets = secret_values.list_secrets(agency).values_list("name", "host")
    return BuilderChoices(colleagues, [SecretChoice(name, host) for name, host in secrets])
