"""System checks about encrypted secrets. They read the database: `check --database default`."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.core import checks
from django.db import ProgrammingError, transaction
from django.db.models import Count

from connections.models import Grant, Secret
from connections.oauth import encryption


def register() -> None:
    checks.register(check_token_keys, checks.Tags.database)


def check_token_keys(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Check that every stored token opens with a configured key: no key was removed too early."""
    if "default" not in (databases or ()):
        return []
    try:
        with transaction.atomic():
            used = count_key_uses()
    except ProgrammingError:  # `migrate` runs the checks before the table is there
        return []
    unknown = {key: count for key, count in used.items() if key not in encryption.list_key_ids()}
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
    """Return the ids of keys that stored secrets need and this process lacks, in one statement."""
    grants = (
        Grant.objects.exclude(tokens="")
        .exclude(key_id="")
        .order_by()
        .values_list("key_id", flat=True)
    )
    secrets = Secret.objects.exclude(key_id="").order_by().values_list("key_id", flat=True)
    return sorted(set(grants.union(secrets)) - set(encryption.list_key_ids()))


def count_key_uses() -> dict[str, int]:
    """Count the grants and secret values that each key encrypts, by its id."""
    grants = Grant.objects.exclude(tokens="").values_list("key_id").annotate(Count("pk")).order_by()
    secrets = Secret.objects.values_list("key_id").annotate(Count("pk")).order_by()
    return dict(Counter(dict(grants)) + Counter(dict(secrets)))
