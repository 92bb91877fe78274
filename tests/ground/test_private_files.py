"""What only the operator may read is made so from the beginning, whatever the umask."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.mail import get_connection

from taskjuice import environment
from taskjuice.private_files import open_to_append
from taskjuice.site.checks import embedded_database


@pytest.fixture(autouse=True)
def _umask_is_open() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_mail_in_files_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAIL_URL", f"filemail://{tmp_path}/mail")
    found = environment.read_email()
    backend = get_connection(found["EMAIL_BACKEND"], file_path=f"{tmp_path}/mail")
    sent = mail.EmailMessage(
        "Choose a new password", "https://…/key/", to=["a@example.com"], connection=backend
    )
    assert sent.send() == 1
    (letter,) = (tmp_path / "mail").iterdir()
    assert (mode(tmp_path / "mail"), mode(letter)) == (0o700, 0o600)
    assert "Choose a new password" in letter.read_text()


def test_log_of_a_process_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_text("of an earlier version\n")
    path.chmod(0o644)
    with open_to_append(path) as log:
        log.write(b"more\n")
    with open_to_append(tmp_path / "new.log"):
        pass
    assert [mode(path), mode(tmp_path / "new.log")] == [0o600, 0o600]
    assert path.read_text() == "of an earlier version\nmore\n"


@pytest.mark.parametrize(
    ("debug", "is_embedded", "count"), [(False, True, 1), (True, True, 0), (False, False, 0)]
)
def test_embedded_database_that_serves_is_warned_of(
    settings: Any, debug: bool, is_embedded: bool, count: int
) -> None:
    settings.DEBUG, settings.DATABASE_IS_EMBEDDED = debug, is_embedded
    assert len(embedded_database(None)) == count
