"""What the engine brings to the registry: the built-in actions, and its ear for events."""

from connections.integrations import registry
from taskjuice.queue import sweeping
from workflows import lanes
from workflows.actions import Filter, SetValues
from workflows.intake import start_activations


def register() -> None:
    registry.add(actions=[Filter(), SetValues()], listener=start_activations)
    sweeping.add("forgotten lanes", seconds=2, run=lanes.rewake_forgotten)
