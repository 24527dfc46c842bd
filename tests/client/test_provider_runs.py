"""Programs that use tools of the provider, against the simulator: parts, citations, fees, and the history sent back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from asyncllm import Client, CodeExecution, FileSearch, MCPServer, Message, Response, WebSearch
from asyncllm.errors import ServerError
from asyncllm.schema import ProviderToolCall, ProviderToolResult, Text, Unknown
from asyncllm.testing import HostedUse, Reply, Simulator, ToolUse

pytestmark = pytest.mark.anyio
PAGES = (("https://python.org/a", "A"), ("https://python.org/b", "B"))
SEARCH = HostedUse("web_search", "python news", "Python 4 is out.", PAGES)
CODE = HostedUse("code_execution", "print(6*7)", "42\n")
FILES = HostedUse("file_search", "who?", "It was Ada.", (("file-1", "who.txt"),))
ASK = HostedUse("mcp", "why?", "Because.")
SERVER = MCPServer("https://mcp.example.com/x")
HAVE: tuple[tuple[str, str, Any, HostedUse], ...] = (
    ("anthropic", "claude-sonnet-5-5", WebSearch(), SEARCH),
    ("anthropic", "claude-sonnet-5-5", CodeExecution(), CODE),
    ("anthropic", "claude-sonnet-5-5", SERVER, ASK),
    ("responses", "gpt-5.4-mini", WebSearch(), SEARCH),
    ("responses", "gpt-5.4-mini", CodeExecution(), CODE),
    ("responses", "gpt-5.4-mini", FileSearch(["vs"]), FILES),
    ("responses", "gpt-5.4-mini", SERVER, ASK),
    ("azure", "gpt-5.4-mini", WebSearch(), SEARCH),
    ("gemini", "gemini-3-flash-preview", WebSearch(), SEARCH),
    ("gemini", "gemini-3-flash-preview", CodeExecution(), CODE),
    ("gemini", "gemini-3-flash-preview", FileSearch("fileSearchStores/a"), FILES),
    ("gemini", "gemini-3-flash-preview", SERVER, ASK),
    ("vertex", "gemini-3-flash-preview", WebSearch(), SEARCH),
    ("vertex", "gemini-3-flash-preview", CodeExecution(), CODE),
    ("bedrock", "us.amazon.nova-2-lite-v1:0", CodeExecution(), CODE),
    ("openrouter", "openai/gpt-5.4-mini", WebSearch(), SEARCH),
    ("groq", "openai/gpt-oss-120b", WebSearch(), SEARCH),
)
# The wires whose searches are no parts of their own: only the citations tell of them.
ONLY_CITED = {("gemini", "web_search"), ("vertex", "web_search"), ("openrouter", "web_search")} | {
    ("gemini", "file_search")
}


def config(sim: Simulator) -> dict[str, Any]:
    """The simulator's entries, the Responses API of OpenAI and Azure, and two hosts of the chat format."""
    known = sim.config()["providers"]
    more = {
        kind: {"api_key": "sk-sim", "base_url": sim.url(kind), "fallback_models": ["sim"]}
        for kind in ("openrouter", "groq")
    }
    return sim.config(
        providers={
            **known,
            **more,
            "responses": {**known["openai"], "kind": "openai", "api": "responses"},
            "azure": {**known["azure"], "api": "responses"},
        }
    )


async def asked(client: Client, *, streamed: bool, messages: Any, **options: Any) -> Response:
    """One call, unary or streamed."""
    if not streamed:
        return await client.send(messages, **options)
    async with client.stream(messages, **options) as stream:
        text = "".join([str(event) async for event in stream])
    assert text == stream.response.text
    return stream.response


@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
@pytest.mark.parametrize(("entry", "model", "tool", "use"), HAVE, ids=[f"{one[0]}-{one[3].tool}" for one in HAVE])
async def test_what_the_provider_ran_is_in_the_reply(
    entry: str, model: str, tool: Any, use: HostedUse, *, streamed: bool
) -> None:
    """Each host's tool gives its parts and citations; the next turn sends them back as they were."""
    async with Simulator() as sim, Client(config(sim), environ={}) as client:
        sim.script(Reply(hosted=(use,), text="It is so."), "And so.")
        options: dict[str, Any] = {"provider": entry, "model": model, "fallback": [], "tools": [tool]}
        reply = await asked(client, streamed=streamed, messages="Well?", **options)
        assert ("It is so.", "stop", ()) == (reply.text, reply.finish_reason, reply.tool_calls)
        ran = [part for part in reply.message.content if isinstance(part, (ProviderToolCall, ProviderToolResult))]
        if (entry, use.tool) in ONLY_CITED:
            assert [] == ran
        else:
            assert any(repr(use.asked).strip("'\"") in str(part.raw).replace("\\\\", "\\") for part in ran)
        if use.sources and entry != "groq":
            cited = [one for part in reply.message.content if isinstance(part, Text) for one in part.citations]
            assert [title for _, title in use.sources] == [one.title for one in cited]
        history = [Message.user("Well?"), reply.message, Message.user("And?")]
        second = await asked(client, streamed=streamed, messages=history, **options)
        assert "And so." == second.text


