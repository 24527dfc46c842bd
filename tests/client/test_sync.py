"""The blocking client: the same verbs, from any thread, without an event loop of the caller's."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from asyncllm import Client, SyncClient, TextDelta, errors
from asyncllm.testing import Fault, Reply, Simulator

LONG = "one two three four five six seven eight nine ten"


def test_send_and_stream_as_the_async_client_does() -> None:
    """The same words give the same values, without await."""
    with Simulator.in_thread(reply=LONG) as sim, SyncClient(sim.config(), environ={}) as client:
        assert LONG == client.send("Count").text
        stream = client.stream("Count")
        events = list(stream)
        assert LONG == "".join(map(str, events)) == stream.response.text
        assert any(isinstance(event, TextDelta) for event in events)
        assert LONG == "".join(client.stream("Count", provider="anthropic").text())


def test_a_stream_may_be_left_early() -> None:
    """Leaving the with block closes the connection, and the client goes on."""
    with Simulator.in_thread(reply=LONG, chunk_delay=0.005) as sim, SyncClient(sim.config(), environ={}) as client:
        with client.stream("Count") as stream:
            for event in stream:
                if event.text:
                    break
        assert "cancelled" == stream.response.attempts[0].outcome
        assert [] == list(stream)
        assert client.send("Count").text


def test_errors_come_out_as_they_are() -> None:
    """An error of the call is raised in the calling thread, with its facts."""
    config = {"retry": {"max_attempts": 1}}
    with Simulator.in_thread() as sim, SyncClient(sim.config(**config), environ={}) as client:
        sim.on("*", Fault(status=429, retry_after=3))
        with pytest.raises(errors.RateLimitError) as caught:
            client.send("Hi", fallback=[])
        assert 3.0 == caught.value.retry_after
        with pytest.raises(errors.BadRequestError):
            client.stream([])
        with pytest.raises(TypeError, match="temprature"):
            client.send("Hi", temprature=1)


def test_twenty_threads_on_one_client() -> None:
    """Many threads share a client, and each gets its own answers."""
    with (
        Simulator.in_thread(reply=lambda request: Reply(text=request.prompt)) as sim,
        SyncClient(sim.config(), environ={}) as client,
        ThreadPoolExecutor(20) as threads,
    ):
        asked = [f"n{number}" for number in range(60)]
        assert asked == list(threads.map(lambda text: client.send(text).text, asked))
        assert asked == list(threads.map(lambda text: "".join(client.stream(text).text()), asked))


def test_the_environment_makes_a_client() -> None:
    """from_env works as on the async client, and a Client may be taken over."""
    with Simulator.in_thread(reply="ok") as sim:
        environ = {"OPENAI_API_KEY": "sk-sim-openai", "OPENAI_BASE_URL": sim.url("openai"), "ASYNCLLM_MODEL": "gpt-sim"}
        with SyncClient.from_env(environ) as client:
            assert "ok" == client.send("Hi").text
        with SyncClient(Client(sim.config(), environ={})) as client:
            assert "ok" == client.send("Hi").text


def test_models_and_costs_without_async(tmp_path: Path) -> None:
    """Listing, validating, counting and reporting are the async client's, blocking."""
    with Simulator.in_thread(models=["a", "b"]) as sim, SyncClient(sim.config(), environ={}) as client:
        assert not client.refresh_models("openai").hosts["openai"].errors
        assert ["a", "b"] == [info.name for info in client.models("openai")]
        assert client.validate_model("openai", "a").usable
        assert client.count_tokens("Hello there", provider="anthropic").input_tokens > 0
        client.send("Hi", model="a")
        assert ["a"] == [row.group["model"] for row in client.report(by=["model"])]
        assert 4 == client.export_csv(tmp_path / "costs.csv")  # the questions have rows of their own


def test_a_closed_client_says_so() -> None:
    """Closing twice is fine, calling after it is a sentence, and closing an unused client is nothing."""
    before = set(threading.enumerate())  # another test may have left a client open
    with Simulator.in_thread() as sim:
        client = SyncClient(sim.config(), environ={})
        client.send("Hi")
        client.close()
        client.close()
        with pytest.raises(errors.ClientStateError, match="closed"):
            client.send("Hi")
        SyncClient(sim.config(), environ={}).close()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "asyncllm"]


def run(code: str, *, timeout: float = 60.0, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of its own, with resource warnings as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environ},
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        """
        from asyncllm import SyncClient
        from asyncllm.testing import Simulator
        with Simulator.in_thread(reply="ok") as sim:
            client = SyncClient(sim.config(), environ={})
            print(client.send("Hi").text)
        """,
        """
        import asyncio
        from asyncllm import Client
        from asyncllm.testing import Simulator
        async def main():
            async with Simulator(reply="ok") as sim:
                client = Client(sim.config(), environ={})
                print((await client.send("Hi")).text)
        asyncio.run(main())
        """,
        """
        import trio
        from asyncllm import Client
        from asyncllm.testing import Simulator
        async def main():
            async with Simulator(reply="ok") as sim:
                client = Client(sim.config(), environ={})
                print((await client.send("Hi")).text)
        trio.run(main)
        """,
        """
        import asyncio
        from asyncllm import Client
        from asyncllm.testing import Simulator
        with Simulator.in_thread(reply="ok") as sim:
            client = Client(sim.config(), environ={})
            async def main():
                async for _ in client.stream("Hi"):
                    pass
                return (await client.send("Hi")).text
            print({asyncio.run(main()) for _ in range(5)}.pop())
        """,
        """
        import asyncio
        from asyncllm import Client
        from asyncllm.testing import Simulator
        async def main():
            async with Simulator(reply="ok " * 50, chunk_delay=0.01) as sim:
                client = Client(sim.config(), environ={})
                async for event in client.stream("Hi"):
                    if event.text:
                        print("ok")
                        break
        asyncio.run(main())
        """,
    ],
    ids=["sync", "asyncio", "trio", "five runs", "left stream"],
)
def test_an_unclosed_client_neither_hangs_nor_warns_at_exit(code: str) -> None:
    """A program that forgets to close its client ends quietly, and does not hang."""
    done = run(code)
    assert ("ok\n", "", 0) == (done.stdout, done.stderr, done.returncode)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_an_interrupt_in_the_middle_of_a_call_ends_the_program() -> None:
    """Ctrl-C during a blocking call ends it within seconds."""
    code = """
        import os, signal, threading, time
        from asyncllm import SyncClient
        from asyncllm.testing import Fault, Simulator
        with Simulator.in_thread() as sim:
            sim.on("*", Fault.stall(after="request"))
            client = SyncClient(sim.config(), environ={})
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            began = time.monotonic()
            try:
                client.send("Hi")
            except KeyboardInterrupt:
                print("interrupted", time.monotonic() - began < 2)
        """
    done = run(code)
    assert ("interrupted True\n", "", 0) == (done.stdout, done.stderr, done.returncode)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_after_a_fork_there_is_a_sentence() -> None:
    """A blocking client that was used before a fork says so in the child instead of hanging."""
    code = """
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
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            client.close()
        """
    done = run(code)
    assert ("7\n", "", 0) == (done.stdout, done.stderr, done.returncode)
