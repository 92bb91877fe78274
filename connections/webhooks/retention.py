"""Retention of deliveries, refused requests and token refreshes.

The journal of calls is kept: it proves payments.
"""

from datetime import datetime

from connections.models import Delivery, DeliveryState, Refusal, TokenRefresh
from taskjuice.queue import pruning

ENDED = (DeliveryState.DONE, DeliveryState.UNPARSABLE)  # failed ones wait for a person


def register() -> None:
    pruning.add_pruner("deliveries", delete_deliveries)
    pruning.add_pruner("minutes of refused requests", delete_refusals)
    pruning.add_pruner("token refreshes", delete_refreshes)


def delete_deliveries(before: datetime) -> int:
    """Delete old deliveries. Their events stay (workflows/activations/retention.py)."""
    ended = Delivery.objects.filter(state__in=ENDED, received_at__lt=before)
    return pruning.delete_batch(ended, born="received_at", before=before)


def delete_refusals(before: datetime) -> int:
    return pruning.delete_batch(
        Refusal.objects.filter(minute__lt=before), born="minute", before=before
    )


def delete_refreshes(before: datetime) -> int:
    return pruning.delete_batch(
        TokenRefresh.objects.filter(at__lt=before), born="at", before=before
    )
