"""Contact names as people type them: any blanks count as one, and case is ignored.

Xero takes no names with double or outer blanks today, but keeps those that were imported, also ones
with a no-break space. A page shows all blanks as one, so nobody can type such a name as it is
stored.
"""

import unicodedata


def normalise_name(text: str) -> str:
    """Return the name with composed letters and single plain blanks, none around it."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def name_key(text: str) -> str:
    """Return a key that is equal for names that look the same to a person."""
    return normalise_name(text).lower()
