"""Text that strangers, clients and colleagues chose is text on every page, whatever it says."""

import ast
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from uuid import UUID, uuid4

import pytest
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import DatabaseError, models, transaction
from django.test import Client
from django.utils import timezone

from connections.models import Call, Connection, Delivery, StrayEvent
from taskjuice.notifications.models import Incident, Kind
from taskjuice.workspaces import audit
from taskjuice.workspaces.models import Agency, Deletion, User, Workspace
from tests import test_urls
from tests.environment import ROOT
from tests.personas import PERSONAS, address, not_offered
from tests.test_urls import TABLE
from workflows.models import Activation, OrganisationPause, StepRun, Workflow
from xero.models import Invoice, TrackingCategory

cast, values = (
    test_urls.cast,
    test_urls.values,
)  # the fixtures: people, and what the routes' parameters stand for
PACKAGES = ("taskjuice", "connections", "xero", "workflows")
LONG, SHORT = "\"'><x-a hx-get=/ onclick=a>", "\"'><x-a>"
# Columns that hold a name of the code or of a service, a hash, an address: nobody's words. With a
# value that the code does not know, a page would show something else.
CODE = set(
    "provider trigger action category type kind state status role problem outcome verdict cadence timezone due_zone"
    " colour slug path method key step lease_holder token_hash state_hash session_hash nonce code_verifier password"
    " tokens key_id app_id idempotency_key likeness logo_digest table after error_code parked_why parked_reason"
    " class_name provider_user_id node trigger_settings steps params tax_type session_key uid data ip".split()
)
APPS = (
    "workspaces notices connections xero workflows queue account socialaccount usersessions".split()
)
WITHOUT_A_ROW = set(
    "Wake Heartbeat DataExportPart TokenRefresh Refusal Budget Reconciliation Tally Part Stale SequenceGap"
    " SequenceWatch Change Lane Permit SentRequest Told Wish Reader EmailConfirmation SocialApp SocialToken".split()
)


class Live(HTMLParser):
    """Finds what was planted where it has become an element, or an attribute of one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag.startswith("x-a") or any("x-a" in name or name == "onclick" for name, _ in attrs):
            self.found.append(str(self.get_starttag_text()))


def is_told(text: str) -> bool:
    """Whether it is somebody's words: no id, date or code that is read by its value."""
    try:
        UUID(text)
    except ValueError:
        return not re.fullmatch(r"[A-Z_]*|[\d:TZ.+-]*|/Date.*", text)
    return False


def planted_in(value: Any) -> Any:
    """The same JSON with every word of it replaced, and one name more in every object."""
    if isinstance(value, dict):
        return {name: planted_in(item) for name, item in value.items()} | {LONG: LONG}
    if isinstance(value, list):
        return [planted_in(item) for item in value]
    return LONG if isinstance(value, str) and is_told(value) else value


def columns(model: type[models.Model]) -> "Iterator[models.Field[Any, Any]]":
    """Those of a model that hold words."""
    for field in model._meta.concrete_fields:
        of_list = isinstance(field, ArrayField) and isinstance(field.base_field, models.CharField)
        has_words = (
            isinstance(field, models.CharField | models.TextField | models.JSONField) or of_list
        )
        if has_words and not field.choices and not field.primary_key and field.name not in CODE:
            yield field


def word_for(field: "models.Field[Any, Any]", row: models.Model, number: int) -> Any:
    if isinstance(field, models.JSONField):
        return planted_in(getattr(row, field.attname))
    if isinstance(field, ArrayField):
        return [LONG]
    most = field.max_length or len(LONG)
    word = LONG if most >= len(LONG) + 3 else SHORT[:most]
    return f"{number}{word}" if most > len(word) + 3 else word


def plant(model: type[models.Model]) -> list[str]:
    """Put markup into every word of every row. Returns what the database keeps out."""
    kept_out = []
    for number, row in enumerate(model._default_manager.order_by("pk")):
        for field in columns(model):
            try:
                with transaction.atomic():
                    rows = model._default_manager.filter(pk=row.pk)
                    rows.update(**{field.attname: word_for(field, row, number)})
            except DatabaseError as error:
                kept_out.append(f"{model.__name__}.{field.name}: {error}")
    return kept_out


