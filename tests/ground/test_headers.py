"""Security headers on every kind of answer, and answers that nobody keeps."""

from collections.abc import Iterator

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from taskjuice.urls import urlpatterns as product

POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self' http://127.0.0.1:9; frame-ancestors 'none'; "
    "img-src 'self' data:; object-src 'none'"
)


def boom(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("boom")


urlpatterns = [path("boom/", boom), *product]


@pytest.fixture
def visitor(db: None) -> Iterator[Client]:
    with override_settings(ROOT_URLCONF=__name__):
        yield Client(raise_request_exception=False)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/accounts/login/", 200),
        ("/nowhere/at/all/", 404),
        ("/boom/", 500),
        ("/healthz", 200),
        ("/readyz", 503),
    ],
)
def test_every_answer_carries_the_security_headers(
    visitor: Client, address: str, status: int
) -> None:
    response = visitor.get(address)

    assert response.status_code == status
    assert sorted(response["Content-Security-Policy"].split("; ")) == sorted(POLICY.split("; "))
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"


def test_https_answers_ask_for_https_from_now_on(visitor: Client) -> None:
    with override_settings(SECURE_HSTS_SECONDS=31_536_000, SECURE_HSTS_INCLUDE_SUBDOMAINS=True):
        response = Client().get("/healthz", secure=True)
    assert response["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def test_pages_of_a_signed_in_person_are_not_kept(as_owner: Client) -> None:
    assert as_owner.get("/accounts/email/")["Cache-Control"] == "private, no-store"


def test_unknown_host_is_refused(db: None) -> None:
    assert Client().get("/accounts/login/", headers={"host": "evil.example"}).status_code == 400
