"""What a request may hold follows from what pages let one fill in; what is larger is answered with
words.
"""

from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings as django_settings
from django.test import Client

from connections.models import Connection
from taskjuice import form_sizes
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection
from workflows.models import Workflow
from xero.fields import TrackingField
from xero.line_forms import LineForm, LinesField

pytestmark = pytest.mark.django_db
NEW = "/northwind/workflows/new/"
FORM = "application/x-www-form-urlencoded"


def test_settings_take_what_the_largest_pages_post() -> None:
    fields = (
        len(LineForm.base_fields) - 1 + TrackingField.MOST
    )  # a select for each category, all of one name
    assert fields <= form_sizes.LINE_FIELDS
    assert LinesField.most == form_sizes.MOST_LINES
    longest = LineForm.base_fields["description"].widget.attrs["maxlength"]
    assert int(longest) * len(quote("😀")) <= form_sizes.LINE_BYTES
    assert django_settings.DATA_UPLOAD_MAX_NUMBER_FIELDS == form_sizes.MOST_FIELDS
    assert django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE == form_sizes.MOST_BYTES


def test_builder_takes_hundreds_of_lines_and_organisations(
    as_member: Client, workspace: Workspace
) -> None:
    connections: list[Connection] = [make_connection(workspace) for _ in range(3)]
    row = dict.fromkeys(LineForm.base_fields, "1") | {
        "description": "Größe",
        "tracking": "Region: North",
    }
    lines = {
        f"step-s1-lines-{n}-{name}": value
        for n in range(form_sizes.MOST_LINES)
        for name, value in row.items()
    }
    data = {
        "name": "Many", "do": "save", "trigger": "xero/invoice-event", "step": ["s1"], "called-s1": "bill",
        "step-s1-action": "xero/create-invoice", "step-s1-contact_name": "Kea",
        "connections": [one.pk for one in connections] * 400,
    }  # fmt: skip
    answer = as_member.post(NEW, data | lines)
    assert answer.status_code == 302
    (step,) = Workflow.objects.get().versions.get().steps
    assert len(step["input"]["lines"]) == form_sizes.MOST_LINES


@pytest.mark.parametrize(("limit", "value"), [("NUMBER_FIELDS", 20), ("MEMORY_SIZE", 200)])
@pytest.mark.parametrize("page", ["/northwind/harbour-cafe/invoices/new/", NEW, "/accounts/login/"])
def test_form_that_is_too_large_is_told_so(
    limit: str, value: int, page: str, as_member: Client, workspace: Workspace, settings: Any
) -> None:
    setattr(settings, f"DATA_UPLOAD_MAX_{limit}", value)
    data = {f"lines-{n}-description": "x" for n in range(30)}
    answer = as_member.post(page, data_of(data), content_type=FORM)
    assert answer.status_code == 413
    assert "what you typed is still there" in answer.content.decode()
    part = as_member.post(page, data_of(data), content_type=FORM, headers={"HX-Request": "true"})
    text = part.content.decode()
    assert (part.status_code, text.startswith('<div class="notice bad"'), "<html" in text) == (
        413,
        True,
        False,
    )


def data_of(fields: dict[str, str]) -> str:
    """As a browser encodes a form without files."""
    return "&".join(f"{quote(name)}={quote(value)}" for name, value in fields.items())
