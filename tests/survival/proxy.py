"""Debian's nginx with deploy/nginx.conf before a test's nodes: only addresses, ports and
certificates differ.
"""

import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from taskjuice.demo.place import free_port
from tests.environment import ROOT

HOST = "app.example.com"
BODY_SECONDS = 2
AROUND = """
{user}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log info;
events {{ worker_connections 512; }}
http {{
    log_format nodes "$request_uri $status $upstream_addr";
    access_log {folder}/access.log nodes;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/taskjuice.conf;
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A running nginx. Requests go over TLS unless `plain`."""

    folder: Path
    secure_port: int
    plain_port: int
    host: str = HOST

    def ask(
        self, *parts: bytes, name: str = "", plain: bool = False, seconds: float = 30
    ) -> tuple[int, bytes]:
        """Return the status and all that came; 0 where the connection ended without an answer."""
        received = b""
        try:
            with socket.create_connection(
                ("127.0.0.1", self.plain_port if plain else self.secure_port), seconds
            ) as line:
                stream = (
                    line
                    if plain
                    else self._context().wrap_socket(line, server_hostname=name or self.host)
                )
                with stream:
                    for part in parts:
                        stream.sendall(part)
                    while not _is_whole(received) and (more := stream.recv(65536)):
                        received += more
        except (ConnectionError, ssl.SSLError):
            pass  # what came before it counts: an answer to a body that is too large comes before all of it was sent
        return int(received.split(b" ", 2)[1]) if received else 0, received

    def nodes_that_answered(self, path: str) -> list[str]:
        """Return the node of each request for `path`, the last one asked where there were more."""
        lines = (
            line.split(" ", 2) for line in (self.folder / "access.log").read_text().splitlines()
        )
        return [nodes.split(", ")[-1] for address, _, nodes in lines if address.startswith(path)]

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "cert.pem"))


def _is_whole(received: bytes) -> bool:
    """Return whether all that the answer says it has is there; nginx may keep the connection for a
    while after it.
    """
    top, separator, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)^content-length: (\d+)", top, re.MULTILINE)
    return length is not None and bool(separator) and len(body) >= int(length[1])


def head(
    method: str, path: str, *lines: str, host: str = HOST, content_type: str = "application/json"
) -> bytes:
    all_lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *lines]
    if method == "POST":
        all_lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*all_lines, "", ""]).encode()


@contextmanager
def proxied(first: int, second: int, host: str = HOST) -> Iterator[Proxy]:
    """Run nginx before two nodes on these ports, for this host name. Skip where it is not
    installed.
    """
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if os.environ.get("TASKJUICE_REQUIRE_NGINX"):
            pytest.fail("nginx is not installed (apt-get install nginx)")
        pytest.skip("nginx is not installed (apt-get install nginx)")
    folder = Path(tempfile.mkdtemp(prefix="nginx-"))
    proxy = Proxy(folder, free_port(0), free_port(0), host)
    write_certificate(folder, host)
    (folder / "taskjuice.conf").write_text(_fitted(proxy, first, second))
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))
    command = [program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    tried = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _wait_for(proxy.secure_port)
        yield proxy
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


def _fitted(proxy: Proxy, first: int, second: int) -> str:
    """Return the shipped file with what a test has to replace; each piece must be there."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    pieces = {
        "10.0.0.11:8000": f"127.0.0.1:{first}",
        "10.0.0.12:8000": f"127.0.0.1:{second}",
        "listen 80": f"listen 127.0.0.1:{proxy.plain_port}",
        "listen 443": f"listen 127.0.0.1:{proxy.secure_port}",
        "/etc/letsencrypt/live/app.example.com/fullchain.pem": str(proxy.folder / "cert.pem"),
        "/etc/letsencrypt/live/app.example.com/privkey.pem": str(proxy.folder / "key.pem"),
        "client_body_timeout 10s": f"client_body_timeout {BODY_SECONDS}s",
        HOST: proxy.host,
    }
    for old, new in pieces.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def write_certificate(folder: Path, host: str) -> None:
    """Write `cert.pem`, which vouches for itself, and `key.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.05)
        else:
            return
