"""Queue tasks. Dotted paths are part of queued messages: never rename them."""

from connections import inbox, journal
from connections.links import letters


def fan_out() -> None:
    inbox.fan_out()


def settle_calls() -> None:
    journal.settle_orphans()


def tell_link(link_id: int) -> None:
    letters.tell(link_id)
