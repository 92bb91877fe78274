"""Names as people type them: blanks of any kind and number are one, small and capital letters the
same.

Xero takes no names with double or outer blanks today, but keeps those that were imported: "Acme
Ltd", or one with a no-break space. A page shows all blanks as one, so nobody can type them as they
are stored.
"""

import unicodedata


def normalise_name(text: str) -> str:
    """Composed letters, no blanks around it, and single plain ones inside."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def name_key(text: str) -> str:
    """What two names have in common that are the same to a person."""
    return normalise_name(text).lower()
