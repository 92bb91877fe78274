"""A person decided about a write that nobody could confirm: the activation that waits for it goes
on, or ends.
"""

from django.db.models.functions import Now

from connections.models import Call, CallState
from workflows.engine import lanes
from workflows.models import Activation, ActivationState


def go_on(call: Call) -> None:
    """Inside the transaction of the decision. The step runs again and finds in the journal what
    became of its write.
    """
    if call.activation_id is None:
        return
    waiting = Activation.objects.filter(pk=call.activation_id, state=ActivationState.UNKNOWN)
    if call.state == CallState.ABANDONED:
        waiting.update(
            state=ActivationState.FAILED,
            error_code="abandoned",
            error=f"{call.step}: it was decided not to do this.",
            finished_at=Now(),
        )
    elif waiting.update(
        state=ActivationState.READY,
        attempt=0,
        error_code="",
        error="",
        lease_token=None,
        next_at=Now(),
        finished_at=None,
    ):
        lanes.wake_lanes([call.connection_id])
