"""The page of an agency's settings, and the public logo and colour of its branding."""

import re

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from taskjuice.workspaces import branding, forms, gate, lifecycle, panels

cache_for_ever = cache_control(public=True, max_age=365 * 24 * 3600, immutable=True)


@require_http_methods(["GET", "POST"])
def agency_settings(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.ADMIN)
    form = forms.NameForm(request.POST or None, initial={"name": scope.agency.name})
    if request.method == "POST" and form.is_valid():
        lifecycle.rename_agency(agency=scope.agency, name=form.cleaned_data["name"], by=scope.user)
        messages.success(request, f"Renamed to {form.cleaned_data['name']}.")
        return redirect("workspaces:agency-settings", agency)
    return _render_settings(request, scope, form=form)


@require_POST
def agency_branding(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.ADMIN)
    form = forms.BrandingForm(request.POST, request.FILES)
    if not form.is_valid():
        return _render_settings(request, scope, branding_form=form)
    branding.save(agency=scope.agency, by=scope.user, **form.cleaned_data)
    messages.success(
        request, "Your branding is saved. Your clients see it on connect links from now on."
    )
    return redirect("workspaces:agency-settings", agency)


@require_safe
@cache_for_ever
def brand_logo(request: HttpRequest, digest: str) -> HttpResponse:
    """Serve a logo to anyone who knows its address: connect links show it without an account."""
    png = branding.logo_at(digest)
    if png is None:
        raise Http404("No such logo.")
    return HttpResponse(png, content_type="image/png")


@require_safe
@cache_for_ever
def brand_colour(request: HttpRequest, colour: str) -> HttpResponse:
    """Serve a style sheet of one colour: the Content-Security-Policy refuses inline styles."""
    if not re.fullmatch(r"[0-9a-f]{6}", colour):
        raise Http404("No such colour.")
    css = f":root {{ --brand: #{colour}; --on-brand: {branding.on(f'#{colour}')}; }}\n"
    return HttpResponse(css, content_type="text/css; charset=utf-8")


def _render_settings(
    request: HttpRequest,
    scope: gate.Scope,
    *,
    form: forms.NameForm | None = None,
    branding_form: forms.BrandingForm | None = None,
) -> HttpResponse:
    """Render the page, with the form that was just filled in."""
    saved = branding.of(scope.agency)
    shown = {"colour": saved.colour, "reply_to": saved.reply_to}
    context = {
        "form": form or forms.NameForm(initial={"name": scope.agency.name}),
        "branding": saved,
        "branding_form": branding_form or forms.BrandingForm(initial=shown),
        "people": scope.agency.memberships.count(),
        "panels": panels.of_agency_settings.of(scope),
    }
    wrong = any(filled and filled.errors for filled in (form, branding_form))
    return render(request, "workspaces/agency_settings.html", context, status=422 if wrong else 200)
