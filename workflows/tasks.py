"""Queue tasks. Dotted paths are part of queued messages: never rename them."""

from workflows import engine


def run_lane(connection_id: int) -> None:
    engine.run_lane(connection_id)


def tell_of_approval(pk: int) -> None:
    """Do nothing: queued by an earlier release; taskjuice/notices writes about tasks now."""
