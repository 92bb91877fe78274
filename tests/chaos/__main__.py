"""`make chaos`: each fault so many times, a table at the end, and an exit code of 1 if anything was
not well.

python -m tests.chaos [--runs 50] [--seed N] [F03 F24 …]
"""

import argparse
import secrets
import shutil
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.cases import CASES
from tests.chaos.product import ChaosProduct, Count


@dataclass
class Line:
    """A fault's line of the table."""

    runs: list[Count] = field(default_factory=list)
    broken: int = 0  # runs that did not come to their count

    @property
    def is_well(self) -> bool:
        return not self.broken and all(count.is_well for count in self.runs)

    def sum(self, name: str) -> int:
        return sum(getattr(count, name) for count in self.runs)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--stacks", type=int, default=3, help="products that run at once")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(CASES)}")
    given = parser.parse_args()
    chosen = given.faults or list(CASES)
    print(f"seed {given.seed}: {len(chosen)} faults, {given.runs} runs each", flush=True)
    lines = {number: Line() for number in chosen}
    folder = Path(tempfile.mkdtemp(prefix="taskjuice-chaos-"))
    stacks = min(given.stacks, given.runs)
    with ThreadPoolExecutor(stacks) as pool:
        parts = [
            pool.submit(
                _run_all, folder / str(n), given.seed + n, len(range(n, given.runs, stacks)), lines
            )
            for n in range(stacks)
        ]
    for part in parts:
        part.result()
    _print_table(lines)
    is_well = all(line.is_well for line in lines.values())
    if is_well:
        shutil.rmtree(folder)
    print(
        f"seed {given.seed}" if is_well else f"seed {given.seed}; logs and data are under {folder}"
    )
    return 0 if is_well else 1


def _run_all(folder: Path, seed: int, runs: int, lines: dict[str, Line]) -> None:
    """So many rounds on a product of its own, the faults in another order each time."""
    with ChaosProduct(folder, seed).run() as product:
        for run in range(runs):
            for number in product.random.sample(list(lines), len(lines)):
                _run(product, number, lines[number], f"{folder.name}: {run + 1}/{runs}")


def _run(product: ChaosProduct, number: str, line: Line, which: str) -> None:
    title, fault = CASES[number]
    try:
        product.wait_until_well()
        count = product.endure(fault)
    except Exception:  # noqa: BLE001 - printed whole, and counted
        traceback.print_exc()
        line.broken += 1
        print(f"{which} {number} broke: {title}", flush=True)
        return
    line.runs.append(count)
    verdict = "well" if count.is_well else str(count)
    print(f"{which} {number} {count.seconds:5.1f} s  {verdict}: {title}", flush=True)


def _print_table(lines: dict[str, Line]) -> None:
    head = ("fault", "runs", "lost", "doubled", "unknown", "stuck", "broken", "longest")
    print(" ".join(f"{name:>8}" for name in head))
    for number, line in lines.items():
        longest = max((count.seconds for count in line.runs), default=0.0)
        sums = (line.sum(name) for name in ("lost", "doubled", "unknown", "stuck"))
        cells = [number, len(line.runs), *sums, line.broken, f"{longest:.1f} s"]
        print(" ".join(f"{cell:>8}" for cell in cells), f" {CASES[number][0]}")


if __name__ == "__main__":
    sys.exit(main())
