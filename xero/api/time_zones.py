"""Time zones as Xero names them: Windows' names in capitals, without blanks, dots and hyphens."""

import re
from functools import cache

from babel.core import get_global

# In Xero's list, and no longer in Unicode's table of Windows' names.
DROPPED = {"Kamchatka Standard Time": "Asia/Kamchatka", "Mid-Atlantic Standard Time": "Etc/GMT+2"}


def iana(name: str) -> str:
    """Auckland's for `NEWZEALANDSTANDARDTIME`; empty where the name is not known."""
    return _known().get(_bare(name), ("", ""))[1]


def words(name: str) -> str:
    """`New Zealand` for `NEWZEALANDSTANDARDTIME`; as Xero spells it where the name is not known."""
    return _known().get(_bare(name), (name, ""))[0]


def _bare(name: str) -> str:
    return re.sub(r"[^A-Z0-9+()]", "", name.upper())


@cache
def _known() -> dict[str, tuple[str, str]]:
    named = {**get_global("windows_zone_mapping"), **DROPPED}
    return {
        _bare(name): (name.replace(" Standard Time", ""), zone.replace("Etc/UTC", "UTC"))
        for name, zone in named.items()
    }
