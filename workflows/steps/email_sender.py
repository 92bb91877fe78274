"""The sender of a workflow's e-mails: the organisation via its agency, which also gets replies."""

import re
import unicodedata
from email.header import decode_header, make_header
from email.utils import formataddr, parseaddr

from django.conf import settings

from connections.models import Connection
from taskjuice.workspaces import branding
from taskjuice.workspaces.models import Agency, Role

LONGEST = 60  # characters of each of the two names


def get_sender(connection: Connection | None) -> str:
    """Return the From header: "Harbour Café Limited via Northwind Books" at our own address."""
    _, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    if connection is None:
        return str(settings.DEFAULT_FROM_EMAIL)
    names = _clean_name(connection.name), _clean_name(connection.agency.name)
    return formataddr((" via ".join(name for name in names if name), address))


def format_sender(header: str) -> str:
    """Return a From header as a person reads it, without the encoding of the wire."""
    name, address = parseaddr(str(make_header(decode_header(header))))
    return f"{name} <{address}>" if name else address


def get_reply_address(agency: Agency) -> str:
    """Return the address for replies: the agency's setting, else its owner's; "" without either."""
    chosen = branding.of(agency).reply_to
    if chosen:
        return chosen
    owner = (
        agency.memberships.filter(role=Role.OWNER, user__is_active=True)
        .select_related("user")
        .first()
    )
    return owner.user.email if owner else ""


def _clean_name(name: str) -> str:
    """Clean a name for use in a header.

    It keeps no line breaks, no invisible or direction-changing characters, and nothing that a mail
    program may take for an address.
    """
    visible = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in name)
    return " ".join(re.sub(r"[<>@\"\\]", " ", visible).split())[:LONGEST].rstrip()
