"""Models of connections, by subject."""

from connections.models.budgets import Budget
from connections.models.connections import Connection, ConnectionProblem, ConnectionState
from connections.models.consents import Consent
from connections.models.grants import Grant, GrantState, Secret, TokenRefresh
from connections.models.links import ConnectLink, LinkState
from connections.models.webhooks import Delivery, DeliveryState, Event, Mention, Refusal, StrayEvent
from connections.models.writes import (
    LIVE_CALLS,
    OPEN_CALLS,
    Call,
    CallState,
    Reconciliation,
    Sending,
)

__all__ = [
    "LIVE_CALLS",
    "OPEN_CALLS",
    "Budget",
    "Call",
    "CallState",
    "ConnectLink",
    "Connection",
    "ConnectionProblem",
    "ConnectionState",
    "Consent",
    "Delivery",
    "DeliveryState",
    "Event",
    "Grant",
    "GrantState",
    "LinkState",
    "Mention",
    "Reconciliation",
    "Refusal",
    "Secret",
    "Sending",
    "StrayEvent",
    "TokenRefresh",
]
