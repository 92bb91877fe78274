"""What of the inbox and the grants goes when it is old. The journal of calls stays: it proves
payments.
"""

from datetime import datetime

from connections.models import Delivery, DeliveryState, Refusal, TokenRefresh
from taskjuice.queue import pruning

ENDED = (DeliveryState.DONE, DeliveryState.UNPARSABLE)  # failed ones wait for a person


def register() -> None:
    pruning.add_pruner("deliveries", deliveries)
    pruning.add_pruner("minutes of refused requests", refusals)
    pruning.add_pruner("token refreshes", refreshes)


def deliveries(before: datetime) -> int:
    """Their events stay (workflows/activations/retention.py)."""
    ended = Delivery.objects.filter(state__in=ENDED, received_at__lt=before)
    return pruning.delete_batch(ended, born="received_at", before=before)


def refusals(before: datetime) -> int:
    return pruning.delete_batch(
        Refusal.objects.filter(minute__lt=before), born="minute", before=before
    )


def refreshes(before: datetime) -> int:
    return pruning.delete_batch(
        TokenRefresh.objects.filter(at__lt=before), born="at", before=before
    )
