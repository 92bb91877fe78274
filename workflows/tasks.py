"""Queue tasks. Dotted paths are part of queued messages: never rename them."""

from workflows import engine


def run_lane(connection_id: int) -> None:
    engine.run_lane(connection_id)