async def test_fees_of_searches_are_in_the_cost() -> None:
    """What usage says of searches is charged on top of the tokens; one beyond max_uses is not done, and not charged."""
    async with Simulator() as sim, Client(config(sim), environ={}) as client:
        sim.script("It is so.", Reply(hosted=(SEARCH, SEARCH), text="It is so."), model="claude-sonnet-5-5")
        for tools in ([], [WebSearch(max_uses=1)]):
            reply = await client.send("Well?", tools=tools, provider="anthropic", model="claude-sonnet-5-5")
        assert {"web_search": 1} == dict(reply.usage.provider_tool_requests or {})
        results = [part for part in reply.message.content if isinstance(part, ProviderToolResult)]
        assert [False, True] == [part.is_error for part in results]
        assert reply.cost is not None
        assert Decimal("0.01") < reply.cost < Decimal("0.02")
        sim.script(Reply(hosted=(SEARCH, SEARCH), text="It is so."), model="gpt-5.4-mini")
        reply = await client.send("Well?", tools=[WebSearch()], provider="responses", model="gpt-5.4-mini")
        assert {"web_search": 2} == dict(reply.usage.provider_tool_requests or {})
        assert reply.cost is not None
        assert Decimal("0.02") < reply.cost < Decimal("0.03")


async def test_the_built_in_model_uses_what_the_prompt_speaks_of() -> None:
    """Without a script, a prompt that speaks of a tool of the provider's lets it run."""
    async with Simulator() as sim, Client(config(sim), environ={}) as client:
        reply = await client.send("Search the web for Oslo", tools=[WebSearch()], provider="anthropic")
        assert "https://example.org/" == reply.message.content[-1].citations[0].url  # type: ignore[union-attr]
        silent = await client.send("Hello", tools=[WebSearch()], provider="anthropic")
        assert 1 == len(silent.message.content)


async def test_a_reply_cannot_use_what_was_not_offered() -> None:
    """A script that uses a tool which the request does not offer is a mistake of the test, and raised as such."""
    with pytest.raises(ValueError, match="uses web_search, which the request does not offer"):
        async with Simulator(reply=Reply(hosted=(SEARCH,))) as sim, Client(config(sim), environ={}) as client:
            with pytest.raises(ServerError, match="does not offer"):
                await client.send("Hi", provider="anthropic", fallback=[])


async def test_provider_tools_run_beside_functions() -> None:
    """A run's steps keep what the provider ran, and its searches are counted over all steps."""

    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    async with Simulator() as sim, Client(config(sim), environ={}) as client:
        call = ToolUse("add", {"a": 1, "b": 2})
        sim.script(Reply(hosted=(SEARCH,), text="Adding.", tool_calls=(call,)), Reply(hosted=(SEARCH,), text="3"))
        run = await client.run("Search, and add", tools=[WebSearch(), add], provider="anthropic")
        assert (2, "3", {"web_search": 2}) == (len(run.steps), run.text, dict(run.usage.provider_tool_requests or {}))


@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
@pytest.mark.parametrize("entry", ["anthropic", "responses"])
async def test_a_long_history_is_summed_up_by_the_provider(entry: str, *, streamed: bool) -> None:
    """The summary is a part of the reply and goes back as it was; what stood before it is read no more."""
    model = {"anthropic": "claude-sonnet-5-5", "responses": "gpt-5.4-mini"}[entry]
    async with Simulator(reply="Noted.") as sim, Client(config(sim), environ={}) as client:
        options: dict[str, Any] = {"provider": entry, "model": model, "fallback": [], "compact_at": 50_000}
        history = [Message.user("word " * 50_000)]
        reply = await asked(client, streamed=streamed, messages=history, **options)
        summary = next(part for part in reply.message.content if isinstance(part, Unknown))
        assert ("compaction", "Noted.") == (summary.type, reply.text)
        assert summary.raw.get("content") or summary.raw.get("encrypted_content")
        assert reply.cost is not None
        history += [reply.message, Message.user("And now?")]
        second = await asked(client, streamed=streamed, messages=history, **options)
        assert not any(isinstance(part, Unknown) for part in second.message.content)
        sent = sim.requests[-1].body
        turns = sent["input"] if entry == "responses" else sent["messages"][1]["content"]
        assert dict(summary.raw) in turns
        if entry == "anthropic":  # the tokens of summing up are paid as well
            assert (reply.usage.input_tokens or 0) > 50_000 > (second.usage.input_tokens or 0)
