"""Conversations in a database: opened by id, written after each exchange, shared by processes, summed up when long."""

from __future__ import annotations

import stat
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncllm import Compact, ConversationSummary, RunContext, SyncClient, errors
from asyncllm.testing import Fault, ModelRequest, Reply, Simulator, ToolUse
from clients import OpenClient

pytestmark = pytest.mark.anyio
PRICES = {"prices": {name: {"input": 1, "output": 10} for name in ("gpt-sim", "gpt-sim-mini", "claude-sim")}}
HOSTS = ("openai", "anthropic", "gemini", "bedrock", "vertex", "azure")


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def calling(request: ModelRequest) -> Reply | str:
    """A model that calls add once for each question, and thinks."""
    if request.tool_results:
        return Reply(text=f"it is {request.tool_results[-1]}", reasoning="easy")
    return Reply(reasoning="I should add.", tool_calls=(ToolUse("add", {"a": 1, "b": 2}),))


async def drain(events: Any) -> None:
    async for _ in events:
        pass


async def test_what_is_said_is_there_after_the_process(open_client: OpenClient, tmp_path: Path) -> None:
    """Sent, streamed and run exchanges are in the file at once; open gives them to the next client."""
    url = f"sqlite:///{tmp_path / 'chats.db'}"
    async with Simulator(reply=calling) as sim:
        async with open_client(sim, catalog=PRICES) as client, client.conversations(url) as chats:
            talk = await chats.open("u1/a", system="Be brief.", tools=[add])
            assert ("u1/a", 1) == (talk.id, len(talk.messages))
            await talk.run("one   two")
            await drain(talk.run_stream("three"))
            await drain(talk.stream("four"))
            async with talk.stream("left") as stream:
                await stream.__anext__()
            other = await chats.open("u2/b", provider="anthropic")
            await other.send("hello")
            listed = await chats.list()
            assert ["u2/b", "u1/a"] == [one.id for one in listed]
            assert ["u1/a"] == [one.id for one in await chats.list(prefix="u1/")]
            assert [] == await chats.list(prefix="%")
            assert ("one two", len(talk.messages), talk.cost, "openai") == (
                listed[1].title,
                listed[1].messages,
                listed[1].cost,
                listed[1].provider,
            )
        async with open_client(sim, catalog=PRICES) as client, client.conversations(url) as chats:
            again = await chats.open("u1/a", system="not again", tools=[add])
            assert (talk.messages, talk.cost, talk.unpriced) == (again.messages, again.cost, again.unpriced)
            again.rewind(1)
            await again.save()
            assert len(talk.messages) - 2 == len((await chats.open("u1/a")).messages)
            assert await chats.delete("u1/a")
            assert not await chats.delete("u1/a")
            assert () == (await chats.open("u1/a")).messages
    assert 0o600 == stat.S_IMODE((tmp_path / "chats.db").stat().st_mode)


@pytest.mark.parametrize("host", HOSTS)
async def test_every_host_goes_on_from_the_file(open_client: OpenClient, tmp_path: Path, host: str) -> None:
    """Signed reasoning, calls and results come back from the database as the host gave them."""
    url = f"sqlite:///{tmp_path / 'chats.db'}"
    async with Simulator(reply=calling) as sim:
        for number in range(2):
            async with open_client(sim) as client, client.conversations(url) as chats:
                talk = await chats.open("x", provider=host, tools=[add], reasoning="low")
                run = await talk.run(f"question {number}")
                assert "it is 3" == run.text
        assert 8 == len(talk.messages)
        assert not [warning for step in run.steps for warning in step.reply.warnings if "left out" in warning]


