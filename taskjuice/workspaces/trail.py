"""The audit trail as a person filters, reads and exports it."""

import json
from collections.abc import Iterator

from django.db.models import Q, QuerySet
from django.http import QueryDict

from taskjuice.workspaces import queries
from taskjuice.workspaces.forms import AuditFilterForm
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import AuditEntry


def filtered_trail(scope: Scope, query: QueryDict) -> "tuple[AuditFilterForm, QuerySet[AuditEntry]]":
    """The filter as typed and the entries it leaves. A filter that makes no sense is shown as such, not applied."""
    form = AuditFilterForm(query, verbs=queries.audit_verbs(scope.agency), label_suffix="")
    form.is_valid()
    chosen = form.cleaned_data
    rows = queries.audit_trail(scope.agency, scope.workspace)
    if text := chosen.get("q"):
        rows = rows.filter(Q(actor_name__icontains=text) | Q(subject__icontains=text))
    if verb := chosen.get("verb"):
        rows = rows.filter(verb=verb)
    since, before = form.bounds()
    if since:
        rows = rows.filter(at__gte=since)
    if before:
        rows = rows.filter(at__lt=before)
    return form, rows


def trail_rows(rows: "QuerySet[AuditEntry]") -> Iterator[list[object]]:
    """One list per entry, as the CSV file has it."""
    for entry in rows.iterator(chunk_size=2000):
        yield [
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            entry.actor_name,
            entry.verb,
            entry.subject,
            entry.workspace.name if entry.workspace else "",
            entry.address or "",
            json.dumps(entry.details, ensure_ascii=False) if entry.details else "",
        ]
