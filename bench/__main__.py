"""`make bench`: measures on this machine, prints a table, writes var/bench.json."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import psycopg

from bench import acknowledge
from bench.events import Events
from taskjuice.demo import journey
from taskjuice.demo.place import ROOT, Place, free_port
from taskjuice.demo.running import Running
from taskjuice.demo.stages import Stages

RESULT = ROOT / "var" / "bench.json"


def main() -> None:
    folder = ROOT / "var" / "bench"
    shutil.rmtree(folder, ignore_errors=True)  # every run begins with empty tables
    place = Place(folder, free_port(0), free_port(0))
    running = Running(place, Stages())
    try:
        people = running.prepare()
        people.wait()
        acknowledged = acknowledge.measure(place, running.environment)
        running.stages.done("webhook acknowledgement measured")
        ledger = measured_apart("bench.ledger", running.environment)
        running.stages.done("ledger lists, first read and decoding measured")
        budget = measured_apart("bench.budget", running.environment)
        running.stages.done("queued calls within Xero's limits measured")
        workflows = measured_apart("bench.workflows", running.environment)
        running.stages.done("workflows of 20 organisations and the list of a million activations measured")
        agency = measured_apart("bench.agency", running.environment)
        running.stages.done("pages of an agency with many clients measured")
        running.add_sandbox()
        running.add_product()
        running.wait_until_ready()
        running.beside(lambda: journey.run(place, running.stages))
        with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as database:
            events = Events(place, database).measure()
        running.stages.done("events to finished activations measured")
    finally:
        running.stop()
    report(
        {
            "machine": machine(),
            "acknowledgement": acknowledged,
            "events": events,
            "ledger": ledger,
            "budget": budget,
            "workflows": workflows,
            "agency": agency,
        }
    )


def measured_apart(module: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The figures of a benchmark that runs as a process of its own and prints them as JSON."""
    ran = subprocess.run(
        [sys.executable, "-m", module], env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def report(found: dict[str, Any]) -> None:
    RESULT.write_text(json.dumps(found, indent=1))
    print(f"\nWebhook acknowledgement, one event each, {acknowledge.CONNECTIONS} connections")
    print(f"{'':10}{'':10}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'of bare':>10}")
    for server, figures in found["acknowledgement"].items():
        for what in ("bare", "receiver"):
            one, ratio = figures[what], f"{figures['ratio']:.2f}" if what == "receiver" else ""
            speed = f"{one['per_second']:>12,.0f}{one['p50_ms']:>10.1f}{one['p99_ms']:>10.1f}"
            print(f"{server:10}{what:10}{speed}{ratio:>10}")
    single, burst, sustained = (found["events"][name] for name in ("single", "burst", "sustained"))
    print("\nEvents to finished activations (each invoice fetched, filtered, stored)")
    print(f"one event, idle system   median {single['median_ms']:.0f} ms, worst {single['max_ms']:.0f} ms")
    for name, one in (("at once", burst), ("sustained", sustained)):
        speed = f"{one['per_second']:,.0f}/s, {one['look_ups']} calls of GET /Invoices"
        print(f"{one['events']:,} {name:<17} {one['seconds']:.1f} s, {speed}")
    report_ledger(found["ledger"])
    report_budget(found["budget"])
    report_workflows(found["workflows"])
    report_agency(found["agency"])
    print(
        f"\n{found['machine']['cores']} cores shared by load, web, worker, sandbox and PostgreSQL. {RESULT}"
    )


def report_ledger(found: dict[str, Any]) -> None:
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
    print(f"Decoding 1,000 invoices: {faster} times faster than xero-python, {smaller} times less memory")


def report_budget(found: dict[str, Any]) -> None:
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


def report_workflows(found: dict[str, Any]) -> None:
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
        print(f"{name:<32} p50 {one['p50_ms']} ms, p95 {one['p95_ms']} ms, worst {one['max_ms']} ms")
    pages = found["list"]
    print(f"List of {pages['rows']:,} activations: p50 {pages['p50_ms']} ms, p95 {pages['p95_ms']} ms")


def report_agency(found: dict[str, Any]) -> None:
    print(f"\nAn agency of {found['clients']} clients with {found['invoices']:,} invoices")
    for name, one in found["pages"].items():
        print(f"{name:26} p50 {one['p50_ms']:.0f} ms, p95 {one['p95_ms']:.0f} ms, {one['queries']} queries")
    more = found["more_queries_than_with_one_client"]
    print(f"more queries than with one client: {', '.join(more) or 'none'}")


if __name__ == "__main__":
    main()
