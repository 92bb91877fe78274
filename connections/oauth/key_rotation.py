"""Changing the key that seals stored tokens and secret values, while they are in use."""

from django.db import transaction

from connections.models import Grant, Secret
from connections.oauth import encryption
from taskjuice.queue import key_rotation


class NotKnownEverywhere(Exception):
    """A living node does not know the first key: what was sealed anew could not be opened there."""


def rotate(*, batch: int) -> int:
    """Seal everything anew under the first key; returns how many. Each batch is one transaction.

    What is sealed anew meanwhile, by a refresh or a replacement, is left alone and met again in the
    next round, since a worker that has not been restarted yet may have sealed it with the old key.
    Raises NotKnownEverywhere.
    """
    if lacking := key_rotation.list_without(encryption.SETTING, encryption.current_key_id()):
        nodes = "; ".join(str(node) for node in lacking)
        raise NotKnownEverywhere(
            f"Key {encryption.current_key_id()} is not known to every node. {nodes}."
        )
    done = 0
    while True:
        changed = _round(batch)
        done += changed
        if not changed:
            return done


def _round(batch: int) -> int:
    return _round_of(Grant, "tokens", batch) + _round_of(Secret, "sealed", batch)


def _round_of(model: type[Grant] | type[Secret], column: str, batch: int) -> int:
    changed, last = 0, 0
    while True:
        old = model._default_manager.exclude(**{column: ""}).exclude(
            key_id=encryption.current_key_id()
        )
        rows = list(old.filter(pk__gt=last).order_by("pk").values_list("pk", column)[:batch])
        if not rows:
            return changed
        with transaction.atomic():
            for pk, sealed in rows:
                same = model._default_manager.filter(pk=pk, **{column: sealed})
                changed += same.update(
                    **{column: encryption.reseal(sealed), "key_id": encryption.current_key_id()}
                )
        last = rows[-1][0]
