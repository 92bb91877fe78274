"""The whole product behind PgBouncer in transaction mode: people, webhooks, upkeep, and nothing
left in a session.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests

from taskjuice.demo import journey
from taskjuice.demo.place import CLIENT, OWNER_EMAIL, ROOT
from taskjuice.demo.running import Running
from tests.database.pgbouncer import pooled
from tests.live import Quiet, furnish
from tests.survival.test_kills import Sender, ended

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[Running]:
    place = furnish(tmp_path_factory.mktemp("pgbouncer"), prepared)
    product = Running(place, Quiet())
    product.add_sandbox()
    try:
        product.finish(product.prepare())
        with pooled(product.environment["DATABASE_URL"]) as address:
            straight, product.environment["DATABASE_URL"] = (
                product.environment["DATABASE_URL"],
                address,
            )
            product.add_product()
            product.wait_until_ready()
            product.beside(lambda: journey.run(place, product.stages))
            product.environment["STRAIGHT"] = straight
            yield product
    finally:
        product.stop()


def sign_in(product: Running) -> requests.Session:
    browser, base = requests.Session(), product.place.base_url
    page = browser.get(f"{base}/accounts/login/", timeout=20)
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[0]
    answer = browser.post(
        f"{base}/accounts/login/",
        {
            "login": OWNER_EMAIL,
            "password": product.place.secrets["OWNER_PASSWORD"],
            "csrfmiddlewaretoken": token,
        },
        headers={"Referer": base},
        timeout=20,
    )
    assert answer.status_code == 200
    assert not answer.url.endswith("/accounts/login/")
    return browser


def test_people_sign_in_and_read_pages_and_files(product: Running) -> None:
    browser = sign_in(product)
    page = browser.get(f"{product.place.base_url}/northwind/{CLIENT.slug}/", timeout=20)
    assert page.status_code == 200
    files = browser.get(
        f"{product.place.base_url}/northwind/{CLIENT.slug}/invoices/export/", timeout=20
    )
    assert files.status_code == 200


def test_each_webhook_ends_once(product: Running) -> None:
    sent: list[str] = []
    product.beside(lambda: sent.extend(Sender(product).send(40)))
    assert ended(product, sent) == Counter(dict.fromkeys(sent, 1))


def test_upkeep_leaves_no_lock_and_no_setting_behind(product: Running) -> None:
    command = [sys.executable, "manage.py", "prune"]
    for _ in range(2):
        done = subprocess.run(
            command, cwd=ROOT, env=product.environment, capture_output=True, text=True, check=True
        )
        assert "Another process" not in done.stdout
    with psycopg.connect(product.environment["STRAIGHT"], autocommit=True) as database:
        locks = database.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        ).fetchone()
    assert locks == (0,)
    with psycopg.connect(product.environment["DATABASE_URL"], autocommit=True) as database:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
            assert database.execute(f"SHOW {name}").fetchone() == ("0",)
    log = product.place.log("web").read_text() + product.place.log("worker").read_text()
    assert "InvalidCursorName" not in log
    assert "prepared statement" not in log
