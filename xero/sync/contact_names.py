"""Searches of the local copy's contacts by the names that people type (xero/names.py)."""

from collections.abc import Iterable, Sequence

from django.db.models import Q, QuerySet

from connections.models import Connection
from xero.models import Contact
from xero.names import name_key

ASKED_AT_ONCE = 50


def find_contact(connection: Connection, name: str) -> Contact | None:
    """Return the contact of this name; an active one first, then one with exactly this spelling."""
    return min(
        list_contacts_by_name(connection, [name])[:ASKED_AT_ONCE],
        key=lambda contact: (contact.status != "ACTIVE", contact.name != name, contact.pk),
        default=None,
    )


def list_contacts_by_name(connection: Connection, names: Iterable[str]) -> "QuerySet[Contact]":
    """Return the local copy's contacts of any of these names, of any status."""
    keys = {key for name in names if (key := name_key(name[:255].replace("\0", "")))}
    contacts = Contact.objects.filter(connection=connection).defer("body").order_by("id")
    if not keys:
        return contacts.none()
    return contacts.filter(
        Q(*(Q(search_key__startswith=f"{key}\n") for key in sorted(keys)), _connector=Q.OR)
    )


def find_active_contacts(connection: Connection, names: Sequence[str]) -> dict[str, Contact]:
    """Return active contacts by the key of their name; of several, the one that was stored
    first.
    """
    unique = sorted({name for name in names if name})
    contacts: dict[str, Contact] = {}
    for start in range(0, len(unique), ASKED_AT_ONCE):
        chunk = unique[start : start + ASKED_AT_ONCE]
        for contact in list_contacts_by_name(connection, chunk).filter(status="ACTIVE"):
            contacts.setdefault(name_key(contact.name), contact)
    return contacts
