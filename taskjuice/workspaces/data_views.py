"""The pages about a client's data: exports, deletions, and the deletion of a client."""

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from taskjuice.workspaces import data_exports, deletions, gate
from taskjuice.workspaces.forms import DeleteForm
from taskjuice.workspaces.models import DataExport, Workspace


@require_safe
def agency_data(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.ADMIN)
    context = {
        "deletions": deletions.of_agency(scope.agency),
        "history_days": settings.HISTORY_DAYS,
    }
    return render(request, "workspaces/agency_data.html", context)


@require_safe
def workspace_data(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    place = _enter(request, agency, workspace)
    exports = data_exports.of_workspace(place)
    under_way = any(export.is_under_way for export in exports)
    template = "_exports" if "HX-Request" in request.headers else "workspace_data"
    context = {"exports": exports, "under_way": under_way, "kept": data_exports.KEPT.days}
    return render(request, f"workspaces/{template}.html", context)


@require_POST
def export_request(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    place = _enter(request, agency, workspace)
    data_exports.request(workspace=place, by=gate.person(request))
    messages.success(request, "The export is being made. It appears below when it is ready.")
    return redirect("workspaces:workspace-data", agency, workspace)


@require_POST
def export_download(
    request: HttpRequest, agency: str, workspace: str, export: int
) -> HttpResponseBase:
    place = _enter(request, agency, workspace)
    data_export = _export(place, export)
    if not data_export.is_ready:
        raise Http404("This export is not there any more.")
    data_exports.note_download(data_export, by=gate.person(request))
    response = StreamingHttpResponse(
        data_exports.stream(data_export), content_type="application/zip"
    )
    name = f"{place.slug}-{data_export.requested_at:%Y-%m-%d}.zip"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_POST
def export_remove(request: HttpRequest, agency: str, workspace: str, export: int) -> HttpResponse:
    place = _enter(request, agency, workspace)
    data_exports.remove(export=_export(place, export), by=gate.person(request))
    messages.success(request, "The export is removed.")
    return redirect("workspaces:workspace-data", agency, workspace)


@require_http_methods(["GET", "POST"])
def workspace_delete(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    place = _enter(request, agency, workspace)
    form = DeleteForm(request.POST if request.method == "POST" else None, workspace=place)
    if form.is_valid():
        deletions.request(workspace=place, by=gate.person(request))
        messages.success(request, f"{place.name} is being deleted.")
        return redirect("workspaces:agency-data", agency)
    return render(
        request,
        "workspaces/workspace_delete.html",
        {"form": form},
        status=422 if form.errors else 200,
    )


def _enter(request: HttpRequest, agency: str, workspace: str) -> Workspace:
    return gate.enter_workspace(request, agency, workspace, level=gate.ADMIN, archived_too=True)


def _export(place: Workspace, pk: int) -> DataExport:
    return get_object_or_404(place.data_exports.select_related("workspace__agency"), pk=pk)
