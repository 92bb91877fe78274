"""Queue tasks. Dotted paths are part of queued messages: never rename them."""

from connections import inbox


def fan_out() -> None:
    inbox.fan_out()