async def test_two_do_not_overwrite_each_other(open_client: OpenClient, tmp_path: Path) -> None:
    """Who has an old version is told before anything is sent; one that comes second after sending is told as well."""
    url = f"sqlite:///{tmp_path / 'chats.db'}"
    async with Simulator(reply="ok") as sim, open_client(sim) as client:
        first = await client.conversations(url).open("x")
        second = await client.conversations(url).open("x")
        await first.send("one")
        asked = len(sim.requests)
        with pytest.raises(errors.ConversationConflictError, match="nothing was sent"):
            await second.send("two")
        assert asked == len(sim.requests)
        with pytest.raises(errors.ConversationConflictError, match="in this object only"):
            await drain(second.stream("two"))
        assert 2 == len(second.messages)
        chats = client.conversations(url)
        fork = (await chats.open("x")).fork(provider="anthropic")
        await chats.put("y", fork)
        await fork.send("from here")
        assert (2, 4) == (len((await chats.open("x")).messages), len((await chats.open("y")).messages))
        with pytest.raises(errors.ConversationConflictError):
            await chats.put("x", fork)
        await chats.delete("x")
        with pytest.raises(errors.ConversationConflictError):
            await first.send("gone")


async def test_one_store_serves_many_tasks(open_client: OpenClient, tmp_path: Path) -> None:
    """Fifty conversations at once on one new file."""
    async with Simulator(reply="ok") as sim, open_client(sim) as client:
        chats = client.conversations(f"sqlite:///{tmp_path / 'chats.db'}")

        async def speak(number: int) -> None:
            talk = await chats.open(f"chat-{number}")
            await talk.send("one")
            await talk.send("two")

        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(speak, number)
        assert 50 == len(await chats.list(limit=1000))
        assert {4} == {one.messages for one in await chats.list(limit=1000)}
        assert 10 == len(await chats.list(limit=10, offset=40))
        await chats.aclose()


@pytest.mark.slow
def test_processes_share_a_file(tmp_path: Path) -> None:
    """Four processes open a new file at the same moment, each with chats of its own; nothing is lost."""
    program = """
import sys, asyncllm
with asyncllm.SyncClient({"active_provider": "openai", "providers": {"openai": {"api_key": "k", "base_url": sys.argv[1],
                          "fallback_models": ["gpt-sim"]}}}, environ={}) as client:
    chats = client.conversations(sys.argv[2])
    talks = [chats.open(f"{sys.argv[3]}/{number}") for number in range(5)]
    for talk in talks * 2:
        talk.send("hello")
"""
    url = f"sqlite:///{tmp_path / 'chats.db'}"
    with Simulator.in_thread() as sim, SyncClient(sim.config(), environ={}) as client:
        started = [
            subprocess.Popen([sys.executable, "-c", program, sim.url("openai"), url, str(number)])
            for number in range(4)
        ]
        assert [0] * 4 == [one.wait(60) for one in started]
        with client.conversations(url) as chats:
            found = chats.list(prefix="2/")
            assert (5, {4}) == (len(found), {one.messages for one in found})
            talk = chats.open("2/3")
            assert "2/3" == talk.id
            assert talk.send("and now?").text
            assert 6 == len(chats.open("2/3").messages)
            assert 20 == len(chats.list())
            fork = talk.fork()
            chats.put("fork", fork)
            fork.rewind(1)
            fork.save()
            assert 4 == len(chats.open("fork").messages)
            assert chats.delete("fork")


