"""The pool alone, over connections that are only numbers."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._transport.pool import Pool


class Line:
    """A connection that remembers what was done to it."""

    def __init__(self, number: int, now: float) -> None:
        self.number = number
        self.born = self.idle_since = now
        self.closed = 0
        self.living = True

    def alive(self) -> bool:
        return self.living

    def close(self) -> None:
        self.closed += 1


class World:
    """A clock that is set by hand, and a pool that lives by it."""

    def __init__(self, limit: int = 3, most_idle: int = 2, keepalive: float = 10.0, max_age: float = 100.0) -> None:
        self.now = 0.0
        self.lines: list[Line] = []
        self.broken = False
        self.pool: Pool[Line] = Pool(
            self.open, limit=limit, most_idle=most_idle, keepalive=keepalive, max_age=max_age, clock=lambda: self.now
        )

    def open(self) -> Line:
        if self.broken:
            raise ValueError("cannot open")
        self.lines.append(Line(len(self.lines), self.now))
        return self.lines[-1]

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.pool.used, self.pool.idle, self.pool.waiting


@pytest.mark.anyio
async def test_last_in_is_first_out() -> None:
    """The connection given back last is handed out next."""
    world = World()
    one, two = await world.pool.acquire(), await world.pool.acquire()
    world.pool.release(two)
    world.pool.release(one)
    assert one is await world.pool.acquire()
    assert two is await world.pool.acquire()
    assert (2, 0, 0) == world.counts


@pytest.mark.anyio
async def test_a_free_permit_is_had_without_yielding() -> None:
    """While there is a permit, ``acquire`` does not give up control."""
    world = World()
    coroutine = world.pool.acquire()
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    assert world.lines[0] is done.value.value


@pytest.mark.anyio
async def test_dead_and_old_connections_are_passed_over() -> None:
    """What died, or lay idle or lived too long, is closed when its turn comes."""
    world = World(limit=9, most_idle=9)
    lines = [await world.pool.acquire() for _ in range(3)]
    for line in lines:
        world.pool.release(line)
    lines[2].living = False
    assert lines[1] is await world.pool.acquire()
    world.now = 10.0
    assert world.lines[3:] == [] and (await world.pool.acquire()) is world.lines[3]
    assert [1, 0, 1, 0] == [line.closed for line in world.lines]
    world.now = 100.0
    world.pool.release(lines[1])
    assert 1 == lines[1].closed


@pytest.mark.anyio
async def test_the_sweep_closes_what_nobody_should_use() -> None:
    """A sweep closes the dead, the old and the surplus, and keeps the rest in order."""
    world = World(limit=9, most_idle=3)
    lines = [await world.pool.acquire() for _ in range(4)]
    for line in lines:
        world.pool.release(line)
    assert [1, 0, 0, 0] == [line.closed for line in lines]
    lines[2].living = False
    world.pool.sweep()
    assert [1, 0, 1, 0] == [line.closed for line in lines]
    assert lines[3] is await world.pool.acquire()
    world.now = 11.0
    world.pool.sweep()
    assert (1, 0, 0) == world.counts


@pytest.mark.anyio
async def test_empty_hands_out_what_is_idle() -> None:
    """The idle connections can be taken out all at once."""
    world = World()
    line = await world.pool.acquire()
    world.pool.release(line)
    assert [line] == world.pool.empty()
    assert (0, 0, 0) == world.counts


@pytest.mark.anyio
async def test_waiters_are_served_in_order() -> None:
    """Permits go to those who waited longest, and newcomers do not overtake."""
    world, served = World(limit=1), []

    async def wait(number: int) -> None:
        line = await world.pool.acquire()
        served.append(number)
        await anyio.lowlevel.checkpoint()
        (world.pool.release if number % 2 else world.pool.discard)(line)

    first = await world.pool.acquire()
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(wait, number)
            await anyio.wait_all_tasks_blocked()
        assert (1, 0, 5) == world.counts
        world.pool.release(first)
        tasks.start_soon(wait, 5)
    assert [0, 1, 2, 3, 4, 5] == served
    assert 0 == world.pool.used


@pytest.mark.anyio
async def test_a_cancelled_waiter_hands_its_turn_on() -> None:
    """Neither a waiter that gives up, nor one that gives up just after it was served, takes a permit with it."""
    world = World(limit=1)
    scopes = [anyio.CancelScope() for _ in range(3)]
    served = []

    async def wait(number: int) -> None:
        with scopes[number]:
            line = await world.pool.acquire()
            served.append(number)
            world.pool.release(line)

    line = await world.pool.acquire()
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(wait, number)
            await anyio.wait_all_tasks_blocked()
        scopes[0].cancel()
        await anyio.wait_all_tasks_blocked()
        assert 2 == world.pool.waiting
        world.pool.release(line)
        scopes[1].cancel()
    assert 2 in served
    assert (0, 1, 0) == world.counts


@pytest.mark.anyio
async def test_a_connection_that_cannot_be_opened_costs_no_permit() -> None:
    """An error while opening gives the permit back, for a first connection and for a replacement."""
    world = World(limit=1)
    line = await world.pool.acquire()
    world.broken = True
    with pytest.raises(ValueError, match="cannot open"):
        world.pool.replace(line)
    assert (0, 0, 0, 1) == (*world.counts, line.closed)
    with pytest.raises(ValueError, match="cannot open"):
        await world.pool.acquire()
    assert (0, 0, 0) == world.counts


@given(st.lists(st.sampled_from(["acquire", "release", "discard", "replace", "sweep", "tick", "die"]), max_size=60))
def test_no_connection_is_ever_lost(steps: list[str]) -> None:
    """Whatever happens in whatever order, every connection is in use, idle or closed once, and the permits add up."""
    world = World(limit=4, most_idle=2, keepalive=3.0, max_age=8.0)
    held: list[Line] = []
    for step in steps:
        if step == "acquire" and world.pool.used < 4:
            try:
                world.pool.acquire().send(None)
            except StopIteration as done:
                held.append(done.value)
        elif step == "replace" and held:
            held.append(world.pool.replace(held.pop(0)))
        elif step in ("release", "discard") and held:
            getattr(world.pool, step)(held.pop())
        elif step == "sweep":
            world.pool.sweep()
        elif step == "tick":
            world.now += 1.0
        elif step == "die" and world.lines:
            world.lines[-1].living = False
        assert (len(held), 0) == (world.pool.used, world.pool.waiting)
        assert all(line.closed == 0 for line in held)
    idle = world.pool.empty()
    assert len(idle) <= 2
    assert all((line in idle or line in held) == (line.closed == 0) for line in world.lines)
    assert all(line.closed <= 1 for line in world.lines)
