"""`make bench`: measure on this machine, print a table, write var/bench.json. Arguments name parts
to measure alone.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from bench import acknowledge
from bench.events import Events
from taskjuice.demo import journey
from taskjuice.demo.place import ROOT, Place, free_port
from taskjuice.demo.running import Running
from taskjuice.demo.stages import Stages

RESULT = ROOT / "var" / "bench.json"
Figures = dict[str, Any]
Environment = dict[str, str]
Part = Callable[[Running, Environment], Figures]


def main() -> None:
    wanted = sys.argv[1:] or list(PARTS)
    if unknown := set(wanted) - PARTS.keys():
        sys.exit(
            f"There is no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}."
        )
    folder = ROOT / "var" / "bench"
    shutil.rmtree(folder, ignore_errors=True)  # every run begins with empty tables
    running = Running(Place(folder, free_port(0), free_port(0)), Stages())
    found: Figures = {"machine": machine()}
    try:
        running.finish(running.prepare())
        prepared = running.environment
        for name in wanted:
            with own_database(prepared) as environment:
                found[name] = PARTS[name](running, environment)
            RESULT.write_text(json.dumps(found, indent=1))
            running.stages.done(f"measured: {name}")
    finally:
        running.stop()
        report(found)


@contextmanager
def own_database(environment: Mapping[str, str]) -> Iterator[Environment]:
    """Copy the prepared database, and drop the copy afterwards.

    No part meets the rows of another one, nor the vacuuming of them.
    """
    prepared = urlsplit(environment["DATABASE_URL"])
    template = prepared.path.strip("/")
    name = sql.Identifier("bench")
    with psycopg.connect(prepared._replace(path="/postgres").geturl(), autocommit=True) as server:
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template))
        )
        try:
            yield {**environment, "DATABASE_URL": prepared._replace(path="/bench").geturl()}
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def acknowledged(running: Running, environment: Environment) -> Figures:
    return acknowledge.measure(running.place, environment)


def worked_off(running: Running, environment: Environment) -> Figures:
    """Measure the whole product as the demo runs it, connected through the browser's way."""
    running.environment = environment
    running.add_sandbox()
    running.add_product()
    try:
        running.wait_until_ready()
        running.beside(lambda: journey.run(running.place, running.stages))
        with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as database:
            return Events(running.place, database).measure()
    finally:
        running.supervisor.stop()


def apart(module: str) -> Part:
    """Run a benchmark as a process of its own that prints its figures as JSON."""

    def measure(running: Running, environment: Environment) -> Figures:
        command = [sys.executable, "-m", module]
        ran = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        found: Figures = json.loads(ran.stdout)
        return found

    return measure


PARTS: dict[str, Part] = {
    "acknowledgement": acknowledged,
    "events": worked_off,
    "ledger": apart("bench.ledger"),
    "budget": apart("bench.budget"),
    "workflows": apart("bench.workflows"),
    "agency": apart("bench.agency"),
}


