"""Activations that may not write now, for the journal.

The lane checks the same before each step (store.AT_REST).
"""

from collections.abc import Collection, Mapping

from django.db.models import Exists

from workflows.engine import organisation_pauses
from workflows.models import Activation, ActivationState

REASONS = {
    ActivationState.CANCELLED: "its activation was cancelled",
    ActivationState.UNKNOWN: "its activation waits for a decision",
}
ENDED = "its activation has ended"
GONE = "its activation is gone"
HELD = "its workflow is paused"
ON_ITS_WAY = (ActivationState.READY, ActivationState.RUNNING)


def list_write_refusals(ids: Collection[int]) -> Mapping[int, str]:
    """Return why each of these activations may not write now, for those that may not."""
    paused_there = organisation_pauses.list_for_application(holds=True)
    rows = Activation.objects.filter(pk__in=ids).annotate(rests=Exists(paused_there))
    states = {
        pk: (ActivationState(state), held or rests)
        for pk, state, held, rests in rows.values_list("pk", "state", "workflow__held", "rests")
    }
    refusals: dict[int, str] = {pk: GONE for pk in ids if pk not in states}
    for pk, (state, held) in states.items():
        if state not in ON_ITS_WAY:
            refusals[pk] = REASONS.get(state, ENDED)
        elif held:
            refusals[pk] = HELD
    return refusals
