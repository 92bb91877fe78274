"""Passkeys as browsers send them to allauth's forms: untrusted JSON in a hidden field."""

import json
import struct
from typing import Any

from allauth.mfa.webauthn.forms import AddWebAuthnForm, AuthenticateWebAuthnForm
from fido2.webauthn import AuthenticationResponse, RegistrationResponse

# What Python's reader and fido2's raise for too long numbers, too deep nesting, absent or odd
# fields.
UNREADABLE = (
    ValueError,
    RecursionError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    struct.error,
)


class AuthenticationDecoder(json.JSONDecoder):
    """A decoder that raises a JSON error for anything but a passkey: Django's field turns only that
    into a form error.
    """

    response: Any = AuthenticationResponse

    def decode(self, s: str, *arguments: Any) -> Any:
        try:
            credential = super().decode(s, *arguments)
            self.response.from_dict(credential)
        except UNREADABLE as error:
            raise json.JSONDecodeError("not a passkey", "", 0) from error
        return credential


class RegistrationDecoder(AuthenticationDecoder):
    response = RegistrationResponse


def refuse_unreadable_passkeys() -> None:
    """Give allauth's forms the decoders above; forms derived from these two share their field."""
    AuthenticateWebAuthnForm.base_fields["credential"].decoder = AuthenticationDecoder
    AddWebAuthnForm.base_fields["credential"].decoder = RegistrationDecoder
