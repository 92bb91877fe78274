"""Slugs: the part of an address that names an agency or a client."""

import re
import unicodedata

from django.core.exceptions import ValidationError

from taskjuice.workspaces.models import (
    RESERVED_AGENCY_SLUGS,
    RESERVED_WORKSPACE_SLUGS,
    Agency,
    slug_shape,
)

LONGEST = 50


def slug_of(name: str) -> str:
    """Return a slug for a name: `Harbour Café Ltd.` becomes `harbour-cafe-ltd`.

    Empty where nothing usable is left.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:LONGEST].strip("-")


def check_agency_slug(slug: str) -> None:
    """Raise ValidationError unless a new agency may have this slug."""
    slug_shape(slug)
    if slug in RESERVED_AGENCY_SLUGS or Agency.objects.filter(slug=slug).exists():
        raise ValidationError("This address is taken.", code="taken")


def check_workspace_slug(agency: Agency, slug: str) -> None:
    """Raise ValidationError unless a new client of this agency may have this slug."""
    slug_shape(slug)
    if slug in RESERVED_WORKSPACE_SLUGS or agency.workspaces.filter(slug=slug).exists():
        raise ValidationError("This address is taken.", code="taken")


def free_workspace_slug(agency: Agency, name: str) -> str:
    """Return a slug for a client of this name that the agency does not use yet."""
    base = slug_of(name) or "client"
    used = set(
        agency.workspaces.filter(slug__startswith=base[: LONGEST - 4]).values_list(
            "slug", flat=True
        )
    )
    return first_free(base, used | RESERVED_WORKSPACE_SLUGS)


def first_free(base: str, taken: "set[str] | frozenset[str]") -> str:
    """Return `base`, or `base-2`, `base-3` … within the longest length."""
    candidate, number = base, 1
    while candidate in taken:
        number += 1
        ending = f"-{number}"
        candidate = base[: LONGEST - len(ending)].rstrip("-") + ending
    return candidate
