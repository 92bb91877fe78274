"""Contacts whose names hold double, no-break or outer blanks are found by the name as people type it.

Their search key begins with the name; only those few rows are touched, each by its own short statement.
"""

import unicodedata
from typing import Any

from django.db import migrations

ODD = "[\u0009-\u000d\u001c-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]|^ |  | $"


def _key(text: str) -> str:
    return unicodedata.normalize("NFC", text).lower()


def _rekey(apps: Any, *, plain: bool) -> None:
    contacts = apps.get_model("xero", "Contact").objects
    rows = contacts.filter(name__regex=ODD).values_list("pk", "name", "search_key")
    for pk, name, search_key in rows.iterator(chunk_size=500):
        stored, typed = _key(name), _key(" ".join(name.split()))
        before, after = (stored, typed) if plain else (typed, stored)
        if search_key.startswith(f"{before}\n"):
            contacts.filter(pk=pk, search_key=search_key).update(search_key=after + search_key[len(before) :])


def forwards(apps: Any, schema_editor: Any) -> None:
    _rekey(apps, plain=True)


def backwards(apps: Any, schema_editor: Any) -> None:
    _rekey(apps, plain=False)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("xero", "0009_documents_of_refunds")]
    operations = [migrations.RunPython(forwards, backwards, elidable=True)]
