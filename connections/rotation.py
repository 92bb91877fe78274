"""Changing the key that seals stored tokens, while they are in use."""

from django.db import transaction

from connections import vault
from connections.models import Grant


def rotate(*, batch: int) -> int:
    """Seal every grant anew under the first key; returns how many. Each batch is one transaction.

    A grant refreshed meanwhile has a new version: it is left alone and met again in the next round, since a worker
    that has not been restarted yet may have sealed it with the old key.
    """
    done = 0
    while True:
        changed = _round(batch)
        done += changed
        if not changed:
            return done


def _round(batch: int) -> int:
    changed, last = 0, 0
    while True:
        old = Grant.objects.exclude(tokens="").exclude(key_id=vault.current_key_id())
        rows = list(old.filter(pk__gt=last).order_by("pk").values_list("pk", "version", "tokens")[:batch])
        if not rows:
            return changed
        with transaction.atomic():
            changed += sum(_reseal(*row) for row in rows)
        last = rows[-1][0]


def _reseal(pk: int, version: int, tokens: str) -> int:
    return Grant.objects.filter(pk=pk, version=version, tokens=tokens).update(
        tokens=vault.reseal(tokens), key_id=vault.current_key_id()
    )
