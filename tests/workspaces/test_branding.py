"""An agency's colour and logo: what is taken, what is made of it, how it is served."""

from io import BytesIO

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image, PngImagePlugin

from taskjuice.workspaces import branding
from taskjuice.workspaces.logos import encode
from taskjuice.workspaces.models import Agency, AuditEntry, Branding, User

pytestmark = pytest.mark.django_db
SETTINGS = "/northwind/settings/"


def picture(size: tuple[int, int] = (300, 100), kind: str = "PNG", **options: object) -> bytes:
    written = BytesIO()
    Image.new("RGB", size, "#0f5570").save(written, kind, **options)
    return written.getvalue()


def upload(content: bytes, name: str = "logo.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_logo_is_encoded_anew_as_a_small_png(kind: str) -> None:
    logo = encode(upload(picture((1200, 400), kind)))
    with Image.open(BytesIO(logo.png)) as found:
        assert (found.format, found.size, logo.width, logo.height) == ("PNG", (384, 128), 192, 64)


def test_logo_keeps_nothing_but_the_pixels() -> None:
    hidden = PngImagePlugin.PngInfo()
    hidden.add_text("Comment", "<script>alert(1)</script>")
    content = picture(pnginfo=hidden) + b"<?php evil(); ?>"
    logo = encode(upload(content))
    assert (b"script" in logo.png, b"php" in logo.png) == (False, False)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a picture"),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            "not a picture",
        ),
        (b"GIF89a" + b"\x00" * 100, "not a picture"),
        (picture()[:60], "not a picture"),
        (picture()[:-40], "not a picture"),
        (picture((4001, 1)), "larger than 4000 pixels"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 1_000_000, "larger than 1 MB"),
    ],
    ids=["empty", "svg", "gif", "half a head", "half a body", "too wide", "too large"],
)
def test_what_is_no_logo_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        encode(upload(content))


def test_small_file_that_unpacks_to_a_huge_picture_is_refused_unread() -> None:
    written = BytesIO()
    Image.new("1", (9000, 9000)).save(written, "PNG")
    assert written.tell() < 100_000
    with pytest.raises(ValidationError, match="larger than 4000 pixels"):
        encode(upload(written.getvalue()))


def test_branding_is_saved_shown_and_on_record(as_admin: Client, agency: Agency) -> None:
    chosen = {"colour": "#AA3300", "reply_to": "hello@northwind.example", "logo": upload(picture())}
    answer = as_admin.post(f"{SETTINGS}branding/", chosen)
    found = branding.of(agency)
    assert (answer["Location"], found.colour, found.reply_to) == (
        SETTINGS,
        "#aa3300",
        "hello@northwind.example",
    )
    page = as_admin.get(SETTINGS).content.decode()
    assert f"/branding/logos/{found.logo_digest}/" in page
    assert AuditEntry.objects.latest("id").verb == "branding changed"


def test_logo_stays_until_it_is_replaced_or_removed(as_admin: Client, agency: Agency) -> None:
    as_admin.post(f"{SETTINGS}branding/", {"logo": upload(picture())})
    before = branding.of(agency).logo_digest
    as_admin.post(f"{SETTINGS}branding/", {"colour": "#aa3300"})
    kept = branding.of(agency).logo_digest
    as_admin.post(f"{SETTINGS}branding/", {"colour": "#aa3300", "remove_logo": "on"})
    assert (kept, branding.of(agency).logo_digest, Branding.objects.get().logo) == (
        before,
        "",
        None,
    )


@pytest.mark.parametrize(
    "wrong",
    [{"colour": "red; }"}, {"colour": "#12345"}, {"reply_to": "nobody"}, {"logo": upload(b"x")}],
)
def test_wrong_branding_is_refused_and_changes_nothing(
    as_admin: Client, agency: Agency, wrong: dict[str, object]
) -> None:
    answer = as_admin.post(f"{SETTINGS}branding/", wrong)
    assert (answer.status_code, Branding.objects.count()) == (422, 0)


def test_upload_beyond_all_measure_is_refused_before_it_is_read(
    as_admin: Client, agency: Agency
) -> None:
    answer = as_admin.post(f"{SETTINGS}branding/", {"logo": upload(b"x" * 2_700_000)})
    assert (answer.status_code, Branding.objects.count()) == (400, 0)


def test_logo_is_served_as_a_picture_to_whoever_knows_its_address(
    as_anonymous: Client, agency: Agency, owner: User
) -> None:
    branding.save(agency=agency, colour="", reply_to="", logo=encode(upload(picture())), by=owner)
    answer = as_anonymous.get(f"/branding/logos/{branding.of(agency).logo_digest}/")
    assert (answer.status_code, answer["Content-Type"], answer["X-Content-Type-Options"]) == (
        200,
        "image/png",
        "nosniff",
    )
    assert answer.content.startswith(b"\x89PNG")
    assert as_anonymous.get(f"/branding/logos/{'0' * 32}/").status_code == 404


def test_colour_is_a_style_sheet_with_readable_text_on_it(as_anonymous: Client, db: None) -> None:
    dark = as_anonymous.get("/branding/colours/0f5570/")
    light = as_anonymous.get("/branding/colours/ffee88/")
    assert dark["Content-Type"] == "text/css; charset=utf-8"
    assert dark.content.decode() == ":root { --brand: #0f5570; --on-brand: #ffffff; }\n"
    assert light.content.decode() == ":root { --brand: #ffee88; --on-brand: #17232a; }\n"
    for wrong in ("0f557", "0F5570", "0f5570a", "red"):
        assert as_anonymous.get(f"/branding/colours/{wrong}/").status_code == 404


def test_settings_show_the_xero_app_with_its_id_masked(as_admin: Client, agency: Agency) -> None:
    page = as_admin.get(SETTINGS).content.decode()
    assert ("F00D…F00D" in page, "F00DF00DF00D" in page, "a-client-secret-for-tests" in page) == (
        True,
        False,
        False,
    )
    assert "Core" in page
