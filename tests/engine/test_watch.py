"""The watch over open streams: exact on a clock that only the test moves."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from asyncllm._engine.lifetime import Background, Watch


class Clock:
    """A clock that stands still, and keeps what should run in the background."""

    def __init__(self) -> None:
        self.now = 0.0
        self.works: list[Callable[[], Coroutine[Any, Any, None]]] = []

    def clock(self) -> float:
        return self.now

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.works.append(work)


class Waiting:
    """Something that is due at one moment."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.expired: list[float] = []
        self.clock: Callable[[], float] = lambda: math.nan

    def due(self, now: float) -> float:
        return self.at

    def expire(self) -> None:
        self.expired.append(self.clock())


def watch_of(*streams: Waiting) -> tuple[Clock, Watch]:
    clock = Clock()
    watch = Watch(clock)  # type: ignore[arg-type]  # it needs a clock and a place for its task, no loop
    for stream in streams:
        stream.clock = clock.clock
        watch.add(stream)
    return clock, watch


def test_a_stream_expires_at_its_moment_and_not_before() -> None:
    """What is due at 5 is left alone at 4.999 and expires at 5, once."""
    stream = Waiting(5)
    clock, watch = watch_of(stream)
    clock.now = 4.999
    assert watch.look() == 5
    clock.now = 5.0
    assert watch.look() == math.inf
    watch.look()
    assert stream.expired == [5.0]


def test_the_watch_looks_again_at_the_earliest_moment() -> None:
    """Of several streams the earliest decides when to look."""
    streams = Waiting(7), Waiting(3), Waiting(9)
    _, watch = watch_of(*streams)
    assert watch.look() == 3


def test_a_stream_that_was_removed_never_expires() -> None:
    """A stream that ended in time is forgotten."""
    stream = Waiting(1)
    clock, watch = watch_of(stream)
    watch.remove(stream)
    clock.now = 2.0
    assert watch.look() == math.inf
    assert stream.expired == []


def test_an_abandoned_stream_is_not_kept_alive() -> None:
    """The watch holds no stream that nobody else holds."""
    clock, watch = watch_of(Waiting(1))
    gc.collect()
    clock.now = 2.0
    assert watch.look() == math.inf


def test_one_task_serves_all_streams() -> None:
    """The second stream does not start a second task."""
    kept = Waiting(1), Waiting(2)
    clock, _ = watch_of(*kept)
    assert len(clock.works) == 1


@pytest.mark.anyio
async def test_a_stream_added_later_with_an_earlier_moment_is_seen() -> None:
    """A stream that is due before the watch meant to look wakes it."""
    background = Background()
    watch = Watch(background)
    late, early = Waiting(background.clock() + 60), Waiting(background.clock() + 0.03)
    late.clock = early.clock = background.clock
    watch.add(late)
    await anyio.sleep(0.01)
    watch.add(early)
    await anyio.sleep(0.05)
    background.stop()
    assert len(early.expired) == 1
    assert early.expired[0] >= early.at
    assert late.expired == []
