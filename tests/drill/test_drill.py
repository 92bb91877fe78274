"""The short part of the drill: brought up as documented, keys rotated half-way, one node lost, all
under load.
"""

import shutil
import time
from pathlib import Path

import pytest

from tests.drill import chapters
from tests.drill.installation import Installation, installation
from tests.drill.load import LONGEST, Line, Load
from tests.drill.nodes import Node

pytestmark = pytest.mark.processes
LOADED = 2.0  # times as long on a machine that is busy with other tests


def assert_well(line: Line) -> None:
    assert line.trouble == ""
    assert (line.errors, line.lost, line.doubled) == ({}, 0, 0)
    assert line.acknowledged == line.sent > 0
    assert line.longest < LONGEST * LOADED


def rotate_on_workers(made: Installation, old: str, new: str) -> None:
    """Go through the phases in which nodes differ: each says what it knows, and `--status` what
    comes next.
    """
    first, second = made.workers
    chapters.until_advised(made, "TOKEN_KEYS", "put it at the end on")
    assert sorted(set(map(len, made.key_lists("TOKEN_KEYS")))) == [1, 2]
    made.set(first, TOKEN_KEYS=f"{old},{new}")
    made.restart(first)
    chapters.until_advised(made, "TOKEN_KEYS", "put it in front")
    assert len(set(made.key_lists("TOKEN_KEYS"))) == 1
    made.set(second, TOKEN_KEYS=f"{new},{old}")
    made.restart(second)
    chapters.until_advised(made, "TOKEN_KEYS", "in front on the other nodes as well")
    assert len(set(made.key_lists("TOKEN_KEYS"))) == 2


def lose(*nodes: Node) -> None:
    for node in nodes:
        node.kill()
        time.sleep(3)


def test_keys_in_phases_and_a_lost_node_are_met_by_neither_error_nor_wait(
    tmp_path_factory: pytest.TempPathFactory, prepared: Path
) -> None:
    folder = tmp_path_factory.mktemp("drill")
    with installation(folder, workers=2, hosts=False) as made:
        for node in made.webs:
            shutil.copytree(prepared / "static", node.folder / "static")
        old, new = made.workers[0].settings["TOKEN_KEYS"], chapters.fresh_token_key()
        for node in [*made.webs, made.workers[1]]:  # the first step is done on all nodes but one
            made.set(node, TOKEN_KEYS=f"{old},{new}")
        made.prepare(collect=False)
        made.start()
        made.furnish()
        load = Load(made)
        rotation = load.measure("keys", lambda: rotate_on_workers(made, old, new))
        loss = load.measure("loss", lambda: lose(made.webs[0], made.workers[0]))
        assert_well(rotation)
        assert_well(loss)
