"""Pages of tasks: questions of activations to the agency's staff, and their decisions."""

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from taskjuice.return_address import read_return_address
from taskjuice.text_fields import LongTextField
from taskjuice.workspaces import gate
from taskjuice.workspaces.gate import Scope
from workflows.approvals import queries as approval_queries
from workflows.approvals import tasks as approval_tasks
from workflows.engine.lifecycle import NotAllowedNow
from workflows.models import Approval, ApprovalState

ON_A_PAGE = 50


class TaskFilter(forms.Form):
    """The list's filters, from its address; an invalid one counts as no filter."""

    state = forms.ChoiceField(choices=ApprovalState.choices, required=False)
    q = forms.CharField(max_length=100, required=False)
    page = forms.CharField(max_length=10, required=False)


class DecisionForm(forms.Form):
    comment = LongTextField(
        label="Comment", required=False, max_length=1000, widget=forms.Textarea(attrs={"rows": 2})
    )
    next = forms.CharField(required=False, max_length=500, widget=forms.HiddenInput)


@require_safe
def task_list(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    form = TaskFilter(request.GET)
    form.is_valid()
    state, search = form.cleaned_data.get("state", ""), form.cleaned_data.get("q", "")
    rows = approval_queries.list_tasks(scope, state=state, search=search)
    context = {
        "page": Paginator(rows, ON_A_PAGE).get_page(form.cleaned_data.get("page")),
        "counts": approval_queries.count_by_state(scope),
        "state": state,
        "q": search,
        "here": request.path,
    }
    return render(request, "workflows/tasks.html", context)


@require_safe
def task_detail(
    request: HttpRequest, agency: str, workspace: str | None = None, *, task: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    return _render_task(request, scope, _get_task(scope, task), DecisionForm())


@require_POST
def task_approve(
    request: HttpRequest, agency: str, workspace: str | None = None, *, task: int
) -> HttpResponse:
    return _decide(request, agency, workspace, task, approved=True)


@require_POST
def task_decline(
    request: HttpRequest, agency: str, workspace: str | None = None, *, task: int
) -> HttpResponse:
    return _decide(request, agency, workspace, task, approved=False)


def _decide(
    request: HttpRequest, agency: str, workspace: str | None, pk: int, *, approved: bool
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    approval = _get_task(scope, pk)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _render_task(request, scope, approval, form)
    try:
        approval_tasks.decide_task(
            approval=approval,
            approved=approved,
            comment=form.cleaned_data["comment"],
            by=scope.user,
        )
    except NotAllowedNow as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, "Approved: the activation goes on." if approved else "Declined.")
    return redirect(read_return_address(request) or _url(scope, "task-detail", approval))


def _render_task(
    request: HttpRequest, scope: Scope, task: Approval, form: DecisionForm
) -> HttpResponse:
    context = {
        "task": task,
        "form": form,
        "here": _url(scope, "task-detail", task),
        "list": _url(scope, "task-list"),
        "activations": _url(scope, "activation-list"),
    }
    return render(request, "workflows/task.html", context, status=422 if form.errors else 200)


def _get_task(scope: Scope, pk: int) -> Approval:
    approval = approval_queries.find_task(scope, pk)
    if approval is None:
        raise Http404("No such task here.")
    return approval


def _url(scope: Scope, name: str, task: Approval | None = None) -> str:
    kwargs: dict[str, str | int] = {"agency": scope.agency.slug}
    if scope.workspace is not None:
        kwargs["workspace"] = scope.workspace.slug
    if task is not None:
        kwargs["task"] = task.pk
    return reverse(f"workflows:{name}", kwargs=kwargs)
