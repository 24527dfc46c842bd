"""Tools that providers run, by one word each: what every host is sent, what it lacks, and what that may cost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asyncllm import Client, CodeExecution, FileSearch, MCPServer, Message, Request, WebSearch, errors
from asyncllm._models.bounds import bound_of
from asyncllm._protocols.openai_chat import OpenAIChat
from asyncllm._providers.compatible import dialect_of
from asyncllm.testing import Reply, Simulator, ToolUse
from clients import OpenClient
from recordings import context

pytestmark = pytest.mark.anyio
SEARCH = WebSearch(max_uses=3, domains=["python.org"], country="NO")
SERVER = MCPServer("https://mcp.example.com/x", token="secret", tools=["ask"])
NO = {"type": "approximate", "country": "NO"}
LABEL = {"server_label": "mcp_example_com", "server_url": "https://mcp.example.com/x", "require_approval": "never"}
GEMINI_SERVER = {
    "name": "mcp_example_com",
    "streamableHttpTransport": {
        "url": "https://mcp.example.com/x",
        "headers": {"a": "b", "Authorization": "Bearer secret"},
    },
}

# (entry, tool, what the body holds); a sentence instead of the body is a refusal.
TABLE: tuple[tuple[str, Any, Any], ...] = (
    (
        "anthropic",
        SEARCH,
        {
            "tools": [
                {
                    "type": "web_search_20250305",
                    "name": "web_search",
                    "max_uses": 3,
                    "allowed_domains": ["python.org"],
                    "user_location": NO,
                }
            ]
        },
    ),
    (
        "anthropic",
        WebSearch(blocked_domains=["a.com"]),
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "blocked_domains": ["a.com"]}]},
    ),
    ("anthropic", CodeExecution(), {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}),
    ("anthropic", FileSearch(["vs"]), "no FileSearch"),
    (
        "anthropic",
        SERVER,
        {
            "mcp_servers": [
                {
                    "type": "url",
                    "url": "https://mcp.example.com/x",
                    "name": "mcp_example_com",
                    "authorization_token": "secret",
                    "tool_configuration": {"enabled": True, "allowed_tools": ["ask"]},
                }
            ]
        },
    ),
    ("anthropic", MCPServer("https://a.com", headers={"a": "b"}), "no headers"),
    (
        "responses",
        SEARCH,
        {
            "tools": [{"type": "web_search", "filters": {"allowed_domains": ["python.org"]}, "user_location": NO}],
            "max_tool_calls": 3,
        },
    ),
    ("responses", WebSearch(blocked_domains=["a.com"]), "no blocked_domains"),
    ("responses", CodeExecution(), {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
    (
        "responses",
        FileSearch(["vs_1", "vs_2"], max_results=2),
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"], "max_num_results": 2}]},
    ),
    (
        "responses",
        SERVER,
        {"tools": [{"type": "mcp", **LABEL, "authorization": "secret", "allowed_tools": ["ask"]}]},
    ),
    ("azure", WebSearch(max_uses=2), {"tools": [{"type": "web_search_preview"}], "max_tool_calls": 2}),
    ("azure", SEARCH, "no domains"),
    ("gemini", WebSearch(), {"tools": [{"googleSearch": {}}]}),
    ("gemini", SEARCH, "no domains"),
    ("gemini", CodeExecution(), {"tools": [{"codeExecution": {}}]}),
    (
        "gemini",
        FileSearch("fileSearchStores/a"),
        {"tools": [{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/a"]}}]},
    ),
    (
        "gemini",
        MCPServer("https://mcp.example.com/x", token="secret", headers={"a": "b"}),
        {"tools": [{"mcpServers": [GEMINI_SERVER]}]},
    ),
    ("gemini", SERVER, "offers all tools"),
    ("vertex", WebSearch(), {"tools": [{"googleSearch": {}}]}),
    ("vertex", FileSearch(["vs"]), "no FileSearch"),
    ("vertex", SERVER, "no MCPServer"),
    ("vertex/claude-sonnet-5", WebSearch(), "no WebSearch"),
    ("bedrock", WebSearch(), "no WebSearch"),
    ("bedrock", CodeExecution(), "no CodeExecution"),
    (
        "bedrock/us.amazon.nova-2-lite-v1:0",
        CodeExecution(),
        {"toolConfig": {"tools": [{"systemTool": {"name": "nova_code_interpreter"}}]}},
    ),
    ("chat", WebSearch(), "no WebSearch"),
)


def entries(sim: Simulator) -> dict[str, Any]:
    """The simulator's entries, and both APIs of OpenAI."""
    known = sim.config()["providers"]
    return {
        **known,
        "chat": {**known["openai"], "kind": "openai", "api": "chat"},
        "responses": {**known["openai"], "kind": "openai", "api": "responses"},
        "azure": {**known["azure"], "api": "responses"},
    }


