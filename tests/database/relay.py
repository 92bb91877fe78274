"""A network between the product and its PostgreSQL: it forwards, stalls, swallows or cuts, as a
test says.
"""

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import parse_qs, quote, unquote, urlsplit


class Relay:
    """Listens on a free port of loopback and forwards to a server's socket. A context manager.

    `swallow()`: what is connected stays connected and hears nothing ever again, new connections are
    not answered. `heal()`: new connections work; the swallowed ones stay swallowed, as behind a
    firewall that forgot them.
    """

    def __init__(self, server: "tuple[str, int] | str") -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = int(self._listener.getsockname()[1])
        self._is_up = True
        self._pairs: list[Pair] = []
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many connections were made so far."""
        return len(self._pairs)

    def url(self, database_url: str) -> str:
        """The same database, by way of this relay."""
        parts = urlsplit(database_url)
        user = quote(unquote(parts.username or "postgres"), safe="")
        where = f"{user}:{parts.password or ''}@127.0.0.1:{self.port}{parts.path}"
        return f"postgres://{where}?sslmode=disable&gssencmode=disable"

    def swallow(self) -> None:
        with self._lock:
            self._is_up = False
            for pair in self._pairs:
                pair.is_swallowed = True

    def heal(self) -> None:
        with self._lock:
            self._is_up = True

    def cut(self) -> None:
        """Close what is connected, both ways."""
        with self._lock:
            for pair in self._pairs:
                pair.close()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            with self._lock:
                pair = Pair(client, None if not self._is_up else self._connect())
                pair.is_swallowed = not self._is_up
                self._pairs.append(pair)
            pair.start()

    def _connect(self) -> socket.socket | None:
        if not isinstance(self._server, str):
            with suppress(OSError):  # it is down
                return socket.create_connection(self._server)
            return None
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._server)
        except OSError:  # it is down
            server.close()
            return None
        return server


class Pair:
    def __init__(self, client: socket.socket, server: socket.socket | None) -> None:
        self.client, self.server = client, server
        self.is_swallowed = False

    def start(self) -> None:
        if self.server is None:
            if not self.is_swallowed:
                self.close()
            return
        for source, target in ((self.client, self.server), (self.server, self.client)):
            threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def close(self) -> None:
        for end in (self.client, self.server):
            if end is not None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.is_swallowed:
                    target.sendall(data)
        if not self.is_swallowed:
            self.close()


def server_of(database_url: str) -> "tuple[str, int] | str":
    """Where the server listens: host and port, or the path of its socket."""
    parts = urlsplit(database_url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    host, port = query.get("host", parts.hostname or ""), int(query.get("port", parts.port or 5432))
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
