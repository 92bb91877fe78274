"""The gateway before the ledgers: tokens, scopes, limits, idempotency keys, faults."""