def machine() -> Figures:
    return {
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def report(found: Figures) -> None:
    for name, print_part in REPORTS.items():
        if name in found:
            print_part(found[name])
    print(
        f"\n{found['machine']['cores']} cores shared by load, web, worker, sandbox and PostgreSQL. {RESULT}"
    )


def report_acknowledgement(found: Figures) -> None:
    print(f"\nWebhook acknowledgement, one event each, {acknowledge.CONNECTIONS} connections")
    print(f"{'':10}{'':10}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'of bare':>10}")
    for server, figures in found.items():
        for what in ("bare", "receiver"):
            one, ratio = figures[what], f"{figures['ratio']:.2f}" if what == "receiver" else ""
            speed = f"{one['per_second']:>12,.0f}{one['p50_ms']:>10.1f}{one['p99_ms']:>10.1f}"
            print(f"{server:10}{what:10}{speed}{ratio:>10}")


def report_events(found: Figures) -> None:
    single = found["single"]
    print("\nEvents to finished activations (each invoice fetched, filtered, stored)")
    print(
        f"one event, idle system   median {single['median_ms']:.0f} ms, worst {single['max_ms']:.0f} ms"
    )
    for name, one in (("at once", found["burst"]), ("sustained", found["sustained"])):
        speed = f"{one['per_second']:,.0f}/s, {one['look_ups']} calls of GET /Invoices"
        print(f"{one['events']:,} {name:<17} {one['seconds']:.1f} s, {speed}")


def report_ledger(found: Figures) -> None:
    print("\nInvoice list page, every kind of filter, order and search")
    for size, one in found["lists"].items():
        slowest = max(one["pages"], key=one["pages"].get)
        print(
            f"{size:>9} rows    p50 {one['p50_ms']:.0f} ms, p95 {one['p95_ms']:.0f} ms, slowest kind: {slowest}"
        )
    more = found["more_queries_than_with_fewest_rows"]
    print(f"more queries than with the fewest rows: {', '.join(more) or 'none'}")
    read, decode = found["read"], found["decode"]
    paths = ", ".join(f"{count} {path}" for path, count in read["calls_by_path"].items())
    print(
        f"\nFirst read of {read['invoices']:,} invoices: {read['calls_for_invoices']} calls for them; with all else"
        f" {read['seconds']} s, {read['calls']} calls ({paths})"
    )
    faster, smaller = decode["times_faster"], decode["times_smaller"]
    print(
        f"Decoding 1,000 invoices: {faster} times faster than xero-python, {smaller} times less memory"
    )


def report_budget(found: Figures) -> None:
    queue = found["queue"]
    refused = sum(count for status, count in queue["statuses"].items() if str(status) == "429")
    print(
        f"\n{queue['calls']} queued calls of one organisation, minutes of {queue['minute_seconds']} s: per minute"
        f" {', '.join(map(str, queue['calls_per_minute']))}, of whole ones at least"
        f" {queue['least_used_of_a_whole_minute']:.0%} used; {refused} refused by the limit"
    )
    print(
        f"meanwhile a person waited {queue['page_worst_seconds']} s at worst, another organisation"
        f" {queue['other_worst_seconds']} s; a call's place costs {found['cost_ms']['median']} ms"
    )


def report_workflows(found: Figures) -> None:
    burst, steady = found["at_once"], found["steady"]
    print("\nSingle events of 20 organisations to finished activations of three steps")
    print(
        f"{burst['events']:,} at once: {burst['seconds']} s, {burst['per_second']:,}/s, {burst['calls_per_1000']} calls"
        f" per 1,000 events, worker {burst['worker_mb']} MB"
    )
    for name, one in (
        ("50 events/s", steady),
        ("the same, one organisation slow", found["one_slow"]),
        ("the same, one parked", found["one_parked"]),
    ):
        print(
            f"{name:<32} p50 {one['p50_ms']} ms, p95 {one['p95_ms']} ms, worst {one['max_ms']} ms"
        )
    pages = found["list"]
    print(
        f"List of {pages['rows']:,} activations: p50 {pages['p50_ms']} ms, p95 {pages['p95_ms']} ms"
    )


def report_agency(found: Figures) -> None:
    print(f"\nAn agency of {found['clients']} clients with {found['invoices']:,} invoices")
    for name, one in found["pages"].items():
        print(
            f"{name:26} p50 {one['p50_ms']:.0f} ms, p95 {one['p95_ms']:.0f} ms, {one['queries']} queries"
        )
    more = found["more_queries_than_with_one_client"]
    print(f"more queries than with one client: {', '.join(more) or 'none'}")


REPORTS: dict[str, Callable[[Figures], None]] = {
    "acknowledgement": report_acknowledgement,
    "events": report_events,
    "ledger": report_ledger,
    "budget": report_budget,
    "workflows": report_workflows,
    "agency": report_agency,
}


if __name__ == "__main__":
    main()
