"""Secrets at rest: Fernet ciphertext that opens only for what it was sealed for.

Fernet has no associated data, so what a ciphertext belongs to stands inside it and is compared on
opening: one copied into another row does not open there. The first of TOKEN_KEYS encrypts, all of
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
    """No key of TOKEN_KEYS opens this ciphertext, or it was sealed for something else."""


def seal(owner: str, secrets: Secrets) -> str:
    """Ciphertext that `unseal` opens for the same owner only."""
    content = json.dumps({"owner": owner, "secrets": secrets}, separators=(",", ":"))
    return _fernet(_keys()).encrypt(content.encode()).decode()


def unseal(owner: str, ciphertext: str) -> Secrets:
    try:
        content = json.loads(_fernet(_keys()).decrypt(ciphertext.encode()))
    except InvalidToken as error:
        raise CannotOpen(f"No key of TOKEN_KEYS opens the secrets of {owner}.") from error
    if content["owner"] != owner:
        raise CannotOpen(f"The secrets stored for {owner} belong to something else.")
    return {name: str(value) for name, value in content["secrets"].items()}


def reseal(ciphertext: str) -> str:
    """The same content under the first key."""
    try:
        return _fernet(_keys()).rotate(ciphertext.encode()).decode()
    except InvalidToken as error:
        raise CannotOpen("No key of TOKEN_KEYS opens this ciphertext.") from error


def opening_key(ciphertext: str) -> str:
    """The id of the key that opens it; empty when none does."""
    for key in _keys():
        try:
            Fernet(key).decrypt(ciphertext.encode())
        except InvalidToken:
            continue
        return key_id(key)
    return ""


def current_key_id() -> str:
    return key_id(_keys()[0])


def key_ids() -> list[str]:
    return [key_id(key) for key in _keys()]


def key_id(key: str) -> str:
    """A name for a key that does not reveal it."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def _keys() -> tuple[str, ...]:
    return tuple(settings.TOKEN_KEYS)


@cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
