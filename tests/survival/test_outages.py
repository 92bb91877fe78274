"""The database goes away, hangs or is cut off while events flow: all is well again seconds after it
is back.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests

from taskjuice import postgres
from taskjuice.demo import journey
from taskjuice.demo.running import Running
from tests.database.relay import Relay, server_of
from tests.live import Quiet, furnish
from tests.survival.test_kills import Sender, ended, web

pytestmark = pytest.mark.processes

EVENTS = 40
BACK = 10.0  # seconds until everything that was sent has ended
LOADED = 2.0  # times as long on a machine that is busy with other tests


class Product(Running):
    """Web and worker reach PostgreSQL by way of a relay each; tests themselves go straight to it."""

    def route(self, relays: dict[str, Relay]) -> None:
        self.relays = relays
        self.straight = self.environment["DATABASE_URL"]

    def _add(self, name: str, words: object, environment: dict[str, str]) -> None:
        if name in self.relays:
            environment = environment | {"DATABASE_URL": self.relays[name].url(self.straight)}
        super()._add(name, words, environment)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[Product]:
    place = furnish(tmp_path_factory.mktemp("outages"), prepared)
    product = Product(place, Quiet())
    product.relays = {}
    product.add_sandbox()
    people = product.prepare()
    server = server_of(product.environment["DATABASE_URL"])
    with Relay(server) as for_web, Relay(server) as for_worker, Relay(server) as for_second:
        try:
            product.route({"web": for_web, "worker": for_worker, "second worker": for_second})
            product.add_product()
            product._add("second worker", ["manage.py", "worker"], product.environment)
            product.finish(people)
            product.wait_until_ready()
            product.beside(lambda: journey.run(place, product.stages))
            yield product
        finally:
            product.stop()


def healthz(product: Running) -> float:
    """How long it took to answer."""
    began = time.monotonic()
    assert requests.get(f"{product.place.base_url}/healthz", timeout=5).status_code == 200
    return time.monotonic() - began


def flow(product: Product, fault: Callable[[], object]) -> tuple[list[str], float]:
    """Events flow, the fault comes and goes meanwhile: what was sent, and how long after it all was
    through.
    """
    sender, sent = Sender(product), list[str]()
    over: list[float] = []

    def run() -> None:
        flowing = threading.Thread(target=lambda: sent.extend(sender.send(EVENTS)))
        flowing.start()
        sender.halfway.wait(60)
        fault()
        over.append(time.monotonic())
        flowing.join()

    product.beside(run)
    assert ended(product, sent) == Counter(dict.fromkeys(sent, 1))
    return sent, time.monotonic() - over[0]


def test_connections_swallowed_by_the_network(product: Product) -> None:
    product.wait_until_ready()
    relays = product.relays.values()
    answers: list[tuple[int, float]] = []
    alive: list[float] = []

    def fault() -> None:
        for relay in relays:
            relay.swallow()
        sender = Sender(product)
        ends = time.monotonic() + 12
        while time.monotonic() < ends:
            answers.append(sender.ask())
            alive.append(healthz(product))
        for relay in relays:
            relay.heal()

    _, seconds = flow(product, fault)
    assert {status for status, _ in answers} == {503}
    assert max(took for _, took in answers) < 5
    assert max(alive) < 1
    assert seconds < BACK * LOADED


def test_a_worker_node_cut_off_holds_up_no_other(product: Product) -> None:
    product.wait_until_ready()
    relay = product.relays["second worker"]
    _, seconds = flow(product, relay.swallow)
    assert seconds < BACK * LOADED
    relay.heal()


def test_a_restart_of_postgresql(product: Product) -> None:
    product.wait_until_ready()

    def fault() -> None:
        postgres.stop_server(product.place.postgres)
        postgres.ensure_running(product.place.postgres, "taskjuice")

    _, seconds = flow(product, fault)
    assert seconds < BACK * LOADED
    assert "restarting the cluster" not in product.place.log("worker").read_text()


def test_a_killed_web_worker_is_replaced_and_the_server_stays(product: Product) -> None:
    product.wait_until_ready()
    server, worker, *_ = web(product)
    worker.kill()
    began = time.monotonic()
    while True:
        try:
            healthz(product)
            break
        except requests.RequestException:
            assert time.monotonic() - began < BACK * LOADED
    product.watch()
    assert web(product)[0] == server
    assert psutil.pid_exists(server.pid)
