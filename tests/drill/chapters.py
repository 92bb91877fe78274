"""The chapters, each as docs/deploy.md says it. Nothing here knows more than that page."""

import base64
import secrets
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

import requests

from tests.drill.installation import DATABASE, NODE_ROLE, Installation
from tests.drill.load import Load
from tests.drill.nodes import Node, wait_until

BEAT_SECONDS = 45.0  # a node that stopped counts for thirty more


def fresh_token_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def on_each_node(installation: Installation, change: Callable[[Node], dict[str, str]]) -> None:
    """Change settings and restart, on one node after the other."""
    for node in installation.nodes:
        installation.set(node, **change(node))
        installation.restart(node)


def until_advised(installation: Installation, setting: str, words: str) -> None:
    """Wait until `--status` says so of a setting; the living nodes' own words count."""

    def is_advised() -> bool:
        said = installation.webs[0].command("rotate_token_keys", "--status")
        part = said[said.index(f"{setting}, the first key first:") :]
        return words in part[part.index("next:") :].splitlines()[0]

    wait_until(f"--status says of {setting}: {words}", is_advised, BEAT_SECONDS)


def rotate_token_keys(installation: Installation, load: Load) -> None:
    old = installation.nodes[0].settings["TOKEN_KEYS"]
    new = begin_token_key_rotation(installation, load)
    for node in installation.nodes:
        if node.settings["TOKEN_KEYS"] != f"{new},{old}":
            installation.set(node, TOKEN_KEYS=f"{new},{old}")
            installation.restart(node)
    until_advised(installation, "TOKEN_KEYS", "run `manage.py rotate_token_keys`")
    first = installation.nodes[0]
    first.command("rotate_token_keys")
    first.command("rotate_token_keys", "--check")
    on_each_node(installation, lambda _: {"TOKEN_KEYS": new})
    until_advised(installation, "TOKEN_KEYS", "Nothing is under way")


def begin_token_key_rotation(installation: Installation, load: Load) -> str:
    """Go as far as one node has the new key in front, and the others at the end; return that key.

    At each phase in which nodes differ they say so, and `--status` says what comes next.
    """
    old, new = installation.nodes[0].settings["TOKEN_KEYS"], fresh_token_key()
    *others, first = installation.nodes
    installation.set(first, TOKEN_KEYS=f"{old},{new}")
    installation.restart(first)
    until_advised(installation, "TOKEN_KEYS", "put it at the end on")
    assert len(set(installation.key_lists("TOKEN_KEYS"))) == 2
    for node in others:
        installation.set(node, TOKEN_KEYS=f"{old},{new}")
        installation.restart(node)
    until_advised(installation, "TOKEN_KEYS", "put it in front")
    installation.set(first, TOKEN_KEYS=f"{new},{old}")
    installation.restart(first)
    until_advised(installation, "TOKEN_KEYS", "in front on the other nodes as well")
    assert len(set(installation.key_lists("TOKEN_KEYS"))) == 2
    return new


def rotate_secret_key(installation: Installation, load: Load) -> None:
    old, new = installation.nodes[0].settings["SECRET_KEY"], secrets.token_urlsafe(48)
    on_each_node(installation, lambda _: {"SECRET_KEY_FALLBACKS": new})
    on_each_node(installation, lambda _: {"SECRET_KEY": new, "SECRET_KEY_FALLBACKS": old})
    until_advised(installation, "SECRET_KEY", "take it out when")


def rotate_webhook_key(installation: Installation, load: Load) -> None:
    old, new = (
        installation.webs[0].settings["XERO_WEBHOOK_KEYS"],
        base64.b64encode(secrets.token_bytes(48)).decode(),
    )
    for node in installation.webs:
        installation.set(node, XERO_WEBHOOK_KEYS=f"{old},{new}")
        installation.restart(node)
    for node in installation.workers:
        installation.set(node, XERO_WEBHOOK_KEYS=f"{old},{new}")
    installation.xero.restart(WEBHOOK_KEY=new)
    load.key = new.encode()
    time.sleep(3)
    for node in installation.webs:
        installation.set(node, XERO_WEBHOOK_KEYS=new)
        installation.restart(node)


def rotate_client_secret(installation: Installation, load: Load) -> None:
    """A second secret at Xero, set everywhere; the first one goes."""
    old, new = installation.place.secrets["XERO_CLIENT_SECRET"], secrets.token_urlsafe(32)
    installation.xero.restart(CLIENT_SECRET=f"{old},{new}")
    on_each_node(installation, lambda _: {"XERO_CLIENT_SECRET": new})
    installation.xero.restart(CLIENT_SECRET=new)


