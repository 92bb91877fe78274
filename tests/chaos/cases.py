"""The faults. Each takes the running product and is over when its function returns."""

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import requests

from taskjuice.crash import RECEIVER_POINTS
from taskjuice.demo.place import OWNER_EMAIL
from tests.chaos.product import ChaosProduct

Fault = Callable[[ChaosProduct], None]
CASES: dict[str, tuple[str, Fault]] = {}


def case(number: str, title: str) -> Callable[[Fault], Fault]:
    """Register a fault under its number of docs/faults.md."""

    def register(fault: Fault) -> Fault:
        CASES[number] = (title, fault)
        return fault

    return register


def kill(product: ChaosProduct, name: str, *, first: int = 0) -> None:
    """SIGKILL to a random process of a child, from its `first` on."""
    processes = product.tree(name)[first:]
    if processes:
        with suppress(psutil.NoSuchProcess):
            product.random.choice(processes).kill()


@contextmanager
def trigger(product: ChaosProduct, table: str, when: str, body: str) -> Iterator[None]:
    """A trigger of the database that does `body` (PL/pgSQL) for each statement."""
    product.sql(f"""
        CREATE SEQUENCE chaos_count;
        CREATE FUNCTION chaos() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$;
        CREATE TRIGGER chaos BEFORE {when} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION chaos()""")
    try:
        yield
    finally:
        product.sql("DROP FUNCTION chaos() CASCADE; DROP SEQUENCE chaos_count")


@case("F01", "a web worker is killed every two seconds")
def web_worker_is_killed(product: ChaosProduct) -> None:
    for _ in range(2):
        kill(product, "web", first=1)
        time.sleep(2)


@case("F02", "the receiver dies right before it stores a delivery, then right after")
def receiver_dies_at_its_points(product: ChaosProduct) -> None:
    for point in RECEIVER_POINTS:
        product.restart("web", TASKJUICE_CRASH=point)
        time.sleep(3)
    product.restart("web", TASKJUICE_CRASH="")


@case("F03", "PostgreSQL is down for three seconds")
def database_is_down(product: ChaosProduct) -> None:
    product.stop_database()
    time.sleep(3)
    product.start_database()


@case("F04", "storing a delivery takes four seconds")
def database_is_slow(product: ChaosProduct) -> None:
    with trigger(product, "connections_delivery", "INSERT", "PERFORM pg_sleep(4);"):
        time.sleep(5)


@case("F24", "a random process of a worker node is killed every two seconds")
def worker_process_is_killed(product: ChaosProduct) -> None:
    for _ in range(3):
        kill(product, product.random.choice(["worker", "second worker"]))
        time.sleep(2)


@case("F25", "a worker node is stopped for six seconds and goes on")
def worker_node_is_frozen(product: ChaosProduct) -> None:
    processes = product.tree("worker")[1:]
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        time.sleep(6 if number == signal.SIGSTOP else 0)


@case(
    "F29", "both worker nodes are told to stop, one after the other, one of them as a whole group"
)
def worker_nodes_are_deployed(product: ChaosProduct) -> None:
    product.restart("worker")
    for process in product.tree("second worker")[:1]:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


@case("F32", "all messages of the queue vanish")
def queue_is_emptied(product: ChaosProduct) -> None:
    for _ in range(3):
        product.sql("DELETE FROM django_q_ormq")
        time.sleep(1)


@case("F60", "PostgreSQL crashes three times")
def database_crashes(product: ChaosProduct) -> None:
    for _ in range(3):
        product.stop_database()
        time.sleep(1)
        product.start_database()
        time.sleep(1)


@case("F61", "connections are ended by the server twice a second")
def connections_are_ended(product: ChaosProduct) -> None:
    ends = time.monotonic() + 4
    while time.monotonic() < ends:
        product.sql("""
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = 'taskjuice' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 3""")
        time.sleep(0.5)


@case("F62", "no connection to PostgreSQL is left, for three seconds")
def connections_are_exhausted(product: ChaosProduct) -> None:
    held = []
    try:
        with suppress(psycopg.OperationalError):
            while True:
                held.append(product.connect())
        product.relays["web"].cut()
        product.relays["worker"].cut()
        with suppress(psycopg.OperationalError):
            while True:
                held.append(product.connect())
        time.sleep(3)
    finally:
        for connection in held:
            connection.close()


@case("F63", "claims and steps meet deadlocks and serialization failures")
def transactions_are_ended(product: ChaosProduct) -> None:
    fail = """
        IF nextval('chaos_count') % 3 = 0 THEN RAISE EXCEPTION 'chaos' USING ERRCODE = '40P01'; END IF;
        IF nextval('chaos_count') % 5 = 0 THEN RAISE EXCEPTION 'chaos' USING ERRCODE = '40001'; END IF;"""
    with trigger(product, "workflows_activation", "UPDATE", fail):
        time.sleep(4)


@case("F64", "the disk is full for three seconds")
def disk_is_full(product: ChaosProduct) -> None:
    """As PostgreSQL says it where a table cannot grow."""
    full = (
        "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';"
    )
    with trigger(product, "connections_delivery", "INSERT", full):
        time.sleep(3)


