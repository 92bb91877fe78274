"""Causes of activations, for reconciliation after a restore
(connections/writes/reconciliation.py).
"""

from collections.abc import Collection

from connections.writes.reconciliation import ActivationCause
from workflows.models import Activation
from workflows.triggers import runner

COLUMNS = (
    "pk",
    "created_at",
    "restarted_at",
    "event__category",
    "event__occurred_at",
    "event__received_at",
    "event__delivery_id",
)


def list_causes(activation_ids: Collection[int]) -> dict[int, ActivationCause]:
    """Return what started each activation, by its key; a person's replay counts as a new cause.

    An event that no delivery reported and no clock made was found by comparing the local copy with
    the provider.
    """
    causes: dict[int, ActivationCause] = {}
    rows = Activation.objects.filter(pk__in=activation_ids).values_list(*COLUMNS)
    for pk, created_at, restarted_at, category, occurred_at, received_at, delivery_id in rows:
        is_compared = category not in (None, runner.CATEGORY) and delivery_id is None
        happened_at, found_at = occurred_at or created_at, received_at if is_compared else None
        if restarted_at is not None:
            happened_at, found_at = (
                max(happened_at, restarted_at),
                found_at and max(found_at, restarted_at),
            )
        causes[pk] = ActivationCause(happened_at, found_at)
    return causes
