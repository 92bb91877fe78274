"""Secrets at rest: sealed to their owner, readable through a change of keys, refused when a key was
taken too early.
"""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db.models import F
from django.db.models.functions import Now

from connections.models import Grant
from connections.oauth import encryption, grants, key_rotation
from taskjuice.queue import heartbeat
from taskjuice.queue.models import Heartbeat
from tests.factories import make_grant

OLD, NEW = (
    "b2xkLWtleS1vbGQta2V5LW9sZC1rZXktb2xkLWtleS0=",
    "bmV3LWtleS1uZXcta2V5LW5ldy1rZXktbmV3LWtleS0=",
)


@pytest.fixture
def old_key(settings: Any) -> Any:
    settings.TOKEN_KEYS = [OLD]
    return settings


def sealed_grant(number: int = 0) -> Grant:
    user = f"user-{number}"
    owner = grants.build_owner_name("xero", "app", user)
    return make_grant(
        provider_user_id=user,
        tokens=encryption.seal(
            owner, {"access_token": f"a{number}", "refresh_token": f"r{number}"}
        ),
        key_id=encryption.get_current_key_id(),
    )


def test_unseal_returns_what_was_sealed(old_key: Any) -> None:
    assert encryption.unseal("grant:1", encryption.seal("grant:1", {"a": "b"})) == {"a": "b"}


def test_ciphertext_shows_nothing_and_differs_each_time(old_key: Any) -> None:
    one, two = (encryption.seal("grant:1", {"a": "canary"}) for _ in range(2))
    assert (one == two, "canary" in one) == (False, False)


def test_ciphertext_of_another_owner_does_not_open(old_key: Any) -> None:
    with pytest.raises(encryption.CannotOpen):
        encryption.unseal("grant:2", encryption.seal("grant:1", {"a": "b"}))


@pytest.mark.parametrize(
    "ciphertext",
    ["", "gAAAAA", "not base64 \x00", Fernet(NEW).encrypt(b"{}").decode()],
    ids=["empty", "cut", "nonsense", "of a key that is not ours"],
)
def test_damaged_or_foreign_ciphertext_does_not_open(old_key: Any, ciphertext: str) -> None:
    with pytest.raises(encryption.CannotOpen):
        encryption.unseal("grant:1", ciphertext)


