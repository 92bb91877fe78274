"""The list of what needs a person: the bell, the red banner and the first card of home pages."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

from django.db.models import QuerySet, Value
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from connections.models import Call, CallState, Connection, ConnectionState
from connections.webhooks import health as webhook_health
from taskjuice.workspaces.gate import Scope
from workflows.builder import queries as workflow_queries
from workflows.engine import organisation_pauses
from workflows.models import Activation, ActivationState, Approval, ApprovalState, Lane

COUNTED = 10_000  # more than this is shown as "10,000+", as on the lists
FETCHED = 101  # read with their names; only where there are more are they counted
RECENT = timedelta(hours=24)
Row = TypeVar("Row", Connection, Activation, Approval, Call)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the list. `kind` selects the text (templates/_attention.html).

    `name` is set when `count` is 1; `more`: there are more than were counted.
    """

    kind: str
    count: int
    href: str
    name: str = ""
    more: bool = False
    at: datetime | None = None


class Attention:
    """The items of one scope, ordered by what they block. The database is read on first use."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    @cached_property
    def items(self) -> list[Item]:
        found = [
            self.broken,
            self.safety,
            self.unknown,
            self.undecided,
            self.tasks,
            self.failed,
            self.parked,
            self.refused,
            self.silent,
        ]
        return [item for item in found if item is not None]

    @cached_property
    def count(self) -> int:
        return len(self.items)

    @cached_property
    def broken(self) -> Item | None:
        rows = here(Connection.objects.filter(state=ConnectionState.ERROR), self.scope).order_by(
            "id"
        )
        found = list(rows.values_list("name", "workspace__slug", "id")[:FETCHED])
        item = self._item(
            "reauthorise",
            [name for name, *_ in found],
            rows,
            "connections:connection-list",
            "?state=attention",
        )
        if item is None or item.count > 1:
            return item
        (_, workspace, pk), *_ = found
        return replace(
            item,
            href=reverse(
                "connections:connection-detail", args=(self.scope.agency.slug, workspace, pk)
            ),
        )

    @cached_property
    def safety(self) -> Item | None:
        """Return workflows that paused themselves, with the organisation of this scope."""
        pauses = organisation_pauses.list_active(agency=self.scope.agency, by_safety=True)
        if self.scope.workspace is not None:
            pauses = pauses.filter(connection__workspace=self.scope.workspace)
        named = pauses.values_list(
            "workflow__name", "connection__name", "workflow", "connection__workspace__slug"
        )
        everywhere = workflow_queries.list_stopped_everywhere(self.scope).values_list(
            "name", Value(""), "pk", Value("")
        )
        found = list(named.union(everywhere, all=True).order_by("workflow__name")[:FETCHED])
        names = [
            f"{name} at {organisation}" if organisation else name
            for name, organisation, *_ in found
        ]
        item = self._item(
            "safety",
            names,
            named.union(everywhere, all=True),
            "workflows:workflow-list",
            "?state=safety",
        )
        if item is None or item.count > 1:
            return item
        (_, _, pk, workspace), *_ = found
        slugs = (self.scope.agency.slug, workspace) if workspace else (self.scope.agency.slug,)
        return replace(item, href=reverse("workflows:workflow-detail", args=(*slugs, pk)))

    @cached_property
    def unknown(self) -> Item | None:
        return self._activations(
            "unknown", Activation.objects.filter(state=ActivationState.UNKNOWN)
        )

    @cached_property
    def undecided(self) -> Item | None:
        """Return writes from pages; those of steps are listed as their activations."""
        rows = here(Call.objects.filter(state=CallState.UNKNOWN, activation_id=None), self.scope)
        names = list(rows.order_by("-created_at").values_list("subject", flat=True)[:FETCHED])
        return self._item("undecided", names, rows, "xero:call-list", "?state=decide")

    @cached_property
    def tasks(self) -> Item | None:
        """Return the questions of workflows to the team, the first to expire first."""
        rows = here(Approval.objects.filter(state=ApprovalState.OPEN), self.scope).order_by(
            "expires_at"
        )
        names = list(rows.values_list("question", flat=True)[:FETCHED])
        return self._item("tasks", names, rows, "workflows:task-list", "?state=open")

    @cached_property
    def failed(self) -> Item | None:
        since = timezone.now() - RECENT
        return self._activations(
            "failed", Activation.objects.filter(state=ActivationState.FAILED), since
        )

    @cached_property
    def parked(self) -> Item | None:
        rows = Lane.objects.filter(parked_until__gt=timezone.now() + timedelta(minutes=1))
        rows = rows.filter(connection__agency=self.scope.agency)
        if self.scope.workspace is not None:
            rows = rows.filter(connection__workspace=self.scope.workspace)
        names = list(rows.values_list("connection__name", flat=True)[:FETCHED])
        return self._item("parked", names, rows, "connections:connection-list")

    @cached_property
    def health(self) -> webhook_health.WebhookHealth:
        return webhook_health.get_scope_health(self.scope)

    @cached_property
    def refused(self) -> Item | None:
        """Return the failing deliveries of the whole app, before Xero disables the subscription."""
        if self.health.state == "well":
            return None
        return Item(
            "webhooks",
            1,
            place_url(self.scope, "connections:delivery-list"),
            at=self.health.given_up_at,
        )

    @cached_property
    def silent(self) -> Item | None:
        if self.refused is not None:
            return None
        rows = webhook_health.list_silent_connections(self.scope)
        names = list(rows.values_list("name", flat=True)[:FETCHED])
        return self._item("silent", names, rows, "connections:delivery-list")

    def _activations(
        self, kind: str, rows: "QuerySet[Activation]", since: datetime | None = None
    ) -> Item | None:
        """Read only the newest, by their index, however many old ones there are."""
        rows = here(rows, self.scope)
        newest = rows.order_by("-id").values_list("subject", "created_at")[:FETCHED]
        found = [subject for subject, at in newest if since is None or at > since]
        lately = rows if since is None else rows.filter(created_at__gt=since)
        return self._item(kind, found, lately, "workflows:activation-list", f"?state={kind}")

    def _item(
        self,
        kind: str,
        names: list[str],
        rows: "QuerySet[Any, Any]",
        url_name: str,
        query: str = "",
    ) -> Item | None:
        """Return the item. `rows` are counted where `names`, the first of them, are not all."""
        if not names:
            return None
        href = place_url(self.scope, url_name) + query
        count = len(names) if len(names) < FETCHED else rows.order_by()[: COUNTED + 1].count()
        return Item(kind, min(count, COUNTED), href, names[0], more=count > COUNTED)


def place_url(scope: Scope, url_name: str) -> str:
    """Return the page `url_name` of the scope's workspace or agency; its home where that does not
    exist.
    """
    kwargs = {"agency": scope.agency.slug}
    if scope.workspace is not None:
        kwargs["workspace"] = scope.workspace.slug
    try:
        return reverse(url_name, kwargs=kwargs)
    except NoReverseMatch:
        return scope.path


def here(rows: "QuerySet[Row]", scope: Scope) -> "QuerySet[Row]":
    """Return the rows that belong to the scope's workspace or agency."""
    rows = rows.filter(agency=scope.agency)
    return rows if scope.workspace is None else rows.filter(workspace=scope.workspace)
