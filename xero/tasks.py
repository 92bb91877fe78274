"""Queue tasks. Dotted paths are part of queued messages: never rename them."""

from xero.sync import sync


def run_ledger(connection_id: int) -> None:
    sync.run_ledger(connection_id)
