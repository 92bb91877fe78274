"""What the engine brings to the registry: the built-in actions, and its ear for events."""

from connections.integrations import registry


def register() -> None:
    registry.add()
