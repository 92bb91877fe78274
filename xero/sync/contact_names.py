"""The local copy's contacts by the names that people type (xero/names.py)."""

from collections.abc import Iterable, Sequence

from django.db.models import Q, QuerySet

from connections.models import Connection
from xero.models import Contact
from xero.names import name_key

ASKED_AT_ONCE = 50


def contact_called(connection: Connection, name: str) -> Contact | None:
    """The contact of this name, an active one before an archived one, one that is written so before
    others.
    """
    return min(
        contacts_called(connection, [name])[:ASKED_AT_ONCE],
        key=lambda one: (one.status != "ACTIVE", one.name != name, one.pk),
        default=None,
    )


def contacts_called(connection: Connection, names: Iterable[str]) -> "QuerySet[Contact]":
    """The local copy's contacts of any of these names, of any status."""
    keys = {key for name in names if (key := name_key(name[:255].replace("\0", "")))}
    found = Contact.objects.filter(connection=connection).defer("body").order_by("id")
    if not keys:
        return found.none()
    return found.filter(
        Q(*(Q(search_key__startswith=f"{key}\n") for key in sorted(keys)), _connector=Q.OR)
    )


def active_contacts(connection: Connection, names: Sequence[str]) -> dict[str, Contact]:
    """Active contacts by the key of their name. Of several, the one that was there first."""
    unique = sorted({name for name in names if name})
    found: dict[str, Contact] = {}
    for start in range(0, len(unique), ASKED_AT_ONCE):
        chunk = unique[start : start + ASKED_AT_ONCE]
        for contact in contacts_called(connection, chunk).filter(status="ACTIVE"):
            found.setdefault(name_key(contact.name), contact)
    return found
