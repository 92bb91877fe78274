"""A whole installation as docs/deploy.md has it, on one machine: only addresses and ports differ."""

import contextlib
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import requests

from taskjuice.demo.journey import Journey
from taskjuice.demo.place import ROOT, Place, free_port
from taskjuice.demo.running import Running
from tests.database.cluster import EMBEDDED, Cluster, cluster
from tests.drill.nodes import Node, can_have_host, wait_until
from tests.drill.pooler import Pooler, pooler
from tests.live import Quiet
from tests.survival.proxy import Proxy, proxied

DATABASE, OWNER, NODE_ROLE = "taskjuice", "taskjuice", "taskjuice_node"
HOST = "localhost"  # that of BASE_URL; the sandbox and requests find it without a name server


# What /etc/taskjuice.env holds, of what the demo's own environment has.
SETTINGS = """
SECRET_KEY TOKEN_KEYS BASE_URL ALLOWED_HOSTS DATABASE_URL EMAIL_URL XERO_CLIENT_ID XERO_CLIENT_SECRET XERO_WEBHOOK_KEYS
XERO_LOGIN_URL XERO_IDENTITY_URL XERO_API_URL
""".split()

HOLDS_LANE = (
    "SELECT FROM workflows_lane WHERE lease_until > clock_timestamp() AND lease_holder LIKE %s"
)


class SecurePlace(Place):
    """The same, reached by nginx."""

    @property
    def base_url(self) -> str:
        return f"https://{HOST}:{self.web_port}"


class Xero(Running):
    """The sandbox, kept alive. It trusts the certificate of nginx, and counts no calls."""

    certificate = ""

    def _add(self, name: str, words: Any, environment: dict[str, str]) -> None:
        more = {"SSL_CERT_FILE": self.certificate, "XERO_SANDBOX_DAILY_LIMIT": "1000000"}
        more |= {"XERO_SANDBOX_LATENCY_MS": "300"}  # as Xero's own
        super()._add(name, words, environment | more)

    def restart(self, **settings: str) -> None:
        """Have it start anew with these of its own settings."""
        [child] = self.supervisor.children
        child.environment = child.environment | {
            f"XERO_SANDBOX_{key}": value for key, value in settings.items()
        }
        assert child.process is not None
        child.process.terminate()
        child.process.wait(20)
        self.watch()
        self.watch()
        wait_until("the sandbox answers", self.answers)

    def answers(self) -> bool:
        self.watch()
        return is_ok(f"{self.place.sandbox_url}/sandbox/api/health")


