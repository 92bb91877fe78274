"""The real sandbox as a process of its own, for tests: `with SandboxProcess() as sandbox: …`."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SandboxProcess:
    """Starts at once and is ready when the constructor returns.

    Options are those of `python -m xero.sandbox` with underscores:
    `SandboxProcess(daily_limit=1000, bulk_connect=True, redirect_uri=["http://localhost:8000/…"])`.
    `data` None: a temporary folder, gone at `stop`.
    """

    client_id = "5A4DB0XSANDB0XCLIENT0ID0F0TASKJ1"
    client_secret = "sandbox-client-secret-not-for-production"
    webhook_key = "sandbox-webhook-signing-key-not-for-production"

    def __init__(
        self, *, data: Path | None = None, port: int | None = None, **options: Any
    ) -> None:
        self._temporary = (
            tempfile.TemporaryDirectory(prefix="xero-sandbox-") if data is None else None
        )
        self.data = Path(self._temporary.name) if self._temporary else Path(str(data))
        self.port = port or free_port()
        self.base_url = f"http://localhost:{self.port}"
        self.options = options
        self.session = requests.Session()
        self.session.trust_env = False
        self._start()

    def _command(self) -> list[str]:
        command = [
            sys.executable,
            "-m",
            "xero.sandbox",
            f"--port={self.port}",
            f"--data={self.data}",
        ]
        for name, value in self.options.items():
            option = "--" + name.replace("_", "-")
            values = value if isinstance(value, list | tuple) else [value]
            if isinstance(value, bool):
                command.append(option if value else option.replace("--", "--no-", 1))
            else:
                command += [f"{option}={each}" for each in values]
        return command

    def _start(self) -> None:
        self.log = self.data / "sandbox.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command(), cwd=ROOT, stdout=log, stderr=log, env=_environment()
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"the sandbox did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return (
                self.session.get(f"{self.base_url}/sandbox/api/health", timeout=2).status_code
                == 200
            )
        except requests.ConnectionError:
            return False

    def api(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, status: int = 200
    ) -> Any:
        """The control API: `api("POST", "faults", {"kind": "reset_after"})`. AssertionError unless
        `status` comes.
        """
        answer = self.session.request(
            method, f"{self.base_url}/sandbox/api/{path}", json=body, timeout=60
        )
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def organisation(self, index: int = 0) -> dict[str, Any]:
        """tenant_id, name and counts of one organisation."""
        return dict(self.api("GET", "organisations")[index])

    def xero(
        self, method: str, tenant_id: str, path: str, body: dict[str, Any] | None = None
    ) -> Any:
        """As a person inside Xero: `xero("POST", tenant, "Invoices/<id>", {...})`; fires webhooks,
        meets no limits.
        """
        return self.api(method, f"organisations/{tenant_id}/xero/{path}", body)

    def allow(self, authorize_url: str, *organisations: str, user: str = "mere") -> str:
        """A person allows the app at the consent page; returns the redirect with its code."""
        body: dict[str, Any] = {"url": authorize_url, "user": user}
        if organisations:
            body["organisations"] = list(organisations)
        return str(self.api("POST", "consent", body)["redirect"])

    def restart(self) -> None:
        self._end(signal.SIGTERM)
        self._start()

    def kill(self) -> None:
        """SIGKILL, as a power cut would; `restart` afterwards continues with what was stored."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)
        self.session.close()
        if self._temporary:
            self._temporary.cleanup()

    def _end(self, how: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _environment() -> dict[str, str]:
    """Without options that the developer's shell may carry."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("XERO_SANDBOX_")
    }
