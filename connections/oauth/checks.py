"""System checks about secrets at rest. They read the database, so they run with `check --database
default`.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.core import checks
from django.db import ProgrammingError, transaction
from django.db.models import Count

from connections.models import Grant, Secret
from connections.oauth import encryption


def register() -> None:
    checks.register(token_keys, checks.Tags.database)


def token_keys(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Every stored token must open with a configured key, else a key was taken away too early."""
    if "default" not in (databases or ()):
        return []
    try:
        with transaction.atomic():
            used = uses()
    except ProgrammingError:  # `migrate` runs the checks before the table is there
        return []
    unknown = {key: count for key, count in used.items() if key not in encryption.key_ids()}
    if not unknown:
        return []
    return [
        checks.Error(
            f"{sum(unknown.values())} stored secrets are encrypted with keys that TOKEN_KEYS no longer holds"
            f" (key ids: {', '.join(sorted(unknown))}).",
            hint="Put the key back behind the first one, run `manage.py rotate_token_keys`, then take it away.",
            id="connections.E001",
        )
    ]


def list_lost_keys() -> list[str]:
    """Return the keys, by their ids, that stored secrets need and this process lacks; one
    statement.
    """
    grants = (
        Grant.objects.exclude(tokens="")
        .exclude(key_id="")
        .order_by()
        .values_list("key_id", flat=True)
    )
    secrets = Secret.objects.exclude(key_id="").order_by().values_list("key_id", flat=True)
    return sorted(set(grants.union(secrets)) - set(encryption.key_ids()))


def uses() -> dict[str, int]:
    """How many grants and secret values each key, by its id, encrypts."""
    grants = Grant.objects.exclude(tokens="").values_list("key_id").annotate(Count("pk")).order_by()
    secrets = Secret.objects.values_list("key_id").annotate(Count("pk")).order_by()
    return dict(Counter(dict(grants)) + Counter(dict(secrets)))