def furnish(agency: Agency, workspace: Workspace, owner: User) -> None:
    """Rows of what the persona table needs none of, and bodies as rich as Xero's."""
    link, call = Connection.objects.get(), Call.objects.get()
    activation = Activation.objects.get()
    now = timezone.now()
    words = {"a": "b", "list": [{"name": "c"}]}
    StepRun.objects.create(activation=activation, position=0, name="s", action="core/set-values", attempt=1,
                           outcome="failed", input=words, output=words, error="e", started_at=now)  # fmt: skip
    OrganisationPause.objects.create(
        agency=agency,
        workflow=Workflow.objects.get(),
        connection=link,
        why="w",
        by=owner,
        by_name="n",
    )
    activation.outputs, activation.trigger_data = {"s": words}, words
    activation.save()
    StrayEvent.objects.create(delivery=Delivery.objects.get(), reason="r", content="{}")
    Incident.objects.create(
        agency=agency, workspace=workspace, kind=Kind.values[0], key="k", name="n", path="/"
    )
    Deletion.objects.create(
        agency=agency, workspace_id=0, name="gone", finished_at=now, warning="w"
    )
    SocialAccount.objects.create(
        user=owner, provider="xero", uid="1", extra_data={"name": "n", "email": "e@x.nz"}
    )
    TrackingCategory.objects.create(
        connection=link,
        workspace=workspace,
        xero_id=uuid4(),
        name="Region",
        status="ACTIVE",
        options=[{"name": "North", "status": "ACTIVE"}],
        body={},
        updated_utc=now,
        first_updated_utc=now,
    )
    Call.objects.filter(pk=call.pk).update(
        messages=["words of Xero"], body=words, answer=words, noted=words
    )
    line = {
        "Description": "d",
        "ItemCode": "i",
        "AccountCode": "a",
        "Tracking": [{"Name": "n", "Option": "o"}],
    }
    for invoice in Invoice.objects.all():
        invoice.body |= {"LineItems": [line], "Reference": "r", "Url": "u", "BrandingThemeID": "b"}
        invoice.save()
    for name in ("client renamed", "role changed"):
        audit.record(
            name,
            by=LONG,
            agency=agency,
            workspace=workspace,
            subject=LONG,
            before=LONG,
            after=[LONG],
        )


@pytest.fixture
def hostile(
    cast: dict[str, Client],
    values: dict[str, object],
    agency: Agency,
    workspace: Workspace,
    owner: User,
) -> None:
    cast["owner"].get("/me/", headers={"User-Agent": LONG})  # its session is listed
    furnish(agency, workspace, owner)
    found = [
        model
        for name in APPS
        for model in apps.get_app_config(name).get_models()
        if model._meta.managed
    ]
    empty = {
        model.__name__
        for model in found
        if any(columns(model)) and not model._default_manager.exists()
    }
    assert empty <= WITHOUT_A_ROW, "make a row of each in furnish()"
    kept_out = [line for model in found for line in plant(model)]
    assert [
        line for line in kept_out if not line.startswith(("Audit", "Tally."))
    ] == []  # the database writes both


@pytest.mark.parametrize("who", PERSONAS)
def test_stored_markup_is_text_on_every_page(
    who: str, cast: dict[str, Client], values: dict[str, object], hostile: None
) -> None:
    live, seen = [], 0
    for route, row in TABLE.items():
        path = address(route, row, values)
        for method in ("get", "post"):
            is_offered = (row.get if method == "get" else row.post) is not not_offered
            # What a page answers to a wrong form differs by what one may do, not by who one is.
            if (
                not is_offered
                or "logout" in route
                or (method == "post" and who not in ("owner", "anonymous"))
            ):
                continue
            with transaction.atomic():
                answer = getattr(cast[who], method)(path)
                text = b"".join(answer.streaming_content) if answer.streaming else answer.content
                transaction.set_rollback(True)
            if "html" in answer.get("Content-Type", ""):
                live += [(method, route, tag) for tag in Live(text.decode()).found]
                seen += "x-a" in text.decode()
    assert live == []
    assert seen > {"anonymous": 2, "stranger": 3, "client_user": 10}.get(who, 60)


def call_name(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def test_no_template_takes_text_for_markup() -> None:
    """Mails are plain text, where nothing is escaped; pages escape everything."""
    templates = [path for path in (ROOT / "templates").rglob("*") if path.is_file()]
    templates += (ROOT / "xero" / "sandbox" / "templates").rglob("*.html")
    switched_off = re.compile(r"\|\s*safe(seq)?\b|autoescape\s+(off|false)")
    assert [
        str(path)
        for path in templates
        if path.suffix != ".txt" and switched_off.search(path.read_text())
    ] == []
    assert len(templates) > 200
    assert [
        str(path) for path in templates if "/email/" in str(path) and path.suffix != ".txt"
    ] == []


def test_no_code_takes_text_for_markup() -> None:
    """What makes markup in code starts from a constant of the code, and mails have no part in HTML."""
    wrong = []
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for call in (
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ):
            name = call_name(call)
            of_text = name in ("mark_safe", "SafeString", "SafeText", "format_html", "Markup")
            is_wrong = of_text and not (call.args and isinstance(call.args[0], ast.Constant))
            if (
                is_wrong
                or name == "attach_alternative"
                or any(word.arg == "html_message" for word in call.keywords)
            ):
                wrong.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    assert wrong == []


def test_htmx_acts_on_nothing_that_was_stored(client: Client, db: None) -> None:
    page = client.get("/accounts/login/").content.decode()
    found = re.search(r"name=\"htmx-config\" content='([^']+)'", page)
    assert found is not None
    config = json.loads(found[1])
    assert (config["allowEval"], config["allowScriptTags"], config["selfRequestsOnly"]) == (
        False,
        False,
        True,
    )
    assert {".help", ".notice", ".errorlist", "pre", "[hx-disable]"} <= set(
        config["disableSelector"].split(", ")
    )


def test_no_page_hands_its_token_to_whatever_stands_in_it(
    as_owner: Client, workspace: Workspace
) -> None:
    """A form of ours carries its own; an element that somebody planted would have none."""
    for path in ("/northwind/", "/northwind/harbour-cafe/connections/", "/northwind/settings/"):
        assert "X-CSRFToken" not in as_owner.get(path).content.decode()
