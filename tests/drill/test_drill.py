"""The short part of the drill: brought up as documented, keys rotated half-way, one node lost, all under load."""

import shutil
import time
from pathlib import Path

import pytest

from tests.drill import chapters
from tests.drill.installation import installation
from tests.drill.load import LONGEST, Line, Load
from tests.drill.nodes import Node

pytestmark = pytest.mark.processes
LOADED = 2.0  # times as long on a machine that is busy with other tests


def assert_well(line: Line) -> None:
    assert line.trouble == ""
    assert (line.errors, line.lost, line.doubled) == ({}, 0, 0)
    assert line.acknowledged == line.sent > 0
    assert line.longest < LONGEST * LOADED


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
        made.prepare(collect=False)
        made.start()
        made.furnish()
        load = Load(made)
        rotation = load.measure("keys", lambda: chapters.begin_token_key_rotation(made, load))
        loss = load.measure("loss", lambda: lose(made.webs[0], made.workers[0]))
        assert_well(rotation)
        assert_well(loss)
