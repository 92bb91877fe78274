"""The provider calls that a workflow is expected to use, as its actions declare them."""

from dataclasses import dataclass
from decimal import Decimal

from workflows.definition.drafts import Draft

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Calls per event: `alone` for a single event, `batched` when many arrive at once.

    `each` names the steps that run once per element of a list, with the calls for one element; they
    are added on top.
    """

    alone: Decimal
    batched: Decimal
    each: list[tuple[str, Decimal]]

    @property
    def is_free(self) -> bool:
        return not self.alone and not self.each


def estimate_cost(draft: Draft) -> Estimate:
    """Estimate the most that one event may use: steps under a condition count as if it held."""
    alone, batched, each = ZERO, ZERO, []
    for step in draft.steps:
        cost = step.known_action.cost if step.known_action else None
        if cost is None or not cost.alone:
            continue
        if step.for_each:
            each.append((step.name, cost.alone))
        else:
            alone, batched = alone + cost.alone, batched + cost.batched
    return Estimate(alone, batched.quantize(Decimal("0.001")).normalize(), each)
