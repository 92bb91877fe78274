"""What is shipped for running TaskJuice: units, image, containers. All start it alike, with the
least rights.
"""

import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from taskjuice.demo.running import APPLICATION, GRANIAN
from taskjuice.door import PLACES
from tests.environment import ROOT

DEPLOY = ROOT / "deploy"
UNITS = ["taskjuice-web.service", "taskjuice-worker.service"]
HARDENED = {
    "UMask": "0077",
    "NoNewPrivileges": "true",
    "CapabilityBoundingSet": "",
    "SystemCallFilter": "@system-service",
    "SystemCallArchitectures": "native",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "true",
    "PrivateDevices": "true",
    "PrivateTmp": "true",
    "ProtectHome": "true",
    "ProtectKernelLogs": "true",
    "ProtectKernelModules": "true",
    "ProtectKernelTunables": "true",
    "ProtectSystem": "strict",
    "ReadWritePaths": "/srv/taskjuice/var",
}
OURS = ("web1", "web2", "worker", "migrate")


def unit(name: str) -> dict[str, str]:
    lines = (DEPLOY / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())[
        "services"
    ]
    return found


def containerfile() -> list[str]:
    """Return the instructions, each on one line."""
    joined = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def listed(instruction: str) -> list[str]:
    """Return the words of `CMD ["…", "…"]`."""
    words: list[str] = yaml.safe_load(instruction[instruction.index("[") :])
    return words


def starts_of_granian() -> dict[str, list[str]]:
    (command,) = (line for line in containerfile() if line.startswith("CMD"))
    (readme,) = re.findall(
        r"^\.venv/bin/(granian .+)$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    return {
        "unit": shlex.split(unit("taskjuice-web.service")["ExecStart"]),
        "image": listed(command),
        "README": shlex.split(readme),
    }


def options(words: list[str]) -> dict[str, str]:
    """Return what follows each option, empty where nothing does."""
    after = [*words[1:], ""]
    return {
        word: "" if follows.startswith("--") else follows
        for word, follows in zip(words, after, strict=True)
        if word.startswith("--")
    }


@pytest.mark.parametrize("place", ["unit", "image", "README"])
def test_granian_is_started_alike_everywhere(place: str) -> None:
    words = starts_of_granian()[place]
    given = options(words)
    assert (Path(words[0]).name, words[-1]) == ("granian", APPLICATION)
    assert given | options(GRANIAN) == given
    assert set(given) - set(options(GRANIAN)) <= {"--host", "--port", "--workers"}
    assert int(given["--blocking-threads"]) > PLACES


@pytest.mark.parametrize("name", UNITS)
def test_units_take_every_right_away_that_they_can_do_without(name: str) -> None:
    given = unit(name)
    assert {key: given.get(key) for key in HARDENED} == HARDENED
    assert re.fullmatch(r"\d+G", given["MemoryMax"])
    assert given["User"] == "taskjuice"
    assert (
        "ProcSubset" not in given
    )  # /proc/sys/kernel/random/boot_id is read (taskjuice/queue/processes.py)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_units_and_finds_them_safe(name: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = (DEPLOY / name).read_text()
    (tmp_path / name).write_text(re.sub(r"/srv/taskjuice/.venv/bin/\w+", sys.executable, text))
    verify = ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)]
    said = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert [line for line in said.stderr.splitlines() if name in line] == []
    security = [
        "systemd-analyze",
        "security",
        "--offline=yes",
        "--threshold=20",
        str(tmp_path / name),
    ]
    rated = subprocess.run(security, capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout[-300:]


def test_worker_is_given_the_time_to_drain() -> None:
    needed = int(str(settings.Q_CLUSTER["timeout"]))
    assert int(unit("taskjuice-worker.service")["TimeoutStopSec"]) > needed + 10
    assert unit("taskjuice-worker.service")["KillMode"] == "mixed"
    assert int(services()["worker"]["stop_grace_period"].removesuffix("s")) > needed + 10


def test_compose_brings_up_two_of_each_with_limits_and_health_checks() -> None:
    found = services()
    assert set(found) == {*OURS, "database", "proxy", "mail"}
    assert found["worker"]["deploy"] == {"replicas": 2}
    for name, service in found.items():
        assert {"mem_limit", "pids_limit", "healthcheck", "restart", "networks"} <= set(service), (
            name
        )
        if name != "database":  # which its image starts as root, to become another
            assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
    for name in OURS:
        assert found[name]["init"] is True
        assert found[name]["tmpfs"][0].startswith("/tmp:")
        assert found[name]["env_file"][0]["format"] == "raw"
        assert "ports" not in found[name]
    assert set(found["proxy"]["ports"]) == {"80:80", "443:443"}


def test_proxy_and_compose_know_the_same_nodes() -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    named = set(re.findall(r"server (10\.\S+):8000", text))
    assert named == {
        services()[name]["networks"]["inside"]["ipv4_address"] for name in ("web1", "web2")
    }
    assert f"client_max_body_size {-(-settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2**20) + 1}m;" in text


def test_commands_of_the_containers_exist() -> None:
    for name, service in services().items():
        for words in (service.get("command", []), service["healthcheck"].get("test", [])):
            if "manage.py" in words:
                assert words[words.index("manage.py") + 1] in get_commands(), name
    for mount in (*services()["proxy"]["volumes"], *services()["database"]["volumes"]):
        source = mount.split(":")[0]
        assert not source.startswith("./") or (DEPLOY / source).is_file()


def test_image_runs_as_a_number_and_is_asked_for_its_health() -> None:
    lines = containerfile()
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    (health,) = (line for line in lines if line.startswith("HEALTHCHECK"))
    assert "/healthz" in health
    assert any("UV_COMPILE_BYTECODE=1" in line for line in lines)
    images = [line.split()[1] for line in lines if line.startswith("FROM")]
    assert all(
        image.startswith("${") for image in images
    )  # so that each can be pinned by its digest


def ignored(path: str, patterns: list[str]) -> bool:
    parts = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    return any(fnmatch(part, pattern.removeprefix("**/")) for pattern in patterns for part in parts)


def test_product_collects_its_files_and_checks_itself_with_what_the_image_holds(
    tmp_path: Path,
) -> None:
    """The files that the Containerfile copies, less those of .dockerignore: no secrets, no sandbox,
    no demo.
    """
    patterns = (ROOT / ".dockerignore").read_text().split()
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    copied = {
        line.split()[1]
        for line in containerfile()
        if line.startswith("COPY ") and "--from" not in line
    }
    inside = [
        path
        for path in tracked.stdout.splitlines()
        if path.split("/")[0] in copied and not ignored(path, patterns)
    ]
    assert not [
        path for path in inside if path.startswith(("taskjuice/demo", "xero/sandbox", "tests"))
    ]
    assert ignored(".env", patterns)
    assert ignored("production.env", patterns)
    for path in inside:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    (collect,) = (line for line in containerfile() if "collectstatic" in line)
    words = shlex.split(collect.removeprefix("RUN env").split(".venv/bin/python")[0])
    environment = {"PATH": "/usr/bin:/bin", **dict(word.split("=", 1) for word in words)}
    environment["VAR_DIR"] = str(tmp_path / "var")
    for arguments in (["collectstatic", "--noinput"], ["check"], ["worker", "--help"]):
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "var" / "static" / "staticfiles.json").exists()
