"""What is posted in place of a passkey."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

RESPONSE = '{"clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA", "attestationObject": "AA"}'
NONSENSE = [
    "[" * 100_000,
    "9" * 5000,
    "{}",
    "null",
    '{"id": 1e999999}',
    '{"id": "AA", "rawId": "AA", "type": "public-key", "response": []}',
    f'{{"id": "AA", "rawId": "AA", "type": "public-key", "response": {RESPONSE}}}',
]


@pytest.mark.parametrize("credential", NONSENSE)
def test_nonsense_for_a_passkey_at_sign_in_leads_back_to_it(
    as_anonymous: Client, credential: str
) -> None:
    answer = as_anonymous.post("/accounts/2fa/webauthn/login/", {"credential": credential})
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("credential", NONSENSE)
def test_nonsense_for_a_new_passkey_is_said_on_its_page(as_owner: Client, credential: str) -> None:
    as_owner.get("/accounts/2fa/webauthn/add/")
    answer = as_owner.post("/accounts/2fa/webauthn/add/", {"credential": credential})
    assert answer.status_code == 200
    assert answer.context["form"].errors
