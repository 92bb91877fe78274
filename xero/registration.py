"""What Xero brings: the explicit list."""

from connections.integrations import registry


def register() -> None:
    registry.add()
