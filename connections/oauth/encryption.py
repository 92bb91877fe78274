"""Encryption of stored secrets: Fernet ciphertext that opens only for its owner.

Fernet has no associated data, so the owner is part of the plain text and is compared on opening:
ciphertext copied into another row does not open there. The first of TOKEN_KEYS encrypts, all of
them decrypt.
"""

import hashlib
import json
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

Secrets = dict[str, str]
SETTING = "TOKEN_KEYS"


class CannotOpen(Exception):
    """No key of TOKEN_KEYS opens this ciphertext, or it was sealed for another owner."""


def seal(owner: str, secrets: Secrets) -> str:
    """Return ciphertext that `unseal` opens for the same owner only."""
    content = json.dumps({"owner": owner, "secrets": secrets}, separators=(",", ":"))
    return _build_fernet(_read_keys()).encrypt(content.encode()).decode()


def unseal(owner: str, ciphertext: str) -> Secrets:
    """Return the secrets sealed for this owner. Raises CannotOpen."""
    try:
        content = json.loads(_build_fernet(_read_keys()).decrypt(ciphertext.encode()))
    except InvalidToken as error:
        raise CannotOpen(f"No key of TOKEN_KEYS opens the secrets of {owner}.") from error
    if content["owner"] != owner:
        raise CannotOpen(f"The secrets stored for {owner} belong to something else.")
    return {name: str(value) for name, value in content["secrets"].items()}


def reseal(ciphertext: str) -> str:
    """Return the same content encrypted with the first key. Raises CannotOpen."""
    try:
        return _build_fernet(_read_keys()).rotate(ciphertext.encode()).decode()
    except InvalidToken as error:
        raise CannotOpen("No key of TOKEN_KEYS opens this ciphertext.") from error


def find_opening_key(ciphertext: str) -> str:
    """Return the id of the key that opens the ciphertext; empty when none does."""
    for key in _read_keys():
        try:
            Fernet(key).decrypt(ciphertext.encode())
        except InvalidToken:
            continue
        return derive_key_id(key)
    return ""


def get_current_key_id() -> str:
    return derive_key_id(_read_keys()[0])


def list_key_ids() -> list[str]:
    return [derive_key_id(key) for key in _read_keys()]


def derive_key_id(key: str) -> str:
    """Return an id of a key that does not reveal it."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def _read_keys() -> tuple[str, ...]:
    return tuple(settings.TOKEN_KEYS)


@cache
def _build_fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