def test_old_key_opens_behind_a_new_one(old_key: Any) -> None:
    ciphertext = encryption.seal("grant:1", {"a": "b"})
    old_key.TOKEN_KEYS = [NEW, OLD]
    assert encryption.unseal("grant:1", ciphertext) == {"a": "b"}
    assert Fernet(NEW).decrypt(encryption.reseal(ciphertext).encode()) == Fernet(OLD).decrypt(
        ciphertext.encode()
    )


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("rotate_token_keys", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_rotation_seals_everything_anew(old_key: Any) -> None:
    for number in range(5):
        sealed_grant(number)
    old_key.TOKEN_KEYS = [NEW, OLD]
    with pytest.raises(CommandError, match="5 secrets still need an older key"):
        run("--check")
    assert "5 secrets encrypted anew" in run("--batch", "2")
    heartbeat.record_heartbeat("node")
    old_key.TOKEN_KEYS = [NEW]
    Heartbeat.objects.create(
        node="other",
        keys={"TOKEN_KEYS": [encryption.derive_key_id(OLD), encryption.derive_key_id(NEW)]},
    )
    with pytest.raises(CommandError, match="Not first on every node yet: worker other"):
        run("--check")
    Heartbeat.objects.filter(node="other").delete()
    assert "Only the first key is needed" in run("--check")
    opened = [
        encryption.unseal(f"grant:xero:app:user-{n}", g.tokens)
        for n, g in enumerate(Grant.objects.order_by("pk"))
    ]
    assert opened == [{"access_token": f"a{n}", "refresh_token": f"r{n}"} for n in range(5)]


@pytest.mark.django_db(transaction=True)
def test_rotation_cut_short_goes_on(old_key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        sealed_grant(number)
    old_key.TOKEN_KEYS = [NEW, OLD]
    reseal = encryption.reseal
    calls: list[str] = []

    def dies_at_the_third(ciphertext: str) -> str:
        calls.append(ciphertext)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return reseal(ciphertext)

    monkeypatch.setattr(encryption, "reseal", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        key_rotation.rotate_keys(batch=2)
    assert Grant.objects.filter(key_id=encryption.derive_key_id(NEW)).count() == 2
    assert key_rotation.rotate_keys(batch=2) == 2


@pytest.mark.django_db
def test_rotation_leaves_a_grant_refreshed_meanwhile(
    old_key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = sealed_grant()
    fresh = encryption.seal(
        "grant:xero:app:user-0", {"access_token": "new", "refresh_token": "new"}
    )
    old_key.TOKEN_KEYS = [NEW, OLD]
    reseal = encryption.reseal

    def overtaken(ciphertext: str) -> str:
        Grant.objects.filter(version=1).update(tokens=fresh, version=F("version") + 1)
        return reseal(ciphertext)

    monkeypatch.setattr(encryption, "reseal", overtaken)
    key_rotation._round(10)
    grant.refresh_from_db()
    assert grant.tokens == fresh
    monkeypatch.setattr(encryption, "reseal", reseal)
    key_rotation.rotate_keys(batch=10)
    grant.refresh_from_db()
    assert encryption.unseal("grant:xero:app:user-0", grant.tokens)["access_token"] == "new"


@pytest.mark.django_db
def test_check_refuses_a_key_taken_away_too_early(old_key: Any) -> None:
    sealed_grant()
    call_command("check", "--database", "default")
    old_key.TOKEN_KEYS = [NEW]
    with pytest.raises(SystemCheckError, match=r"connections\.E001"):
        call_command("check", "--database", "default")


def has_keys(node: str, *keys: str, kind: str = "worker") -> None:
    """A living node that names these keys."""
    known = {"TOKEN_KEYS": [encryption.derive_key_id(key) for key in keys]}
    Heartbeat.objects.update_or_create(
        node=node, defaults={"kind": kind, "keys": known, "beat_at": Now()}
    )


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["web", "worker"])
def test_rotation_is_refused_while_a_living_node_does_not_know_the_key(
    old_key: Any, kind: str
) -> None:
    grant = sealed_grant()
    old_key.TOKEN_KEYS = [NEW, OLD]
    has_keys("first", NEW, OLD)
    has_keys("second", OLD, kind=kind)
    with pytest.raises(
        CommandError, match=rf"is not known to every node\. {kind} second: .*Nothing was changed"
    ):
        run()
    Heartbeat.objects.filter(node="second").update(keys=None)
    with pytest.raises(CommandError, match="does not say which keys it knows"):
        run()
    assert Grant.objects.get(pk=grant.pk).key_id == encryption.derive_key_id(OLD)
    Heartbeat.objects.filter(node="second").update(beat_at=Now() - timedelta(minutes=5))  # gone
    assert "1 secrets encrypted anew" in run()


@pytest.mark.django_db
def test_status_says_what_each_node_knows_and_what_comes_next(old_key: Any) -> None:
    old, new = encryption.derive_key_id(OLD), encryption.derive_key_id(NEW)
    sealed_grant()

    def status(one: list[str], two: list[str]) -> str:
        has_keys("one", *one)
        has_keys("two", *two, kind="web")
        return run("--status").partition("SECRET_KEY")[0]

    assert f"web two: {old}\n  worker one: {old}\n  stored secrets by key: {old} 1\n" in status(
        [OLD], [OLD]
    )
    assert f"next: {new} is known to 1 of 2. If it is new: put it at the end on web two." in status(
        [OLD, NEW], [OLD]
    )
    assert f"next: If {new} is new: put it in front" in status([OLD, NEW], [OLD, NEW])
    assert (
        f"next: Put the new key in front on the other nodes as well: {new} is first on worker one"
        in status([NEW, OLD], [OLD, NEW]).replace(f"{old} is first on web two; ", "")
    )
    assert f"If {new} is new: run `manage.py rotate_token_keys`" in status([NEW, OLD], [NEW, OLD])
    assert f"next: At once: put {new} at the end on web two" in status([NEW, OLD], [OLD])
    old_key.TOKEN_KEYS = [NEW, OLD]
    has_keys("two", NEW, OLD)
    key_rotation.rotate_keys(batch=10)
    assert "If it is the old one: take it out, an hour after" in status([NEW, OLD], [NEW, OLD])
    assert f"next: Nothing is under way: every node knows {new} alone." in status([NEW], [NEW])
