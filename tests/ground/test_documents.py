"""What README and docs tell an operator to type, set and open is there: commands, settings, files,
addresses.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command, get_commands, load_command_class
from django.test import Client
from django.urls import Resolver404, resolve

from taskjuice.database import limits
from taskjuice.workspaces import audit
from taskjuice.workspaces.models import Agency
from tests.environment import ROOT
from tests.ground.test_deploy import unit

OPERATORS = [ROOT / "README.md", ROOT / "docs" / "deploy.md"]
DOCUMENTS = [
    *OPERATORS,
    ROOT / "docs" / "sandbox.md",
    *sorted((ROOT / "docs" / "runbooks").glob("*.md")),
]
# What changes nothing that a test could not undo, and ends by itself.
RUN_HERE = {
    "check_invariants",
    "migrate",
    "prune",
    "reconcile",
    "rotate_token_keys",
    "verify_audit",
}
OF_OTHERS = {
    "ERROR",
    "INFO",
    "NAME",
    "TRUNCATE",
}  # levels of logs, the form of a line, a word of SQL
ELSEWHERE = ("/etc", "/srv", "/tmp", "/run", "/var")
ANSWERED_BY_MIDDLEWARE = {"/healthz", "/readyz"}


def fenced(document: Path) -> list[str]:
    """Return the lines between fences, without what a comment says."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    lines = (
        re.sub(r"(^|\s+)#.*", "", line).strip() for block in blocks for line in block.splitlines()
    )
    return [line for line in lines if line]


