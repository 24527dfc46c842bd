"""Shared limits and the response cache on a real cluster of three masters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from asyncllm import Client
from asyncllm._engine import limits
from asyncllm.testing import Simulator
from redis_server import RedisCluster, running_cluster

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with running_cluster() as servers:
        yield servers


def config(sim: Simulator, cluster: RedisCluster, prefix: str, **changes: Any) -> dict[str, Any]:
    shared = {"url": cluster.url, "prefix": prefix, "cluster": True}
    return dict(sim.config(retry={"max_attempts": 1}, shared=shared, **changes))


async def test_a_limit_holds_over_clients_of_a_cluster(
    cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All keys of a prefix lie in one slot, whatever the prefix, so that the script may use them together."""
    monkeypatch.setattr(limits, "MINUTE", 1.0)
    rules = {"limits": {"requests_per_minute": 10, "tokens_per_minute": 100000, "concurrent": 5}}
    for number in range(2):  # prefixes of different slots
        prefix = f"many-{number}-{time.monotonic_ns()}"
        async with (
            Simulator() as sim,
            Client(config(sim, cluster, prefix, **rules), environ={}) as one,
            Client(config(sim, cluster, prefix, **rules), environ={}) as two,
        ):
            await one.send("Hi")  # connections and imports are no part of the measured moments
            await two.send("Hi")
            await anyio.sleep(1.1)
            async with anyio.create_task_group() as tasks:
                for _ in range(6):
                    tasks.start_soon(one.send, "Hi")
                    tasks.start_soon(two.send, "Hi")
            times = sorted(received.time for received in list(sim.requests)[2:])
        assert [] == [line for line in caplog.messages if "gone" in line]
        assert 12 == len(times)
        assert all(late - early > 0.9 for early, late in zip(times, times[10:], strict=False))
    assert [] == [line for line in caplog.messages if "gone" in line]
