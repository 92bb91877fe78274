"""Writing together: nobody waits for company, everybody is told how it went."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from taskjuice import group_commit as writing
from taskjuice.group_commit import GroupCommit, TooSlow


class Broken(Exception):
    pass


class Writer:
    """Notes what it is given; the first write waits until it is let go. `fails`: which writes
    raise.
    """

    def __init__(self, *fails: int) -> None:
        self.written: list[list[int]] = []
        self.fails = fails
        self.began, self.let_go = threading.Event(), threading.Event()

    def __call__(self, items: Sequence[int]) -> None:
        self.written.append(sorted(items))
        number = len(self.written)
        if number == 1:
            self.began.set()
            assert self.let_go.wait(10)
        if number in self.fails:
            raise Broken


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def bring(writer: Writer, *, count: int = 4) -> tuple["GroupCommit[int]", dict[int, str]]:
    """One item, and `count` - 1 more while that is written: how each ended."""
    together, ends = GroupCommit(writer, seconds=10, most=100), dict[int, str]()

    def add(item: int) -> None:
        try:
            together.add(item)
            ends[item] = "written"
        except Broken:
            ends[item] = "refused"

    threads = [threading.Thread(target=add, args=(item,)) for item in range(count)]
    threads[0].start()
    assert writer.began.wait(10)
    for thread in threads[1:]:
        thread.start()
    until(lambda: len(together._waiting) == count - 1)
    assert ends == {}
    writer.let_go.set()
    for thread in threads:
        thread.join(10)
    return together, ends


def test_alone_is_written_at_once() -> None:
    written: list[list[str]] = []
    together = GroupCommit[str](lambda items: written.append(list(items)), seconds=10, most=100)
    together.add("a")
    together.add("b")
    assert written == [["a"], ["b"]]


def test_what_comes_meanwhile_is_written_together() -> None:
    writer = Writer()
    _, ends = bring(writer)
    assert (writer.written, ends) == ([[0], [1, 2, 3]], dict.fromkeys(range(4), "written"))


def test_failure_is_told_to_those_of_the_write_and_those_who_wait() -> None:
    writer = Writer(1)
    together, ends = bring(writer)
    assert (writer.written, ends) == ([[0]], dict.fromkeys(range(4), "refused"))
    together.add(4)
    assert writer.written == [[0], [4]]


def test_failure_of_a_later_write_leaves_the_earlier_one_alone() -> None:
    writer = Writer(2)
    together, ends = bring(writer)
    assert ends == {0: "written", 1: "refused", 2: "refused", 3: "refused"}
    together.add(4)
    assert writer.written == [[0], [1, 2, 3], [4]]


def test_many_threads_lose_nothing() -> None:
    written: list[int] = []

    def write(items: Sequence[int]) -> None:
        time.sleep(0.001)
        written.extend(items)

    together = GroupCommit(write, seconds=10, most=100)

    def add(first: int) -> None:
        for item in range(first, first + 50):
            together.add(item)
            assert item in written  # nobody is told before it is

    threads = [threading.Thread(target=add, args=(50 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(written) == list(range(400))


def test_interrupted_write_lets_others_go_on() -> None:
    def interrupted(items: Sequence[int]) -> None:
        raise KeyboardInterrupt

    together = GroupCommit(interrupted, seconds=10, most=100)
    for item in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            together.add(item)


def test_nobody_waits_longer_than_it_may_for_a_write_that_does_not_end() -> None:
    writer = Writer()
    together = GroupCommit(writer, seconds=0.2, most=100)
    first = threading.Thread(target=together.add, args=(1,))
    first.start()
    assert writer.began.wait(10)
    with pytest.raises(TooSlow):
        together.add(2)
    assert together._waiting == []
    writer.let_go.set()
    first.join()
    together.add(3)
    assert writer.written == [[1], [3]]


def test_threads_beyond_those_that_may_wait_stay_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SLOW_SECONDS", 0.0)
    writer = Writer()
    together = GroupCommit(writer, seconds=10, most=1)
    threads = [threading.Thread(target=together.add, args=(item,)) for item in (1, 2)]
    threads[0].start()
    assert writer.began.wait(10)
    threads[1].start()
    until(lambda: len(together._waiting) == 1)
    with pytest.raises(TooSlow):
        together.add(3)
    writer.let_go.set()
    for thread in threads:
        thread.join()
    assert writer.written == [[1], [2]]
