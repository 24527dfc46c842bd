"""Clients and the programs around them: event loops, threads, idle connections, unclosed clients, interrupts, forks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncllm import Client
from asyncllm.testing import Simulator

pytestmark = pytest.mark.slow
PROGRAMS = {
    "five asyncio.run, twenty threads, trio": """
        import asyncio, threading, trio
        from asyncllm import Client, SyncClient
        from asyncllm.testing import Simulator
        with Simulator.in_thread(reply="ok") as sim:
            client = Client(sim.config(), environ={})
            async def main():
                async for _ in client.stream("Hi"):
                    pass
                return (await client.send("Hi")).text
            assert {asyncio.run(main()) for _ in range(5)} == {"ok"}
            assert trio.run(main) == "ok"
            with SyncClient(sim.config(), environ={}) as blocking:
                texts = []
                work = lambda: texts.append(blocking.send("Hi").text + "".join(blocking.stream("Hi").text()))
                threads = [threading.Thread(target=work) for _ in range(20)]
                [thread.start() for thread in threads]
                [thread.join() for thread in threads]
                assert texts == ["okok"] * 20
        print("ok")
        """,
    "unclosed client in the middle of a call": """
        import asyncio
        from asyncllm import Client
        from asyncllm.testing import Fault, Simulator
        async def main():
            client = Client(sim.config(limits={"concurrent": 1}, hedging={"after": 0.05}), environ={})
            tasks = [asyncio.ensure_future(client.send("Hi")) for _ in range(3)]
            await asyncio.sleep(0.2)
        with Simulator.in_thread() as sim:
            sim.on("*", Fault.stall(after="request"))
            asyncio.run(main())
        print("ok")
        """,
    "Ctrl-C in the middle of a retry": """
        import os, signal, threading
        from asyncllm import SyncClient
        from asyncllm.testing import Fault, Simulator
        with Simulator.in_thread() as sim:
            sim.on("*", Fault.status(429, retry_after=30))
            client = SyncClient(sim.config(), environ={})
            threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                client.send("Hi", fallback=[])  # going on to another model would be told on stderr
            except KeyboardInterrupt:
                print("ok")
        """,
    "a fork": """
        import os, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from asyncllm import SyncClient, errors
        from asyncllm.testing import Simulator
        with Simulator.in_thread(reply="ok") as sim:
            client = SyncClient(sim.config(), environ={})
            client.send("Hi")
            child = os.fork()
            if child == 0:
                try:
                    client.send("Hi")
                except errors.ClientStateError as error:
                    os._exit(7 if "fork" in str(error) else 1)
                os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            print("ok")
        """,
    "a second living loop": """
        import asyncio, threading
        from asyncllm import Client, errors
        from asyncllm.testing import Simulator
        with Simulator.in_thread(reply="ok", latency=1) as sim:
            client = Client(sim.config(), environ={})
            first = threading.Thread(target=lambda: asyncio.run(client.send("Hi")))
            first.start()
            async def second():
                while not sim.in_flight:
                    await asyncio.sleep(0.01)
                try:
                    await client.send("Hi")
                except errors.ClientStateError as error:
                    print("ok" if "another running event loop" in str(error) else error)
            asyncio.run(second())
            first.join()
        """,
}


@pytest.mark.skipif(os.name != "posix", reason="sends signals and forks")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_quietly_and_soon(record: Any, name: str) -> None:
    """Whatever state it leaves its clients in, a program ends within seconds and without a warning."""
    code = textwrap.dedent(PROGRAMS[name]) + "import time; print(time.monotonic())\n"
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    told, ended = done.stdout.split()
    seconds = time.monotonic() - float(ended)
    record(name, f"{len(done.stderr)} bytes of warnings, exit after {seconds:.2f} s", "no warning, <= 3 s")
    assert ("ok", "", 0) == (told, done.stderr, done.returncode)
    assert seconds <= 3


def close_wait(port: int) -> int:
    """How many of our sockets to a local port wait to be closed."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in _table(Path("/proc/self/net", name))]
    return sum(row[3] == "08" and int(row[2].rsplit(":", 1)[1], 16) == port for row in rows)


def _table(path: Path) -> list[str]:
    return path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else []


@pytest.mark.anyio
async def test_idle_connections_after_a_burst(record: Any, anyio_backend: str) -> None:
    """After sixty-four calls at once twenty connections stay, none after their time, and no socket in CLOSE_WAIT."""
    http = {"keepalive": 0.4}
    async with Simulator(reply="ok", latency=0.05) as sim, Client(sim.config(http=http), environ={}) as client:
        async with anyio.create_task_group() as tasks:
            for _ in range(64):
                tasks.start_soon(client.send, "Hi")
        await anyio.sleep(0.1)
        kept, waiting = sim.open_connections, close_wait(sim.port)
        await anyio.sleep(1.2)
        left = sim.open_connections
        waiting += close_wait(sim.port)
    record(
        f"after a burst of 64, {anyio_backend}",
        f"{waiting} in CLOSE_WAIT, {max(0, kept - 20)} beyond 20 idle, {left} after keepalive",
        "0, 0, 0",
    )
    assert (0, 0, True) == (waiting, left, kept <= 20)
