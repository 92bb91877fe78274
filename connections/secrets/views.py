"""Pages of the secret values of HTTP steps: add, replace, delete. None of them shows a value."""

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connections.models import Secret
from connections.secrets import values as secret_values
from taskjuice import outbound_http
from taskjuice.workspaces import gate
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import Agency


class ValueForm(forms.Form):
    value = forms.CharField(
        label="Value",
        min_length=secret_values.MIN_LENGTH,
        max_length=4_000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="A key or token as the other service gave it to you. It is encrypted, and never shown again.",
    )

    def clean_value(self) -> str:
        value: str = self.cleaned_data["value"]
        if not (value.isascii() and value.isprintable()):
            raise forms.ValidationError(
                "It holds characters that a header cannot carry. Was all of it copied?"
            )
        return value


class SecretForm(ValueForm):
    name = forms.RegexField(
        r"\A[A-Za-z_][A-Za-z0-9_]{0,59}\Z",
        label="Name",
        help_text="What steps call it, for example crm_token.",
        error_messages={
            "invalid": "A name is letters, digits and underscores, and does not begin with a digit."
        },
    )
    host = forms.CharField(
        label="Host",
        max_length=253,
        help_text="The only one it is sent to, for example api.example.com.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )
    field_order = ("name", "host", "value")

    def clean_host(self) -> str:
        """Return the host alone, also where a whole address was pasted."""
        typed: str = self.cleaned_data["host"].strip().lower()
        host = typed.partition("://")[2].partition("/")[0] if "://" in typed else typed.rstrip("/")
        try:
            return outbound_http.parse_target(f"https://{host}/").host
        except outbound_http.AddressRefused as error:
            raise forms.ValidationError(str(error)) from error


@require_safe
def secret_list(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.ADMIN)
    return _render_page(request, scope, SecretForm())


@require_POST
def secret_add(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.ADMIN)
    form = SecretForm(request.POST)
    if form.is_valid():
        try:
            added = secret_values.add_secret(
                agency=scope.agency, by=scope.user, **form.cleaned_data
            )
        except ValidationError as error:
            form.add_error("name", error)
        else:
            messages.success(
                request, f"{added.name} is kept. Headers of HTTP steps to {added.host} can name it."
            )
            return redirect("connections:secret-list", agency)
    return _render_page(request, scope, form)


@require_http_methods(["GET", "HEAD", "POST"])
def secret_replace(request: HttpRequest, agency: str, secret: int) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.ADMIN)
    found = _get_secret(scope.agency, secret)
    form = ValueForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        secret_values.replace_secret(secret=found, value=form.cleaned_data["value"], by=scope.user)
        messages.success(request, f"{found.name} is replaced. Steps use the new value from now on.")
        return redirect("connections:secret-list", agency)
    context = {"form": form, "secret": found}
    return render(
        request, "connections/secret_replace.html", context, status=422 if form.is_bound else 200
    )


@require_POST
def secret_delete(request: HttpRequest, agency: str, secret: int) -> HttpResponse:
    scope = gate.enter(request, agency, level=gate.ADMIN)
    found = _get_secret(scope.agency, secret)
    secret_values.delete_secret(secret=found, by=scope.user)
    messages.success(request, f"{found.name} is deleted. Steps that name it fail from now on.")
    return redirect("connections:secret-list", agency)


def _render_page(request: HttpRequest, scope: Scope, form: SecretForm) -> HttpResponse:
    context = {"form": form, "secrets": secret_values.list_secrets(scope.agency)}
    return render(
        request, "connections/secrets.html", context, status=422 if form.is_bound else 200
    )


def _get_secret(agency: Agency, pk: int) -> Secret:
    found = secret_values.list_secrets(agency).filter(pk=pk).first()
    if found is None:
        raise Http404("No such secret value here.")
    found.agency = agency
    return found