class InADict:
    """A store of an application's own."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[ConversationSummary, str]] = {}

    async def load(self, id: str) -> tuple[str, int] | None:
        found = self.rows.get(id)
        return None if found is None else (found[1], found[0].version)

    async def version(self, id: str) -> int:
        return self.rows[id][0].version if id in self.rows else 0

    async def save(self, summary: ConversationSummary, text: str) -> bool:
        if await self.version(summary.id) != summary.version - 1:
            return False
        self.rows[summary.id] = (summary, text)
        return True

    async def list(self, *, prefix: str, limit: int, offset: int) -> Any:
        return [one for one, _ in self.rows.values()]

    async def delete(self, id: str) -> bool:
        return self.rows.pop(id, None) is not None

    async def aclose(self) -> None:
        self.rows.clear()


async def test_an_application_has_its_own_database(open_client: OpenClient) -> None:
    """Six methods are enough."""
    store = InADict()
    async with Simulator(reply="ok") as sim, open_client(sim) as client, client.conversations(store) as chats:
        talk = await chats.open("x")
        await talk.send("one")
        assert 2 == store.rows["x"][0].messages
        assert talk.messages == (await chats.open("x")).messages
    assert {} == store.rows


async def test_what_cannot_be_used_is_said(open_client: OpenClient, tmp_path: Path) -> None:
    """A wrong URL, a folder that is not there, a file that is no database, an id that is none."""
    (tmp_path / "no.db").write_text("this is no database, " * 100)
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.ConfigurationError, match="sqlite:///path"):
            client.conversations("mysql://x")
        for path in (tmp_path / "missing" / "x.db", tmp_path / "no.db"):
            with pytest.raises(errors.ConfigurationError, match="cannot be read or written"):
                await client.conversations(f"sqlite:///{path}").open("x")
        with pytest.raises(errors.BadRequestError, match="id of a conversation"):
            await client.conversations(":memory:").open("")


# Long histories.


async def test_a_long_history_is_summed_up_by_itself(open_client: OpenClient) -> None:
    """Above its tokens the older part becomes a summary, before a call and after a stream; no tool is called for it."""
    asked: list[Any] = []

    def model(request: ModelRequest) -> str:
        if "Sum up" in request.prompt:
            asked.append(request)
            return "They talked."
        return "word " * 200

    async with Simulator(reply=model) as sim, open_client(sim, catalog=PRICES) as client:
        rule = Compact(tokens=500, keep_turns=1)
        talk = client.conversation(system="sys", provider="openai", compact=rule, tools=[add])
        for number in range(3):
            await talk.send(f"q{number}")
        assert 1 == len(asked)
        assert "They talked." in talk.messages[1].text
        assert ("sys", "q2") == (talk.messages[0].text, talk.messages[-2].text)
        (summing,) = [one.body for one in sim.requests if "Sum up" in str(one.body["messages"][-1])]
        assert "none" == summing["tool_choice"]
        await drain(talk.stream("q3"))
        assert 2 == len(asked)
        sim.on("*", Fault(status=400, times=1))
        with pytest.raises(errors.BadRequestError):
            await client.conversation(messages=[*talk.messages * 2], compact=rule, provider="openai").send("q")
    for wrong in ({"tokens": 0}, {"tokens": 10, "by": "nobody"}, {"tokens": 10, "keep_turns": -1}):
        with pytest.raises(errors.BadRequestError):
            Compact(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("anthropic", {"edits": [{"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 60_000}}]}),
        ("responses", [{"type": "compaction", "compact_threshold": 60_000}]),
        ("gemini", None),
        ("bedrock", None),
        ("openai", None),
    ],
)
async def test_the_provider_sums_up_where_it_can(open_client: OpenClient, host: str, expected: Any) -> None:
    """Anthropic and the Responses API are told the bound; the others refuse by name."""
    async with Simulator(reply="ok") as sim:
        providers = sim.config()["providers"]
        both = {**providers, "responses": {**providers["openai"], "kind": "openai", "api": "responses"}}
        async with open_client(sim, providers=both) as client:
            talk = client.conversation(provider=host, compact=Compact(tokens=60_000, by="provider"))
            if expected is None:
                with pytest.raises(errors.UnsupportedParameterError, match="compact_at"):
                    await talk.send("hello", fallback=[])
                return
            await talk.send("hello")
            assert expected == sim.requests[-1].body["context_management"]
            assert ("compact-2026-01-12" in sim.requests[-1].headers.get("anthropic-beta", "")) == (host == "anthropic")


async def test_keywords_of_runs_hold_for_runs_only(open_client: OpenClient) -> None:
    """A conversation that was made with deps and max_steps can send and stream as well."""

    def look(context: RunContext[str]) -> str:
        """Looks."""
        return context.deps

    async with Simulator(reply="ok") as sim, open_client(sim) as client:
        talk = client.conversation(tools=[look], deps="x", max_steps=3)
        assert "ok" == (await talk.send("one")).text
        await drain(talk.stream("two"))
        assert "ok" == (await talk.run("three")).text
        assert Decimal(0) == talk.cost
