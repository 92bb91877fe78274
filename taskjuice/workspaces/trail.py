"""The audit trail as people filter, read and export it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.http import QueryDict

from taskjuice.workspaces import queries
from taskjuice.workspaces.forms import AuditFilterForm
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import AuditEntry, AuditLink, Workspace


def filtered_trail(
    scope: Scope, query: QueryDict
) -> "tuple[AuditFilterForm, QuerySet[AuditEntry]]":
    """Return the filter as typed and the entries it leaves.

    Invalid fields of the filter are shown as such and not applied.
    """
    form = AuditFilterForm(
        query,
        actors=queries.audit_actors(scope.agency),
        verbs=queries.audit_verbs(scope.agency),
        clients=[] if scope.workspace else queries.client_names(scope.agency),
        label_suffix="",
    )
    form.is_valid()
    chosen = form.cleaned_data
    rows = queries.audit_trail(scope.agency, scope.workspace)
    if text := chosen.get("q"):
        rows = rows.filter(Q(actor_name__icontains=text) | Q(subject__icontains=text))
    filters = {
        "actor_name": chosen.get("who"),
        "verb": chosen.get("verb"),
        "workspace": chosen.get("client"),
    }
    rows = rows.filter(**{column: value for column, value in filters.items() if value})
    since, before = form.bounds()
    if since:
        rows = rows.filter(at__gte=since)
    if before:
        rows = rows.filter(at__lt=before)
    return form, rows


@dataclass(frozen=True, slots=True)
class EntryPage:
    """An entry with its details. `before`, `after`: what changed; `number`: None until it is
    linked.
    """

    entry: AuditEntry
    place: Workspace | None  # where it was done, unless that is deleted
    before: object
    after: object
    facts: dict[str, object]
    number: int | None
    hash: str


def one_entry(scope: Scope, pk: int) -> EntryPage | None:
    entry = queries.audit_trail(scope.agency, scope.workspace).filter(pk=pk).first()
    if entry is None:
        return None
    link = AuditLink.objects.filter(pk=pk).first()
    facts = dict(entry.details)
    return EntryPage(
        entry=entry,
        place=scope.agency.workspaces.filter(pk=entry.workspace_id or 0, deleting_at=None).first(),
        before=facts.pop("before", None),
        after=facts.pop("after", None),
        facts=facts,
        number=link.number if link else None,
        hash=bytes(link.hash).hex() if link else "",
    )


def trail_rows(rows: "QuerySet[AuditEntry]") -> Iterator[list[object]]:
    """Yield one list per entry, for the CSV file."""
    for entry in rows.iterator(chunk_size=2000):
        yield [
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            entry.actor_name,
            entry.verb,
            entry.subject,
            entry.workspace_name,
            entry.address or "",
            json.dumps(entry.details, ensure_ascii=False) if entry.details else "",
        ]
