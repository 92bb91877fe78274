"""The panel about webhooks: the subscription's address, its checks and its health."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max
from django.db.models.functions import Now

from connections.events import Gap
from connections.integrations import registry
from connections.models import (
    Delivery,
    Refusal,
)
from connections.providers import Provider, providers
from connections.queries import list_in_scope
from connections.webhooks import health as webhook_health
from connections.webhooks.health import WebhookHealth
from connections.webhooks.queries import count_recent_verdicts
from taskjuice.workspaces.gate import Scope

PROBE_GAP = timedelta(minutes=2)  # probes of one check come within this
SLOW_TO_DISABLE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Probes:
    """One intent-to-receive check: the requests with a right signature and those with a wrong one."""

    at: datetime
    answered_200: int
    answered_401: int
    right: list[datetime]
    wrong: list[tuple[datetime, int]]  # how many in the minute that begins then

    @property
    def passed(self) -> bool:
        return self.answered_200 > 0 and self.answered_401 > 0


@dataclass(frozen=True, slots=True)
class WebhookPanel:
    provider: Provider
    url: str
    has_key: bool
    probes: list[Probes]
    last_delivery_at: datetime | None  # of any agency: one subscription serves the whole app
    last_event_at: datetime | None  # of this scope's connections
    refused_lately: int
    waiting: int
    gaps: Sequence[Gap]
    verdicts: list[tuple[str, int]]  # of the whole app, last 24 hours
    health: WebhookHealth

    @property
    def state(self) -> str:
        """Return validated, half (only one kind of probe came), refused or none."""
        if self.last_event_at or any(probe.passed for probe in self.probes):
            return "validated"
        if any(probe.answered_200 for probe in self.probes):
            return "half"
        return "refused" if self.refused_lately else "none"


def get_webhook_panel(scope: Scope, *, url: str, has_key: bool) -> WebhookPanel:
    deliveries = Delivery.objects.filter(provider="xero")
    refused = Refusal.objects.filter(provider="xero", minute__gt=Now() - SLOW_TO_DISABLE)
    return WebhookPanel(
        provider=providers["xero"],
        url=url,
        has_key=has_key,
        probes=_list_probes(),
        last_delivery_at=deliveries.aggregate(at=Max("received_at"))["at"],
        last_event_at=list_in_scope(scope).aggregate(at=Max("last_webhook_at"))["at"],
        refused_lately=sum(refused.values_list("count", flat=True)),
        waiting=deliveries.filter(state="waiting").count(),
        gaps=registry.webhooks["xero"].gaps(),
        verdicts=count_recent_verdicts(),
        health=webhook_health.get_scope_health(scope),
    )


def _list_probes() -> list[Probes]:
    """List the latest intent-to-receive checks: empty deliveries, with the refused requests around
    each.
    """
    checks = Delivery.objects.filter(provider="xero", verdict="intent to receive").order_by(
        "-received_at"
    )
    groups: list[list[datetime]] = []
    for at in checks.values_list("received_at", flat=True)[:30]:
        if groups and groups[-1][-1] - at < PROBE_GAP:
            groups[-1].append(at)
        else:
            groups.append([at])
    return [_build_probe(group) for group in groups[:3]]


def _build_probe(group: list[datetime]) -> Probes:
    around = Refusal.objects.filter(
        provider="xero", last_at__gt=group[-1] - PROBE_GAP, minute__lt=group[0] + PROBE_GAP
    )
    wrong = list(around.order_by("minute").values_list("minute", "count"))
    return Probes(group[-1], len(group), sum(count for _, count in wrong), group[::-1], wrong)
