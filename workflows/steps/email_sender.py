"""Who an e-mail of a workflow is from: the organisation via its agency, which also gets the
answers.
"""

import re
import unicodedata
from email.header import decode_header, make_header
from email.utils import formataddr, parseaddr

from django.conf import settings

from connections.models import Connection
from taskjuice.workspaces import branding
from taskjuice.workspaces.models import Agency, Role

LONGEST = 60  # characters of each of the two names


def sender_of(connection: Connection | None) -> str:
    """Return the From header: "Harbour Café Limited via Northwind Books" at the platform's own
    address.
    """
    _, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    if connection is None:
        return str(settings.DEFAULT_FROM_EMAIL)
    names = _plain(connection.name), _plain(connection.agency.name)
    return formataddr((" via ".join(name for name in names if name), address))


def readable(header: str) -> str:
    """Return a From header as a person reads it, without the encoding that the wire needs."""
    name, address = parseaddr(str(make_header(decode_header(header))))
    return f"{name} <{address}>" if name else address


def answers_of(agency: Agency) -> str:
    """Return the address for answers: the one that the agency set, else its owner's; "" where there
    is none.
    """
    chosen = branding.of(agency).reply_to
    if chosen:
        return chosen
    owner = (
        agency.memberships.filter(role=Role.OWNER, user__is_active=True)
        .select_related("user")
        .first()
    )
    return owner.user.email if owner else ""


def _plain(name: str) -> str:
    """A name that can only be read as one: no line breaks, no invisible or direction-changing
    characters, and nothing that a mail program may take for an address.
    """
    visible = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in name)
    return " ".join(re.sub(r"[<>@\"\\]", " ", visible).split())[:LONGEST].rstrip()
