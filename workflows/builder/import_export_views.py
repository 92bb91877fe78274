"""Pages that export and import workflows as files."""

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from taskjuice.workspaces import gate
from workflows.builder import queries as builder_queries
from workflows.builder.views import get_workflow, page_url
from workflows.definition import import_export
from workflows.definition.drafts import Draft
from workflows.engine import lifecycle


class ImportForm(forms.Form):
    """An uploaded workflow; `cleaned_data["file"]` is (name, draft)."""

    file = forms.FileField(
        label="File", help_text="A workflow that was exported from TaskJuice, a .json file."
    )

    def clean_file(self) -> tuple[str, Draft]:
        uploaded: UploadedFile[bytes] = self.cleaned_data["file"]
        try:
            return import_export.read_workflow(uploaded.read(import_export.LARGEST + 1))
        except import_export.NotReadable as error:
            raise forms.ValidationError(str(error)) from error


@require_safe
def workflow_export(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> HttpResponse:
    """Export the live version, or the draft where there is none."""
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    target = get_workflow(scope, workflow)
    draft = Draft.of(builder_queries.build_detail(scope, target).shown)
    response = HttpResponse(
        import_export.write_workflow(target.name, draft), content_type="application/json"
    )
    response["Content-Disposition"] = (
        f'attachment; filename="{import_export.file_name(target.name)}"'
    )
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def workflow_import(
    request: HttpRequest, agency: str, workspace: str | None = None
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    form = ImportForm()
    if request.method == "POST":
        form = ImportForm(request.POST, request.FILES)
        if form.is_valid():
            name, draft = form.cleaned_data["file"]
            workflow = lifecycle.create_workflow(
                agency=scope.agency,
                name=builder_queries.choose_free_name(scope.agency, name),
                draft=draft,
                by=scope.user,
            )
            messages.success(
                request, "Imported as a draft. Choose its organisations, then publish it."
            )
            return redirect(page_url(scope, "workflow-edit", workflow))
    context = {"form": form, "list": page_url(scope, "workflow-list"), "here": request.path}
    return render(request, "workflows/import.html", context, status=422 if form.is_bound else 200)
