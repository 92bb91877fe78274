"""The whole product as real processes, after the main job: one stack for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskjuice.demo import journey
from taskjuice.demo.running import Running
from taskjuice.demo.stages import Stages
from tests.live import furnish


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[Running]:
    place = furnish(tmp_path_factory.mktemp("survival"), prepared)
    stages = Stages()
    product = Running(place, stages)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(
                "DATABASE_POOL", "true"
            )  # as where one file of settings serves web and worker
            product.start()
        product.beside(lambda: journey.run(place, stages))
        yield product
    finally:
        product.stop()
