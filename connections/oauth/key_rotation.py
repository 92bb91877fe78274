"""Rotation of the key that encrypts stored tokens and secret values, while they are in use."""

from django.db import transaction

from connections.models import Grant, Secret
from connections.oauth import encryption
from taskjuice.queue import key_rotation


class KeyNotOnAllNodes(Exception):
    """A running node does not have the first key: it could not open what is encrypted with it."""


def rotate_keys(*, batch: int) -> int:
    """Encrypt everything again with the first key; return how many. Each batch is one transaction.

    Rows that a refresh or a replacement changes at the same time are left alone until the next
    round: a worker that has not been restarted yet may have used the old key. Raises
    KeyNotOnAllNodes.
    """
    if lacking := key_rotation.list_without(encryption.SETTING, encryption.get_current_key_id()):
        nodes = "; ".join(str(node) for node in lacking)
        raise KeyNotOnAllNodes(
            f"Key {encryption.get_current_key_id()} is not known to every node. {nodes}."
        )
    done = 0
    while True:
        changed = _round(batch)
        done += changed
        if not changed:
            return done


def _round(batch: int) -> int:
    return _rotate_column(Grant, "tokens", batch) + _rotate_column(Secret, "sealed", batch)


def _rotate_column(model: type[Grant] | type[Secret], column: str, batch: int) -> int:
    changed, last = 0, 0
    while True:
        old = model._default_manager.exclude(**{column: ""}).exclude(
            key_id=encryption.get_current_key_id()
        )
        rows = list(old.filter(pk__gt=last).order_by("pk").values_list("pk", column)[:batch])
        if not rows:
            return changed
        with transaction.atomic():
            for pk, sealed in rows:
                same = model._default_manager.filter(pk=pk, **{column: sealed})
                changed += same.update(
                    **{column: encryption.reseal(sealed), "key_id": encryption.get_current_key_id()}
                )
        last = rows[-1][0]