@pytest.mark.parametrize(("entry", "tool", "expected"), TABLE, ids=lambda one: str(one)[:40])
async def test_each_host_is_sent_its_own_words(entry: str, tool: Any, expected: Any) -> None:
    """What the sheets of the hosts say is sent; what a host lacks is refused by its name before anything is sent."""
    provider, _, model = entry.partition("/")
    async with Simulator() as sim:
        config = {**sim.config(), "providers": entries(sim)}
        async with Client(config, environ={}) as client:
            asked = client.send("Hi", tools=[tool], provider=provider, model=model or None, fallback=[])
            if isinstance(expected, str):
                with pytest.raises(errors.UnsupportedParameterError, match=expected):
                    await asked
                assert [] == list(sim.requests)
                return
            await asked
            body = sim.requests[-1].body
            assert expected == {name: body[name] for name in expected}
            headers = sim.requests[-1].headers
            assert ("mcp_servers" in expected) == ("mcp-client-2025-04-04" in headers.get("anthropic-beta", ""))


@pytest.mark.parametrize(
    ("kind", "tool", "expected"),
    [
        ("openrouter", WebSearch(max_uses=2), {"type": "openrouter:web_search", "parameters": {"max_uses": 2}}),
        ("openrouter", CodeExecution(), "no CodeExecution"),
        ("groq", WebSearch(), {"type": "browser_search"}),
        ("mistral", WebSearch(), "no WebSearch"),
    ],
)
def test_compatible_hosts_have_rows_of_their_own(kind: str, tool: Any, expected: Any) -> None:
    """OpenRouter and Groq search by types of their own; the others have no such tool."""
    codec = OpenAIChat(dialect_of(kind))
    request = Request(model="m", messages=(Message.user("Hi"),), tools=(tool,))
    if isinstance(expected, str):
        with pytest.raises(errors.UnsupportedParameterError, match=expected):
            codec.encode(request, context(kind))
        return
    assert [expected] == json.loads(codec.encode(request, context(kind)).body)["tools"]


async def test_a_chain_goes_on_to_a_host_that_has_the_tool(open_client: OpenClient) -> None:
    """A host without the tool is passed over, as with any keyword that it cannot hold to."""
    async with Simulator() as sim, open_client(sim) as client:
        reply = await client.send("Hi", tools=[WebSearch()], provider="bedrock", fallback=[("anthropic", "claude-sim")])
    assert "anthropic" == reply.provider


async def test_hosted_tools_stand_beside_functions(open_client: OpenClient) -> None:
    """In a run the provider's tools and the caller's own go together; the limit of a search is then left out aloud."""

    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    def model(request: Any) -> Reply | str:
        return "3" if request.tool_results else Reply(tool_calls=(ToolUse("add", {"a": 1, "b": 2}),))

    async with Simulator(reply=model) as sim, open_client(sim) as client:
        run = await client.run("Hi", tools=[WebSearch(max_uses=1), add], provider="anthropic")
        assert ("3", "done") == (run.text, run.stopped)
        assert ["web_search", "add"] == [tool["name"] for tool in sim.requests[-1].body["tools"]]
        with pytest.raises(errors.UnsupportedParameterError, match="functions at the same time"):
            await client.send("Hi", tools=[WebSearch(), add], provider="gemini", model="gemini-2.5-flash", fallback=[])


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (WebSearch(domains="python.org"), "domains must be a list"),
        (WebSearch(domains=["a.com"], blocked_domains=["b.com"]), "give one of them"),
        (WebSearch(max_uses=0), "max_uses must be"),
        (WebSearch(country="Norway"), "two letters"),
        (FileSearch(), "at least one"),
        (MCPServer("mcp.example.com"), "address of an MCP server"),
    ],
)
async def test_wrong_words_are_refused_by_name(open_client: OpenClient, tool: Any, expected: str) -> None:
    """Nothing is sent, and the sentence names the tool and the field."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.BadRequestError, match=rf"tools\[0\].*{expected}"):
            await client.send("Hi", tools=[tool])


def test_secrets_of_a_server_are_not_shown() -> None:
    """Neither the token nor the headers are in the repr."""
    assert "secret" not in repr(MCPServer("https://a.com", token="secret", headers={"x": "secret"}))


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"type": "web_search_20250305", "max_uses": 3}, {"web_search": 3}),
        ({"type": "openrouter:web_search", "parameters": {"max_uses": 2}}, {"web_search": 2}),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, {"code_interpreter": 10}),
    ],
)
def test_budgets_reserve_their_fees(tool: dict[str, Any], expected: dict[str, int]) -> None:
    """A hard budget knows the most that a hosted tool may cost: its own limit, or the assumed one."""
    assert expected.keys() == bound_of({"tools": [tool]}, "m").tools.keys()
    if "max_uses" in str(tool):
        assert expected == dict(bound_of({"tools": [tool]}, "m").tools)
