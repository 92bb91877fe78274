"""Versions of a workflow: their list, the differences between two, and restoring one."""

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from taskjuice.workspaces import gate
from workflows.builder import queries as builder_queries
from workflows.builder.views import get_workflow, page_url, refuse_beyond
from workflows.definition import diffs
from workflows.definition.drafts import Draft
from workflows.engine import lifecycle
from workflows.engine.lifecycle import NotAllowedNow
from workflows.models import Version


class CompareForm(forms.Form):
    """Two numbers of versions, from the address; an invalid one counts as not chosen."""

    before = forms.IntegerField(min_value=1, required=False)
    after = forms.IntegerField(min_value=1, required=False)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        self.is_valid()

    def chosen(self, name: str, versions: dict[int, Version]) -> Version | None:
        return versions.get(self.cleaned_data.get(name) or 0)


@require_safe
def version_list(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> HttpResponse:
    """List all versions and compare two, by default the newest with the live or previous one."""
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    target = get_workflow(scope, workflow)
    detail = builder_queries.build_detail(scope, target)
    versions = {version.number: version for version in detail.versions}
    form = CompareForm(request.GET)
    after = form.chosen("after", versions) or detail.versions[0]
    before = form.chosen("before", versions) or _find_earlier(after, detail.versions)
    context = {
        "workflow": target,
        "detail": detail,
        "before": before,
        "after": after,
        "goes_beyond": builder_queries.goes_beyond(scope, target),
        "changes": diffs.list_changes(Draft.of(before), Draft.of(after)) if before != after else [],
        "here": page_url(scope, "workflow-detail", target),
        "list": page_url(scope, "workflow-list"),
    }
    return render(request, "workflows/versions.html", context)


def _find_earlier(after: Version, versions: list[Version]) -> Version:
    """Return the version that a draft would replace, or the one before a published version."""
    live = next(
        (version for version in versions if version.live and after.published_at is None), None
    )
    earlier = next((version for version in versions if version.number < after.number), after)
    return live or earlier


@require_POST
def version_restore(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int, number: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    target = get_workflow(scope, workflow)
    if beyond := refuse_beyond(request, scope, target):
        return beyond
    if not target.versions.filter(number=number).exists():
        raise Http404("No such version.")
    try:
        lifecycle.restore_version(workflow=target, number=number, by=scope.user)
    except NotAllowedNow as error:
        messages.warning(request, str(error))
        return redirect(page_url(scope, "workflow-detail", target))
    messages.success(
        request, f"This draft reads like version {number}. Publish it to make it live."
    )
    return redirect(page_url(scope, "workflow-edit", target))