def spans(document: Path) -> list[str]:
    """Return what stands between single backticks."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


@cache
def commands(program: str) -> list[str]:
    """Return what follows `program` in each command of the documents that has no blank to fill in."""
    all_texts = (text for document in DOCUMENTS for text in (*fenced(document), *spans(document)))
    found = (re.search(rf"(?:^|[\s/]){re.escape(program)} (.+)$", text) for text in all_texts)
    return sorted({match[1] for match in found if match and "…" not in match[1]})


def test_documents_are_read() -> None:
    assert len(commands("manage.py")) > 12
    assert len(commands("make")) > 5
    assert len(commands("uv")) > 1


@pytest.mark.parametrize("words", commands("manage.py"))
def test_management_command_takes_these_words(words: str) -> None:
    name, *arguments = shlex.split(words)
    application = get_commands()[name]
    assert isinstance(application, str)
    if name != "xero_sandbox":  # which hands its words on to `python -m xero.sandbox`
        parser = load_command_class(application, name).create_parser("manage.py", name)
        parser.parse_args(arguments)  # ends the test where an option is unknown


@pytest.mark.django_db(transaction=True)
def test_management_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agency: Agency
) -> None:
    monkeypatch.chdir(tmp_path)  # where a document names a file of the operator's
    audit.record("deed", by=None, agency=agency)
    with Path("audit-heads.txt").open("w") as heads:
        call_command("verify_audit", stdout=heads)
    run = [words for words in commands("manage.py") if words.split()[0] in RUN_HERE]
    assert {words.split()[0] for words in run} == RUN_HERE
    for words in run:  # in their order, `reconcile begin` comes before `release` and `status`
        name, *arguments = shlex.split(words)
        call_command(name, *arguments)


@pytest.mark.parametrize("words", commands("make"))
def test_make_has_these_targets(words: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-n", *shlex.split(words)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", commands("uv"))
def test_uv_takes_these_words(words: str) -> None:
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    command, *arguments = shlex.split(words)
    rehearsal = ["--dry-run"] if command == "sync" else []
    done = subprocess.run(
        [uv, command, *arguments, *rehearsal, "--offline", "--python", sys.executable],
        cwd=ROOT,
        env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(Path(sys.executable).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_granian_knows_the_options() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "granian", "--help"], capture_output=True, text=True, check=True
    )
    given = {option for words in commands("granian") for option in re.findall(r"--[\w-]+", words)}
    assert given
    assert given - set(re.findall(r"--[\w-]+", done.stdout)) == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", document.read_text())
    missing = [
        link for link in links if "://" not in link and not (document.parent / link).exists()
    ]
    tops = {path.name for path in ROOT.iterdir()} - {"var"}
    named = [span for span in spans(document) if re.fullmatch(r"[\w.-]+(/[\w.-]*)+", span)]
    copied = [
        word for line in fenced(document) if line.startswith("cp ") for word in line.split()[1:-1]
    ]
    missing += [
        path
        for path in (*named, *copied)
        if path.split("/")[0] in tops and not (ROOT / path).exists()
    ]
    assert missing == []


def settings_read() -> set[str]:
    """Return the names that the settings take from the environment."""
    text = "".join(
        (ROOT / "taskjuice" / name).read_text() for name in ("settings.py", "environment.py")
    )
    readers = r"(?:env\.\w+|read_(?:list|boolean|integer|base_url))"
    return set(re.findall(rf'{readers}\(\s*"([A-Z][A-Z_]+)"', text)) | {"SECRET_KEY"}


def test_each_setting_that_is_read_stands_in_the_readme() -> None:
    described = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "README.md").read_text()))
    assert settings_read() - described == {"DATABASE_POOL"}  # which the web process sets for itself


@pytest.mark.parametrize("document", OPERATORS, ids=lambda path: path.name)
def test_each_setting_that_is_named_is_read(document: Path) -> None:
    named = {
        word
        for span in spans(document)
        for word in re.findall(r"^\$?([A-Z][A-Z0-9_]+)(?:=.*)?$", span)
    }
    of_files = set(unit("taskjuice-web.service")["Environment"].split("=")[:1])
    of_files |= set(
        re.findall(r"^ARG (\w+)=", (ROOT / "deploy" / "Containerfile").read_text(), re.MULTILINE)
    )
    bare = {name.removesuffix("_FILE") for name in named}
    assert bare - settings_read() - of_files - OF_OTHERS == set()


@pytest.mark.django_db
@pytest.mark.parametrize("document", OPERATORS, ids=lambda path: path.name)
def test_addresses_that_are_named_are_answered(document: Path) -> None:
    texts = [*spans(document), *fenced(document)]
    hosts = r"(?:https://(?:<your host>|app\.example\.com)|BASE_URL` \+ `|^|GET )"
    paths = {match[1] for text in texts for match in re.finditer(rf"{hosts}(/[a-z][\w/-]*)", text)}
    paths = {path for path in paths if not path.startswith(ELSEWHERE)} - {
        "/webhooks/"
    }  # the beginning of one
    assert len(paths) >= 3
    missing = []
    for path in paths:
        if path in ANSWERED_BY_MIDDLEWARE:
            assert Client().get(path).status_code != 404
            continue
        try:
            resolve(path)
        except Resolver404:
            missing.append(path)
    assert missing == []


def test_sum_of_database_connections_is_right() -> None:
    """Two web and three worker nodes; what one worker node takes is counted in
    tests/queue/test_running_worker.py.
    """
    text = (ROOT / "docs" / "deploy.md").read_text()
    workers = int(re.findall(r"--workers (\d+)", unit("taskjuice-web.service")["ExecStart"])[0])
    pool, of_a_worker_node = limits.POOL["max_size"], settings.WORKER_PROCESSES + 4
    total = 2 * workers * pool + 3 * of_a_worker_node
    assert f"2 · {workers} · {pool} + 3 · {of_a_worker_node} = {total}, more than" in text
    assert total > 100


def test_architecture_names_files_that_are_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    paths = set(
        re.findall(r"\b((?:taskjuice|connections|xero|workflows|tests)/[\w/]*(?:\.py|/))", text)
    )
    # "`store.py`": beside a file that was named in full
    names = set(re.findall(r"`(\w+\.py)`", text))
    rooms = {ROOT / path if path.endswith("/") else (ROOT / path).parent for path in paths}
    assert len(paths) > 30
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []
    beside = {name for room in rooms for name in names if (room / name).exists()}
    assert sorted(names - beside - {path.name for path in ROOT.glob("*.py")}) == []