@case("F65", "the disk is full when the outcome of a step is stored")
def disk_is_full_at_an_outcome(product: ChaosProduct) -> None:
    full = (
        "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';"
    )
    with trigger(product, "workflows_steprun", "INSERT", full):
        time.sleep(3)


@case("F66", "one worker node's clock is ten minutes slow, the other's ten minutes fast")
def clocks_are_wrong(product: ChaosProduct) -> None:
    """By Debian's libfaketime; where it is not installed this says so and only restarts the nodes."""
    library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
    if library is None:
        print(
            "F66 without wrong clocks: libfaketime is not installed (apt-get install libfaketime)"
        )
    for name, shift in (("worker", "-10m"), ("second worker", "+10m")):
        wrong = {"LD_PRELOAD": str(library or ""), "FAKETIME": shift, "DONT_FAKE_MONOTONIC": "1"}
        product.restart(name, **wrong)
    time.sleep(6)
    for name in ("worker", "second worker"):
        product.restart(name, LD_PRELOAD="", FAKETIME="")


@case("F68", "SECRET_KEY is rotated with a fallback")
def secret_key_is_rotated(product: ChaosProduct) -> None:
    old = product.settings.get("SECRET_KEY", product.environment["SECRET_KEY"])
    new = f"{product.random.getrandbits(400):x}"
    for name in ("web", "worker", "second worker"):
        product.restart(name, SECRET_KEY=new, SECRET_KEY_FALLBACKS=old)


@case("F69", "the webhook's key gets a second one beside it, and the web process is restarted")
def webhook_key_is_rotated(product: ChaosProduct) -> None:
    key = product.environment["XERO_WEBHOOK_KEYS"]
    product.restart("web", XERO_WEBHOOK_KEYS=f"{product.random.getrandbits(200):x},{key}")


@case("F70", "a column is added, filled, checked and indexed")
def table_is_migrated(product: ChaosProduct) -> None:
    for statement in (
        "ALTER TABLE workflows_activation ADD COLUMN chaos integer",
        "UPDATE workflows_activation SET chaos = 0 WHERE chaos IS NULL",
        "ALTER TABLE workflows_activation ALTER COLUMN chaos SET DEFAULT 0",
        "UPDATE workflows_activation SET chaos = 0 WHERE chaos IS NULL",
        "ALTER TABLE workflows_activation ADD CONSTRAINT chaos CHECK (chaos IS NOT NULL) NOT VALID",
        "ALTER TABLE workflows_activation VALIDATE CONSTRAINT chaos",
        "CREATE INDEX CONCURRENTLY chaos ON workflows_activation (chaos)",
        "ALTER TABLE workflows_activation DROP COLUMN chaos",
    ):
        _until_unlocked(product, statement)


def _until_unlocked(product: ChaosProduct, statement: str) -> None:
    with product.connect() as database:
        database.execute("SET lock_timeout = '2s'")
        for _ in range(30):
            try:
                database.execute(statement)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                continue
            return
    raise AssertionError(f"no lock in a minute: {statement}")


@case("F72", "the cache is emptied, then it cannot be read")
def cache_is_lost(product: ChaosProduct) -> None:
    product.sql("DELETE FROM cache")
    product.sql("ALTER TABLE cache RENAME TO cache_away")
    try:
        time.sleep(4)
    finally:
        product.sql("ALTER TABLE cache_away RENAME TO cache")


@case("F73", "the server for e-mails takes connections and never answers")
def mail_server_hangs(product: ChaosProduct) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        hangs = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
        for name in ("web", "worker", "second worker"):
            product.restart(name, EMAIL_URL=hangs)
        product.wait_until_answering()
        ask_for_a_new_password(product)
        for name in ("web", "worker", "second worker"):
            product.restart(name, EMAIL_URL=product.environment["EMAIL_URL"])


def ask_for_a_new_password(product: ChaosProduct) -> None:
    """A page that sends an e-mail: it may say that this failed, but it answers."""
    browser, url = requests.Session(), f"{product.place.base_url}/accounts/password/reset/"
    page = browser.get(url, timeout=10)
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[0]
    began = time.monotonic()
    data = {"email": OWNER_EMAIL, "csrfmiddlewaretoken": token}
    browser.post(url, data, headers={"Referer": product.place.base_url}, timeout=30)
    assert time.monotonic() - began < 15


@case("F74", "everything is killed at once, the database too")
def host_loses_its_power(product: ChaosProduct) -> None:
    for name in ("web", "worker", "second worker"):
        for process in product.tree(name):
            with suppress(psutil.NoSuchProcess):
                process.kill()
    product.stop_database()
    product.start_database()


@case("F76", "a transaction is left open, holding the lanes")
def transaction_is_left_open(product: ChaosProduct) -> None:
    """As a worker node does that is cut off: the product's own limit has to end it."""
    product.relays["second worker"].swallow()
    time.sleep(6)
    product.relays["second worker"].heal()


@case("F77", "the network swallows all connections for six seconds")
def network_swallows(product: ChaosProduct) -> None:
    for relay in product.relays.values():
        relay.swallow()
    time.sleep(6)
    for relay in product.relays.values():
        relay.heal()