def rotate_database_password(installation: Installation, load: Load) -> None:
    """A second role for the nodes; the first one goes once nobody uses it."""
    role, password = f"{NODE_ROLE}_2", secrets.token_urlsafe(24)
    with installation.server.connect() as database:
        database.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
    installation.owner("grant_node_role", role)
    installation.pool.admit(role, password)
    url = installation.pool.url(role, DATABASE)
    on_each_node(installation, lambda _: {"DATABASE_URL": url})
    installation.node_role = role
    installation.pool.admit(NODE_ROLE, None)
    with installation.server.connect(DATABASE) as database:
        database.execute(f"DROP OWNED BY {NODE_ROLE}")
        database.execute(f"DROP ROLE {NODE_ROLE}")
    installation.owner_password = secrets.token_urlsafe(24)
    with installation.server.connect() as database:
        database.execute(f"ALTER ROLE taskjuice PASSWORD '{installation.owner_password}'")
    installation.owner("check", "--database", "default")


def upgrade(installation: Installation, load: Load) -> None:
    installation.owner("migrate", "--noinput", "-v0")
    for node in installation.nodes:
        installation.restart(node)


def lose_each_node(installation: Installation, load: Load) -> None:
    """One after the other, a worker node while one of its processes holds the lane: the worst
    moment.
    """
    for node in installation.nodes:
        for _ in range(5):
            if not node.is_web:
                installation.wait_for_turn(node)
            node.kill()
            was_worst = node.is_web or installation.holds_lane(node)
            time.sleep(8.0 if was_worst else 0.5)
            node.start()
            installation.wait_for(node)
            if was_worst or not node.has_host:
                break
        else:
            raise AssertionError(f"{node.name} was never lost while it held the lane")


def restart_database(installation: Installation, load: Load) -> None:
    """Stopped for a second, while PgBouncer has everybody wait."""
    time.sleep(3)
    installation.pool.pause()
    installation.restart_database(1.0)
    installation.pool.resume()
    time.sleep(5)


def restore_backup(installation: Installation, load: Load) -> None:
    """Last night's `pg_dump`, into a new database in place of the old one; then reconcile before
    sending.
    """
    time.sleep(3)
    since = datetime.now(UTC)
    backup = installation.folder / "last-night.dump"
    installation.dump(backup)
    time.sleep(6)
    load.writes = False  # nothing is written to Xero while it is being compared
    changed = change_invoices(installation, 3)
    time.sleep(4)
    for node in installation.nodes:
        node.stop()
    load.note_restore()
    installation.replace_database(backup)
    installation.owner("migrate", "--noinput", "-v0")
    installation.owner("grant_node_role", installation.node_role)
    first = installation.webs[0]
    first.command("reconcile", "begin", "--since", since.isoformat())
    installation.start()
    load.note_restart()
    wait_until("everything is compared", lambda: is_compared(first), 300)
    first.command("reconcile", "release")
    wait_until(
        "changes of before the restore are found again",
        lambda: is_recovered(installation, changed, since),
    )
    load.writes = True
    time.sleep(10)


def is_compared(node: Node) -> bool:
    with suppress(subprocess.CalledProcessError):
        return "Everything has been compared" in node.command("reconcile", "status")
    return False


def change_invoices(installation: Installation, count: int) -> list[str]:
    """Change some invoices at Xero, as people do; Xero tells of it by itself. Returns their ids."""
    base = f"{installation.place.sandbox_url}/sandbox/api"
    tenant = requests.get(f"{base}/connections", timeout=10).json()[0]["tenant_id"]
    url = f"{base}/organisations/{tenant}/xero/Invoices"
    query = urlencode(
        {"where": 'Type=="ACCREC" AND Status=="AUTHORISED"', "order": "Date DESC", "page": 1}
    )
    invoices = requests.get(f"{url}?{query}", timeout=20).json()["Invoices"][:count]
    for invoice in invoices:
        change = {"InvoiceID": invoice["InvoiceID"], "Reference": f"Drill {secrets.token_hex(4)}"}
        answer = requests.post(f"{url}/{invoice['InvoiceID']}", json=change, timeout=20)
        answer.raise_for_status()
    return [str(invoice["InvoiceID"]) for invoice in invoices]


def is_recovered(installation: Installation, changed: list[str], since: datetime) -> bool:
    query = """
        SELECT count(DISTINCT e.resource_id)
          FROM connections_event e JOIN workflows_activation a ON a.event_id = e.id
         WHERE e.resource_id = ANY(%s) AND e.occurred_at >= %s AND a.state IN ('succeeded', 'stopped')"""
    rows = installation.rows(query, [[UUID(one) for one in changed], since.replace(microsecond=0)])
    return rows == [(len(changed),)]
