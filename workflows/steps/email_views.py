"""The agency's daily limit of e-mails: its card on the settings page, and saving it."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from taskjuice.workspaces import branding, gate
from taskjuice.workspaces.forms import first_error
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.panels import Panel
from workflows.steps import email_limit
from workflows.steps.email_sender import get_reply_address


class EmailLimitForm(forms.Form):
    per_day = forms.IntegerField(
        label="E-mails a day",
        min_value=0,
        max_value=email_limit.MOST_PER_DAY,
        help_text="All workflows together, each address counted. A step beyond it waits until the next day (UTC).",
    )


@require_POST
def email_limit_save(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.ADMIN)
    form = EmailLimitForm(request.POST)
    if form.is_valid():
        limit = form.cleaned_data["per_day"]
        email_limit.set_limit(agency=scope.agency, limit=limit, by=scope.user)
        messages.success(request, f"Saved. Workflows send at most {limit:,} e-mails a day.")
    else:
        messages.error(request, first_error(form))
    return redirect("workspaces:agency-settings", agency)


def build_panel(scope: Scope) -> Panel:
    usage = email_limit.read_usage(scope.agency.pk)
    context = {
        "form": EmailLimitForm(initial={"per_day": usage.per_day}),
        "today": usage,
        "reply_to": get_reply_address(scope.agency),
        "is_set": bool(branding.of(scope.agency).reply_to),
    }
    return Panel("workflows/_emails_card.html", context)
