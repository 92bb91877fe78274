"""Decisions about writes with an unknown outcome: the waiting activation continues or ends."""

from django.db.models.functions import Now

from connections.models import Call, CallState
from workflows.engine import lanes
from workflows.models import Activation, ActivationState


def continue_or_end(call: Call) -> None:
    """Continue or end the activation of this write, inside the transaction of the decision.

    A step that continues runs again and finds the outcome in the journal.
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
