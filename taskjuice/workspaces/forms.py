"""Forms about agencies, clients and people."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone

from taskjuice.workspaces import slugs
from taskjuice.workspaces.logos import Logo, encode
from taskjuice.workspaces.models import Agency, User, Workspace

NAME_LENGTH = 100
ZONES = sorted(
    zone
    for zone in available_timezones()
    if "/" in zone and not zone.startswith(("Etc/", "SystemV/"))
)


class NameField(forms.CharField):
    """A name on one line: outer and doubled blanks go, control characters are refused by
    CharField's own rules.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=NAME_LENGTH, **options)

    def to_python(self, value: Any) -> str:
        return " ".join(str(super().to_python(value) or "").split())


class SignupForm(forms.Form):
    """What sign-up asks beside e-mail and password (allauth's ACCOUNT_SIGNUP_FORM_CLASS)."""

    name = NameField(
        label="Your name", required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    time_zone = forms.CharField(
        required=False, max_length=64, widget=forms.HiddenInput(attrs={"data-time-zone": ""})
    )
    field_order = ("name", "email", "password1")

    def clean_time_zone(self) -> str:
        """The browser's word, not the person's: an unknown zone is simply UTC."""
        zone: str = self.cleaned_data["time_zone"]
        return zone if zone in available_timezones() else "UTC"

    def signup(self, request: object, user: User) -> None:
        user.name, user.timezone = self.cleaned_data["name"], self.cleaned_data["time_zone"]
        user.save(update_fields=["name", "timezone"])


class WelcomeForm(forms.Form):
    """The wizard: the agency and its first client."""

    agency_name = NameField(
        label="Your agency’s name",
        widget=forms.TextInput(attrs={"autocomplete": "organization", "autofocus": True}),
    )
    agency_slug = forms.CharField(
        label="Its address",
        required=False,
        max_length=slugs.LONGEST,
        widget=forms.TextInput(
            attrs={
                "data-slug-of": "id_agency_name",
                "autocapitalize": "none",
                "spellcheck": "false",
            }
        ),
    )
    client_name = NameField(
        label="Your first client",
        help_text="A business whose Xero organisation you work in. More can follow.",
    )

    def clean_agency_slug(self) -> str:
        slug: str = self.cleaned_data["agency_slug"].strip().lower() or slugs.slug_of(
            self.cleaned_data.get("agency_name", "")
        )
        if not slug:
            raise forms.ValidationError("Give an address of small letters and digits.")
        slugs.check_agency_slug(slug)
        return slug


class ClientForm(forms.Form):
    """A new client of an agency."""

    name = NameField(label="Client’s name", widget=forms.TextInput(attrs={"autofocus": True}))
    slug = forms.CharField(
        label="Address",
        required=False,
        max_length=slugs.LONGEST,
        widget=forms.TextInput(
            attrs={"data-slug-of": "id_name", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )

    def __init__(self, *args: Any, agency: Agency, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.agency = agency

    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"].strip().lower()
        if not slug:
            return slugs.free_workspace_slug(self.agency, self.cleaned_data.get("name", ""))
        slugs.check_workspace_slug(self.agency, slug)
        return slug


class NameForm(forms.Form):
    """A new name for an agency or a client."""

    name = NameField(label="Name")


class ZoneField(forms.ChoiceField):
    """A time zone out of the list; the `current` one is in it, whatever it is."""

    def __init__(self, *, current: str = "UTC", **options: Any) -> None:
        zones = sorted({"UTC", current, *ZONES})
        choices = [(zone, zone.replace("_", " ")) for zone in zones]
        super().__init__(label="Time zone", initial=current, choices=choices, **options)


class TimeZoneForm(forms.Form):
    """Where a client's days begin, unless its organisations say it."""

    def __init__(self, *args: Any, current: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["time_zone"] = ZoneField(
            current=current,
            help_text="Used where an organisation’s own time zone is not known; schedules, today and what is overdue "
            "go by the organisation’s. Taken from the first Xero organisation connected, unless you choose another.",
        )


class BrandingForm(forms.Form):
    """How an agency shows itself to its clients. `logo` is cleaned to what we encoded of it."""

    OURS = "#0f5570"

    colour = forms.RegexField(
        r"\A#[0-9a-fA-F]{6}\Z",
        required=False,
        label="Colour",
        help_text="Of the buttons and the line at the top.",
        error_messages={"invalid": f"Give the colour as {OURS}."},
        widget=forms.TextInput(attrs={"type": "color"}),
    )
    reply_to = forms.EmailField(
        required=False,
        label="Reply-to address",
        help_text="Where answers to e-mails of workflows and about connect links go. Left empty: to the owner, and "
        "to the colleague who sent a link.",
    )
    logo = forms.FileField(
        required=False,
        label="Logo",
        help_text="PNG, JPEG or WebP, up to 1 MB. Shown on white, at most 240 × 64.",
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
    )
    remove_logo = forms.BooleanField(required=False, label="Remove the logo")

    def clean_colour(self) -> str:
        colour: str = self.cleaned_data["colour"]
        return colour.lower()

    def clean_logo(self) -> Logo | None:
        upload = self.cleaned_data["logo"]
        return encode(upload) if upload else None

    def get_initial_for_field(self, field: forms.Field, field_name: str) -> Any:
        """A colour field of a browser has no "none": where nothing was chosen it shows ours."""
        return super().get_initial_for_field(field, field_name) or (
            self.OURS if field_name == "colour" else None
        )


class DeleteForm(forms.Form):
    """The client's name typed, so that nobody deletes one by a slip."""

    name = forms.CharField(
        label="Name of the client",
        max_length=NAME_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.workspace = workspace
        self.fields["name"].help_text = f"Type {workspace.name} to confirm."

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if " ".join(name.split()).casefold() != self.workspace.name.casefold():
            raise forms.ValidationError("This is not the client’s name.")
        return name


class ProfileForm(forms.Form):
    name = NameField(
        label="Name",
        required=False,
        help_text="As colleagues and the audit trail show it.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )

    def __init__(self, *args: Any, current: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"] = ZoneField(
            current=current,
            help_text="Times are shown in it. Dates of invoices and payments are never shifted.",
        )


class SearchForm(forms.Form):
    """What a list of clients is filtered by. Nonsense filters nothing."""

    q = forms.CharField(required=False, max_length=100)
    state = forms.CharField(required=False, max_length=20)


class DayField(forms.DateField):
    """A day of this century, as a date picker sends it."""

    def __init__(self, *, label: str) -> None:
        picker = forms.DateInput(attrs={"type": "date"})
        century = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2099, 12, 31))]
        super().__init__(label=label, required=False, widget=picker, validators=century)


class AuditFilterForm(forms.Form):
    """What the audit trail is filtered by. `bounds` and `cleaned_data` hold only what made sense."""

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Person or subject"}),
    )
    who = forms.ChoiceField(label="Who", required=False)
    verb = forms.ChoiceField(label="What", required=False)
    client = forms.ChoiceField(label="Client", required=False)
    since = DayField(label="From")
    until = DayField(label="To")

    def __init__(
        self,
        *args: Any,
        actors: list[str],
        verbs: list[str],
        clients: list[tuple[int, str]],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._offer("who", "Everybody", ((actor, actor) for actor in actors))
        self._offer("verb", "Everything", ((verb, verb.capitalize()) for verb in verbs))
        self._offer("client", "All clients", ((str(pk), name) for pk, name in clients))
        if not clients:  # inside one client there is nothing to choose
            del self.fields["client"]

    def _offer(self, name: str, nothing: str, choices: Iterable[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", nothing), *choices]

    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """First instant of the first day and first instant after the last, in the person's zone."""
        zone = timezone.get_current_timezone()
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        after = until + timedelta(days=1) if until else None
        return (
            datetime.combine(since, time.min, zone) if since else None,
            datetime.combine(after, time.min, zone) if after else None,
        )


def whole_ids(typed: Iterable[object]) -> list[int]:
    """Return those of the texts that can be a row's id; a longer run of digits is none (and int()
    may refuse it).
    """
    texts = [str(text) for text in typed]
    return [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 19]


def first_error(form: forms.Form) -> str:
    """Return the first of a form's errors, for a message about a form that is not shown again."""
    errors: Mapping[str, Any] = form.errors
    return next((str(error) for found in errors.values() for error in found), "")
