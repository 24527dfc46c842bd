"""The tools of real MCP servers in runs: processes over stdio, and streamable HTTP on the loopback."""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from answering_server import serving
from asyncllm import Document, FunctionTool, Image, Json, RunContext, SyncClient, Text, ToolCall, ToolError, errors
from asyncllm.testing import ModelRequest, Reply, Simulator, ToolUse
from clients import OpenClient

pytest.importorskip("mcp", reason="needs asyncllm-client[mcp]")
from asyncllm.contrib.mcp import MCPTools

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SERVER = str(Path(__file__).with_name("tool_server.py"))
HOSTS = ("openai", "anthropic", "gemini", "bedrock", "vertex", "azure")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start_http(port: int) -> subprocess.Popen[bytes]:
    """A server that answers already."""
    started = subprocess.Popen([sys.executable, SERVER, "http", str(port)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return started
        time.sleep(0.05)
    raise TimeoutError("the server did not start")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server over HTTP, for all tests that leave it alive."""
    port = free_port()
    started = start_http(port)
    yield f"http://127.0.0.1:{port}/mcp"
    started.terminate()
    started.wait(10)


def stdio(**options: Any) -> MCPTools:
    return MCPTools.stdio(sys.executable, SERVER, "stdio", **options)


async def call(server: MCPTools, name: str, **arguments: Any) -> tuple[Any, ...]:
    tool = next(tool for tool in await server.tools() if tool.name in (name, f"t_{name}"))
    asked = ToolCall("1", name, arguments)
    return await tool.run(asked, RunContext(None, call=asked))


def asks_for(*calls: ToolUse) -> Any:
    def model(request: ModelRequest) -> Reply | str:
        return "; ".join(request.tool_results) if request.tool_results else Reply(tool_calls=calls)

    return model


async def test_a_server_process_is_used_in_a_run(open_client: OpenClient, tmp_path: Path) -> None:
    """Its tools have the prefix and its schemas; failures, wrong arguments and a dead server are for the model."""
    calls = (ToolUse("t_add", {"a": 1, "b": 2}), ToolUse("t_add", {"a": "x", "b": 2}), ToolUse("t_fail"))
    async with stdio(prefix="t") as server:
        async with Simulator(reply=asks_for(*calls)) as sim, open_client(sim) as client:
            run = await client.run("go", tools=[server], provider="openai")
            sent = {tool["function"]["name"]: tool["function"] for tool in sim.requests[0].body["tools"]}
        assert {"a", "b"} == set(sent["t_add"]["parameters"]["properties"])
        assert "Adds two numbers." == sent["t_add"]["description"]
        assert "t_odd_name_of_a_tool" in sent
        assert [False, True, True] == [one.result.is_error for one in run.steps[0].calls]
        for expected in ("3", "do not fit", "Error executing tool fail"):
            assert expected in run.text

        await cancelled(server, tmp_path / "note")
        async with Simulator(reply=asks_for(ToolUse("t_die"))) as sim, open_client(sim) as client:
            run = await client.run("go", tools=[server], provider="openai")
        assert "done" == run.stopped
        assert "ended during the call" in run.text
        assert (Text("3"),) == await call(server, "add", a=1, b=2)


@pytest.mark.parametrize("host", HOSTS)
async def test_a_picture_reaches_every_host(open_client: OpenClient, address: str, host: str) -> None:
    """The picture in a result goes to the model in the form that its host takes."""
    server = MCPTools.http(address)
    async with Simulator(reply=asks_for(ToolUse("draw"))) as sim, open_client(sim) as client:
        run = await client.run("go", tools=[server], provider=host)
        assert "iVBORw0KGgo" in str(sim.requests[-1].body)
    (result,) = run.steps[0].calls
    assert [Image] == [type(part) for part in result.result.content]
    await server.aclose()


async def test_results_of_every_kind_are_parts(address: str) -> None:
    """Text, files and links; a failure that shows a picture."""
    async with MCPTools.http(address) as server:
        text, inside, file, link = await call(server, "everything")
        assert (Text("text"), Text("[file:///a.txt]\ninside")) == (text, inside)
        assert Document(data=b"%PDF-1.4 x", media_type="application/pdf", name="a.pdf") == file
        assert Json({"type": "resource_link", "uri": "file:///b.txt", "name": "b"}) == link
        with pytest.raises(ToolError, match=r"it looks like this: \[Image\]"):
            await call(server, "fail_with_picture")


async def cancelled(server: MCPTools, note: Path) -> None:
    with anyio.move_on_after(20) as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(wait_for, note, "began", scope)
            await call(server, "wait", path=str(note))
    with anyio.fail_after(10):
        await wait_for(note, "cancelled")
    assert (Text("3"),) == await call(server, "add", a=1, b=2)


async def test_a_cancelled_call_is_cancelled_at_the_server(address: str, tmp_path: Path) -> None:
    """A call that has no time left ends at the server too; the connection goes on."""
    async with MCPTools.http(address) as server:
        await cancelled(server, tmp_path / "note")


async def wait_for(note: Path, text: str, then: anyio.CancelScope | None = None) -> None:
    while not await anyio.Path(note).exists() or await anyio.Path(note).read_text() != text:
        await anyio.sleep(0.02)
    if then is not None:
        then.cancel()


async def test_a_server_that_dies_under_a_call(tmp_path: Path) -> None:
    """The call that was running fails at once; the next one fails with a sentence while the server is away."""
    port, note = free_port(), tmp_path / "note"
    started = start_http(port)
    try:
        async with MCPTools.http(f"http://127.0.0.1:{port}/mcp", connect_timeout=5) as server:
            with anyio.fail_after(20):
                async with anyio.create_task_group() as group:

                    async def kill() -> None:
                        await wait_for(note, "began")
                        started.kill()

                    group.start_soon(kill)
                    with pytest.raises(ToolError, match="ended during the call"):
                        await call(server, "wait", path=str(note))
                with pytest.raises(errors.ConnectError, match="cannot be used"):
                    await server.tools()
    finally:
        started.kill()
        started.wait(10)


async def test_servers_that_are_not_there_are_named(tmp_path: Path) -> None:
    """No such program, no such address, a program that is no MCP server: each a sentence."""
    mute = tmp_path / "mute.py"
    mute.write_text("import time; time.sleep(60)")
    for made in (
        MCPTools.stdio(str(tmp_path / "nothing")),
        MCPTools.http(f"http://127.0.0.1:{free_port()}/mcp"),
        MCPTools.stdio(sys.executable, "-c", "print('hello')"),
        MCPTools.stdio(sys.executable, str(mute), connect_timeout=0.5),
    ):
        with anyio.fail_after(20), pytest.raises(errors.ConnectError, match="cannot be used"):
            await made.tools()
        await made.aclose()


async def test_no_secret_of_an_address_or_a_header_is_shown() -> None:
    """A user, a password, a query and a header that the server repeats are in no error, repr or pickle."""
    password, token, key = "canary-PASSWORD-90ffe1", "canary-TOKEN-77aa12", "canaryPLAIN0192837465"
    refusal = {"code": -32000, "message": f"no: {key} {password} {token}"}
    shown = ""
    with serving(lambda asked: {"jsonrpc": "2.0", "id": asked and asked.get("id"), "error": refusal}) as server:
        for url in (server.url, f"http://127.0.0.1:{free_port()}"):
            address = f"{url}/mcp?token={token}".replace("//", f"//ann:{password}@")
            tools = MCPTools.http(address, headers={"x-api-key": key}, connect_timeout=5)
            with anyio.fail_after(20), pytest.raises(errors.ConnectError, match="cannot be used") as caught:
                await tools.tools()
            await tools.aclose()
            shown += f"{tools!r} {caught.value} {caught.value!r} {pickle.dumps(caught.value)!r}"
    assert "127.0.0.1" in shown
    assert [] == [secret for secret in (password, token, key) if secret in shown]
    assert "no: [redacted] [redacted] [redacted]" in shown
    with pytest.raises(errors.BadRequestError, match="must be a URL") as refused:
        MCPTools.http(f"http://ann:{password}@example.com:port/mcp")
    assert password not in str(refused.value)


async def test_tools_are_chosen_by_name(open_client: OpenClient, address: str) -> None:
    """``only`` chooses; a name that is not there, a doubled name and `send` are refused with a sentence."""
    async with MCPTools.http(address, only=["add", "draw"]) as server:
        assert ["add", "draw"] == [tool.name for tool in await server.tools()]
        async with Simulator() as sim, open_client(sim) as client:
            with pytest.raises(errors.BadRequestError, match="set of tools"):
                await client.send("go", tools=[server])
            with pytest.raises(errors.BadRequestError, match="two tools are called 'add'"):
                await client.run("go", tools=[server, MCPTools.http(address)])
            await client.send("go", tools=[*await server.tools()], provider="openai")
            assert 2 == len(sim.requests[-1].body["tools"])
    with pytest.raises(errors.BadRequestError, match="no tool 'nothing'"):
        await MCPTools.http(address, only=["nothing"]).tools()


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_the_blocking_client_uses_them_too(address: str, transport: str) -> None:
    """The connection lives on the loop of the blocking client, and ends with it."""
    server = stdio(env={"SECRET": "told"}) if transport == "stdio" else MCPTools.http(address)
    expected = "told" if transport == "stdio" else "not set"
    model = asks_for(ToolUse("environment", {"name": "SECRET"}))
    with Simulator.in_thread(reply=model) as sim, SyncClient(sim.config(), environ={}) as client:
        assert expected == client.run("go", tools=[server], provider="openai").text
        with client.run_stream("go", tools=[server], provider="openai") as events:
            assert list(events)
            assert expected == events.result.text


ODD = str(Path(__file__).with_name("odd_tool_server.py"))


async def test_odd_servers_side_by_side(open_client: OpenClient) -> None:
    """Two servers with the same names: pages of tools, schemas of all kinds, progress, noise, structured content alone.

    What does not fit a schema and content that is no base64 are errors that the model reads; the rest is answered on
    every host.
    """
    calls = (
        ToolUse("one_same", {"a": 1}),
        ToolUse("two_same", {"a": 2}),
        ToolUse("one_same", {"a": "x"}),
        ToolUse("one_told", {"self": "s", "tool": "t"}),
        ToolUse("two_slow"),
        ToolUse("one_broken"),
        ToolUse("one_bare"),
        ToolUse("one_tree", {"node": {"kids": [{"kids": []}]}}),
        ToolUse("two_old", {"a": None, "extra": 1}),
    )
    one, two = (MCPTools.stdio(sys.executable, ODD, name, prefix=name) for name in ("one", "two"))
    async with one, two:
        names = [tool.name for tool in await one.tools()]
        assert ["bare", "same", "old", "tree", "told", "slow", "broken"] == [name[4:] for name in names]
        assert await one.tools() is await one.tools()
        async with Simulator(reply=asks_for(*calls)) as sim, open_client(sim) as client:
            for host in HOSTS:
                run = await client.run("go", tools=[one, two], provider=host)
                assert "done" == run.stopped
                results = [one.result for one in run.steps[0].calls]
                assert [2, 5] == [place for place, result in enumerate(results) if result.is_error]
                assert (Text('one same {"a": 1}'),) == results[0].content
                assert (Text('two same {"a": 2}'),) == results[1].content
                assert (Json({"given": {"self": "s", "tool": "t"}}),) == results[3].content
                assert (Text("The MCP server gave content that is no base64."),) == results[5].content
                assert (Text('two old {"a": null, "extra": 1}'),) == results[8].content


LEARNERS: tuple[tuple[str, ToolUse, str], ...] = (
    ("stdio", ToolUse("learn"), "extra"),
    ("http", ToolUse("learn"), "extra"),
    ("odd", ToolUse("bare", {"learn": True}), "new"),
)


@pytest.mark.parametrize(("kind", "learn", "name"), LEARNERS, ids=[one[0] for one in LEARNERS])
async def test_tools_that_change_in_a_run(open_client: OpenClient, kind: str, learn: ToolUse, name: str) -> None:
    """A server that says so, in the protocol of today or of before, is asked again: the next step offers its tools."""
    port = free_port()
    process = start_http(port) if kind == "http" else None
    try:
        async with {
            "stdio": stdio,
            "http": lambda: MCPTools.http(f"http://127.0.0.1:{port}/mcp"),
            "odd": lambda: MCPTools.stdio(sys.executable, ODD, "odd"),
        }[kind]() as server:

            async def told(call: ToolCall, context: RunContext[Any]) -> None:
                if context.step == 2:  # the server's word may take another way than the result of the call
                    with anyio.fail_after(10):
                        while not server.changed and name not in [tool.name for tool in await server.tools()]:
                            await anyio.sleep(0.01)

            def wait() -> str:
                """Waits."""
                return "waited"

            async with Simulator() as sim, open_client(sim) as client:
                sim.script(learn, ToolUse("wait_here"), ToolUse(name), "done")
                tools = [server, FunctionTool(wait, name="wait_here")]
                run = await client.run("go", tools=tools, before_tool=told, provider="openai")
                offered = [{tool.name for tool in one.asked.tools} for one in sim.requests if one.asked]
            assert "done" == run.text
            assert (False, True) == (name in offered[0], name in offered[2])
            assert not run.steps[2].calls[0].result.is_error
    finally:
        if process is not None:
            process.terminate()
            process.wait(10)
