"""Queue tasks. Dotted paths are part of queued messages: never rename them."""

from connections.links import letters
from connections.webhooks import fan_out as webhooks_fan_out
from connections.writes import journal


def fan_out() -> None:
    webhooks_fan_out.fan_out()


def settle_calls() -> None:
    journal.settle_orphans()


def tell_link(link_id: int) -> None:
    letters.tell(link_id)
