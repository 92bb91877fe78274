"""The whole product as real processes, after the main job: one stack for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskjuice.demo import journey
from taskjuice.demo.place import Place, free_port
from taskjuice.demo.running import Running
from taskjuice.demo.stages import Stages


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("survival")
    place = Place(folder, free_port(0), free_port(0))
    stages = Stages()
    product = Running(place, stages)
    try:
        product.start()
        product.beside(lambda: journey.run(place, stages))
        yield product
    finally:
        product.stop()
