"""Time zones as Xero names them: Windows' names in capitals, without blanks, dots and hyphens."""

import re
from functools import cache

from babel.core import get_global

# In Xero's list, and no longer in Unicode's table of Windows' names.
DROPPED = {"Kamchatka Standard Time": "Asia/Kamchatka", "Mid-Atlantic Standard Time": "Etc/GMT+2"}


def find_iana_name(name: str) -> str:
    """Return the IANA name: Pacific/Auckland for `NEWZEALANDSTANDARDTIME`; empty for
    unknown names.
    """
    return _names_by_key().get(_key(name), ("", ""))[1]


def find_readable_name(name: str) -> str:
    """Return a readable name: `New Zealand` for `NEWZEALANDSTANDARDTIME`; Xero's own for unknown
    names.
    """
    return _names_by_key().get(_key(name), (name, ""))[0]


def _key(name: str) -> str:
    return re.sub(r"[^A-Z0-9+()]", "", name.upper())


@cache
def _names_by_key() -> dict[str, tuple[str, str]]:
    named = {**get_global("windows_zone_mapping"), **DROPPED}
    return {
        _key(name): (name.replace(" Standard Time", ""), zone.replace("Etc/UTC", "UTC"))
        for name, zone in named.items()
    }
