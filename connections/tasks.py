"""Tasks of the queue. Their dotted paths are part of queued messages: never rename them."""

from connections.links import letters
from connections.webhooks import fan_out as webhooks_fan_out
from connections.writes import orphans


def fan_out() -> None:
    webhooks_fan_out.fan_out()


def settle_calls() -> None:
    orphans.settle_orphans()


def tell_link(link_id: int) -> None:
    letters.notify_sender(link_id)