class Installation:
    """`webs` and `workers` are its nodes; their settings change by `set` and count from the next
    start.
    """

    def __init__(self, folder: Path, server: Cluster, pool: Pooler) -> None:
        self.folder, self.server, self.pool = folder, server, pool
        self.owner_password = secrets.token_urlsafe(24)
        self.node_role = NODE_ROLE
        self.webs: list[Node] = []
        self.workers: list[Node] = []
        self.proxy: Proxy
        self.place: Place
        self.xero: Xero
        self.job: Journey

    @property
    def nodes(self) -> list[Node]:
        return [*self.webs, *self.workers]

    # -- first start, in the order of docs/deploy.md
    # --------------------------------------------------------
    def make_database(self) -> None:
        """Two roles: one owns, the other serves. PgBouncer lets in only the latter."""
        password = secrets.token_urlsafe(24)
        with self.server.connect() as database:
            database.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{self.owner_password}'")
            database.execute(f"CREATE ROLE {NODE_ROLE} LOGIN PASSWORD '{password}'")
            database.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
        self.pool.admit(NODE_ROLE, password)
        self.pool.start()

    def make_nodes(self) -> None:
        address = self.pool.url(NODE_ROLE, DATABASE)
        common = {"XERO_DAILY_LIMIT": "1000000", "METRICS_TOKEN": secrets.token_urlsafe(24)}
        values = self.place.environment(address)
        settings = common | {name: values[name] for name in SETTINGS}
        for node in self.nodes:
            node.settings |= settings

    def owner(self, *words: str) -> str:
        """Run a command as the owner of the tables, past PgBouncer."""
        url = self.server.url(OWNER, self.owner_password, DATABASE)
        return self.webs[0].command(*words, DATABASE_URL=url)

    def prepare(self, *, collect: bool = True) -> None:
        self.owner("migrate", "--noinput", "-v0")
        self.owner("grant_node_role", NODE_ROLE)
        for node in self.webs if collect else ():
            node.command("collectstatic", "--noinput", "-v0")
        self.webs[0].command(
            "check", "--deploy", "--database", "default", "--fail-level", "WARNING"
        )

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            self.wait_for(node)
        wait_until(
            "/readyz is green", lambda: is_ok(f"http://127.0.0.1:{self.webs[0].port}/readyz")
        )

    def furnish(self) -> None:
        """People, a connected organisation, a workflow that reads and one that writes."""
        password = self.place.secrets["OWNER_PASSWORD"]
        self.program("taskjuice.demo.people", OWNER_PASSWORD=password)
        self.job = Journey(self.place, Quiet())
        self.job.visitor.session.verify = str(self.proxy.folder / "cert.pem")
        for step in (self.job.sign_in, self.job.connect, self.job.subscribe, self.job.publish):
            step()
        self.job.see_a_change_through()
        self.program("tests.chaos.furnish")

    def program(self, module: str, **more: str) -> None:
        environment = (
            self.webs[0].environment | {"DJANGO_SETTINGS_MODULE": "taskjuice.settings"} | more
        )
        subprocess.run([sys.executable, "-m", module], cwd=ROOT, env=environment, check=True)

    # -- what the chapters do
    # -------------------------------------------------------------------------------
    def set(self, node: Node, **settings: str) -> None:
        node.settings |= settings

    def restart(self, node: Node) -> None:
        """Do `systemctl restart`, and wait until the node works."""
        node.stop()
        node.start()
        self.wait_for(node)

    def holds_lane(self, node: Node) -> bool:
        return bool(self.rows(HOLDS_LANE, [node.name_pattern()]))

    def wait_for_turn(self, node: Node, seconds: float = 20.0) -> None:
        """Wait until a process of this worker node holds the lane, which is the worst moment to
        lose it.
        """
        deadline = time.monotonic() + seconds
        with self.server.connect(DATABASE) as database:
            while time.monotonic() < deadline:
                if database.execute(HOLDS_LANE, [node.name_pattern()]).fetchone() is not None:
                    return
                time.sleep(0.01)

    def wait_for(self, node: Node) -> None:
        try:
            if node.is_web:
                wait_until(
                    f"{node.name} answers", lambda: is_ok(f"http://127.0.0.1:{node.port}/healthz")
                )
            else:
                began = datetime.now(UTC)
                wait_until(f"{node.name} beats", lambda: self._has_beaten(node, began))
        except AssertionError as error:
            raise AssertionError(f"{error}: {node.tail()}") from error

    def _has_beaten(self, node: Node, since: datetime) -> bool:
        query = (
            "SELECT FROM queue_heartbeat WHERE node LIKE %s AND beat_at > %s AND canary_ran_at > %s"
        )
        return bool(self.rows(query, [node.name_pattern(), since, since]))

    def restart_database(self, seconds: float) -> None:
        self.server.stop(signal.SIGINT)
        time.sleep(seconds)
        self.server.start()

    def dump(self, path: Path) -> None:
        """Make last night's backup, as the owner."""
        url = self.server.url(OWNER, self.owner_password, DATABASE)
        subprocess.run([self.server.program("pg_dump"), "-Fc", "-f", str(path), url], check=True)

    def replace_database(self, backup: Path) -> None:
        """Restore into a new database, which then takes the name of the old one. PgBouncer lets go
        of that first.
        """
        self.pool.stop()
        with self.server.connect() as database:
            database.execute(f"CREATE DATABASE {DATABASE}_restored OWNER {OWNER}")
            url = self.server.url(OWNER, self.owner_password, f"{DATABASE}_restored")
            command = [
                self.server.program("pg_restore"),
                "--exit-on-error",
                "--no-owner",
                "-d",
                url,
                str(backup),
            ]
            subprocess.run(command, check=True)
            database.execute(f"ALTER DATABASE {DATABASE} RENAME TO {DATABASE}_of_before")
            database.execute(f"ALTER DATABASE {DATABASE}_restored RENAME TO {DATABASE}")
        self.pool.start()

    def rows(self, query: str, values: Any = ()) -> list[Any]:
        """Return what the server says, asked past PgBouncer as its superuser; wait while it is away."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with self.server.connect(DATABASE) as database:
                    return database.execute(query, values).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def key_lists(self, setting: str) -> list[tuple[str, ...]]:
        """Return the ids of the keys that each living node says it knows."""
        query = (
            "SELECT keys -> %s FROM queue_heartbeat WHERE beat_at > now() - interval '30 seconds'"
        )
        return [tuple(keys or ()) for (keys,) in self.rows(query, [setting])]

    def documents(self) -> list[dict[str, Any]]:
        """Return the documents that the writing workflow made at Xero."""
        url = f"{self.place.sandbox_url}/sandbox/api"
        tenant = requests.get(f"{url}/connections", timeout=10).json()[0]["tenant_id"]
        found: list[dict[str, Any]] = []
        for page in range(1, 1000):
            query = (
                f'where=Contact.Name=="Chaos"&order=UpdatedDateUTC DESC&pageSize=100&page={page}'
            )
            address = f"{url}/organisations/{tenant}/xero/Invoices?{query}"
            documents = requests.get(address, timeout=20).json()["Invoices"]
            found += documents
            if len(documents) < 100:
                break
        return found

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


def is_ok(url: str) -> bool:
    with contextlib.suppress(requests.RequestException, json.JSONDecodeError):
        return requests.get(url, timeout=3).status_code == 200
    return False


@contextlib.contextmanager
def installation(
    folder: Path, *, workers: int = 3, programs: Path = EMBEDDED, hosts: bool = True
) -> Iterator[Installation]:
    """Give one whose servers run and whose nodes do not yet."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(cluster(programs))
        made = Installation(folder, server, stack.enter_context(pooler(server.port)))
        has_host = hosts and can_have_host()
        made.webs = [
            Node(f"web-{n}", "taskjuice-web", folder, {}, has_host=has_host) for n in (1, 2)
        ]
        made.workers = [
            Node(f"worker-{n + 1}", "taskjuice-worker", folder, {}, has_host=has_host)
            for n in range(workers)
        ]
        made.proxy = stack.enter_context(proxied(made.webs[0].port, made.webs[1].port, HOST))
        made.place = SecurePlace(folder, made.proxy.secure_port, free_port(0))
        stack.callback(made.stop)
        made.xero = Xero(made.place, Quiet())
        made.xero.certificate = str(made.proxy.folder / "cert.pem")
        stack.callback(made.xero.supervisor.stop)
        made.xero.add_sandbox()
        made.make_database()
        made.make_nodes()
        yield made
