"""What every entry may hold, and where keys come from besides a text."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from asyncllm import AuthenticationError, Client, ConfigurationError
from asyncllm._auth.keys import HeaderKey
from asyncllm._config import from_env, load
from asyncllm._providers.spec import build_host
from asyncllm._transport.base import Headers
from asyncllm.testing import Simulator

pytestmark = pytest.mark.anyio


def config(kind: str, url: str, **keys: Any) -> dict[str, Any]:
    entry = {"kind": kind, "base_url": url, "fallback_models": ["sim"], "api_key": "k", **keys}
    return {"active_provider": "p", "providers": {"p": entry}}


async def test_headers_and_dialect_of_an_entry() -> None:
    """Static headers are sent with every request, and a field of the dialect changes the body."""
    async with Simulator() as simulator:
        headers = {"X-Portkey-Provider": "@a", "helicone-auth": "Bearer secret-word"}
        told = config("groq", simulator.url("groq"), headers=headers, dialect={"max_tokens_field": "max_tokens"})
        assert "secret-word" not in repr(load(told))
        async with Client(told) as client:
            await client.send("Hi", max_tokens=7)
            await client.validate_model("p", "sim")
        assert 7 == simulator.requests[0].body["max_tokens"]
        for request in simulator.requests:
            assert ("@a", "Bearer secret-word") == (
                request.headers["x-portkey-provider"],
                request.headers["helicone-auth"],
            )


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"dialect": {"max_token_field": "x"}}, "no such field of its dialect; did you mean 'max_tokens_field'"),
        ({"dialect": {"strict_tools": "yes"}}, r"dialect\.strict_tools must be true or false"),
        ({"dialect": {"reasoning_back": "yes"}}, "must be one of drop, field, "),
        ({"dialect": {"reasoning_fields": "x"}}, "must be a list"),
        ({"dialect": {"adapt": "x"}}, "must be set in Python"),
        ({"headers": {"Host": "x"}}, "'Host' is no header that can be set here"),
        ({"headers": {"x y": "x"}}, "'x y' is no header"),
        ({"headers": {"x": "a\nb"}}, "must be printable ASCII"),
        ({"headers": "x: y"}, "headers: must be a mapping"),
    ],
)
async def test_what_is_wrong_with_them_is_said(keys: dict[str, Any], words: str) -> None:
    """A field, a value or a header that cannot be is named."""
    with pytest.raises(ConfigurationError, match=words):
        Client(config("groq", "http://127.0.0.1:1/v1", **keys))


async def test_a_key_from_a_function() -> None:
    """The function is asked for every request, async or not, and does not hold up the event loop."""
    keys = iter(["one", "two"])

    async def fresh() -> str:
        return next(keys)

    def slow() -> str:
        time.sleep(0.2)
        return "slow"

    async with Simulator() as simulator:
        async with Client(config("openai", simulator.url("openai"), api_key=fresh)) as client:
            await client.send("Hi")
            await client.send("Hi")
        longest = 0.0
        async with (
            Client(config("openai", simulator.url("openai"), api_key=slow)) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(client.send, "Hi")
            for _ in range(20):
                began = time.perf_counter()
                await anyio.sleep(0.01)
                longest = max(longest, time.perf_counter() - began)
        assert 0.18 > longest
        assert [True] * 3 == [request.authenticated for request in simulator.requests]


async def signed(key: Any) -> tuple[tuple[str, str], ...]:
    return tuple(await HeaderKey(key).sign("POST", "https://h", Headers(), b""))


async def test_what_a_function_gives_is_checked() -> None:
    """No string, a broken string and an exception are told without what they hold."""

    def broken() -> str:
        raise RuntimeError("secret-word")

    assert (("authorization", "Bearer k"),) == await signed(lambda: "k")
    with pytest.raises(ConfigurationError, match="must return the key as a string, not int"):
        await signed(lambda: 5)
    with pytest.raises(ConfigurationError, match="what the function api_key returned holds characters"):
        await signed(lambda: "secret-word\n")
    with pytest.raises(AuthenticationError, match="failed with RuntimeError") as caught:
        await signed(broken)
    assert "secret-word" not in str(caught.value)
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


async def test_a_refused_key_is_asked_for_again() -> None:
    """After a 401 the function is asked once more, and another key is tried."""
    keys = iter(["sk-old", "sk-sim-new", "sk-sim-new", "sk-sim-new"])
    async with Simulator(require_key=True) as simulator:
        async with Client(config("openai", simulator.url("openai"), api_key=lambda: next(keys))) as client:
            assert "4" == (await client.send("What is 2+2?")).text
        assert [401, 200] == [request.status for request in simulator.requests]


SIGN_INS: dict[str, tuple[str, dict[str, Any], dict[str, str], tuple[str, str]]] = {
    "anthropic, token": ("anthropic", {"access_token": "t"}, {}, ("authorization", "Bearer t")),
    "anthropic, token of the environment": (
        "anthropic",
        {},
        {"ANTHROPIC_AUTH_TOKEN": "t"},
        ("authorization", "Bearer t"),
    ),
    "anthropic, key first": (
        "anthropic",
        {},
        {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_AUTH_TOKEN": "t"},
        ("x-api-key", "k"),
    ),
    "anthropic, token of the entry": (
        "anthropic",
        {"access_token": "t"},
        {"ANTHROPIC_API_KEY": "k"},
        ("authorization", "Bearer t"),
    ),
    "azure, function": (
        "azure",
        {"api_key": lambda: "t", "base_url": "https://r.openai.azure.com"},
        {},
        ("authorization", "Bearer t"),
    ),
    "vertex, key": ("vertex", {"api_key": "k"}, {}, ("x-goog-api-key", "k")),
}


@pytest.mark.parametrize(("kind", "keys", "environ", "header"), SIGN_INS.values(), ids=SIGN_INS)
async def test_other_ways_to_sign_in(
    kind: str, keys: dict[str, Any], environ: dict[str, str], header: tuple[str, str]
) -> None:
    """Bearer tokens of Anthropic's wire, tokens of Entra ID from a function, keys of Vertex's express mode."""
    settings = load({"active_provider": kind, "providers": {kind: keys}})
    host = build_host(kind, kind, settings.providers[kind].options(), environ)
    assert header in await host.auth.sign("POST", host.base_url, Headers(), b"")


async def test_vertex_with_a_key_needs_no_project() -> None:
    """Express mode has no project in its paths."""
    async with Simulator() as simulator:
        url = simulator.url("vertex")
        keys = {"kind": "vertex", "api_key": "k", "base_url": url, "fallback_models": ["gemini-sim"]}
        async with Client({"active_provider": "v", "providers": {"v": keys}}) as client:
            await client.send("Hi")
        assert simulator.requests[0].path.endswith("/v1beta1/publishers/google/models/gemini-sim:generateContent")


@pytest.mark.parametrize(
    ("told", "url"),
    [
        ("10.0.0.7", "http://10.0.0.7:11434/v1"),
        ("10.0.0.7:99", "http://10.0.0.7:99/v1"),
        (":99", "http://127.0.0.1:99/v1"),
        ("0.0.0.0:99", "http://127.0.0.1:99/v1"),
        ("https://ollama.test", "https://ollama.test/v1"),
        ("http://ollama.test:80/base/", "http://ollama.test:80/base/v1"),
        ("[::1]:99", "http://[::1]:99/v1"),
        ("::1", "http://[::1]:11434/v1"),
        (' "http://ollama.test:80" ', "http://ollama.test:80/v1"),
        ("http://ollama.test/v1", "http://ollama.test/v1"),
        ("", "http://127.0.0.1:11434/v1"),
    ],
)
async def test_where_ollama_listens(told: str, url: str) -> None:
    """OLLAMA_HOST is read as Ollama's own programs read it; an entry's base_url comes first."""
    assert url == build_host("ollama", "o", {}, {"OLLAMA_HOST": told}).base_url
    assert "http://h/v1" == build_host("ollama", "o", {"base_url": "http://h/v1"}, {"OLLAMA_HOST": told}).base_url


@pytest.mark.parametrize("told", ["10.0.0.7:port", "http://h:99999", "http://[nonsense"])
async def test_an_address_of_ollama_that_is_none(told: str) -> None:
    """The sentence names the variable."""
    with pytest.raises(ConfigurationError, match=r"OLLAMA_HOST must be an address such as 127\.0\.0\.1:11434"):
        build_host("ollama", "o", {}, {"OLLAMA_HOST": told})


@pytest.mark.parametrize("url", ["http://[", "http://h:port", "http://h:99999", "http://", "http://h h", "https://:80"])
@pytest.mark.parametrize(
    "variable",
    [
        *("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "AZURE_OPENAI_ENDPOINT", "GOOGLE_GEMINI_BASE_URL"),
        *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
    ],
)
async def test_an_address_in_the_environment_that_is_none(variable: str, url: str) -> None:
    """It is a configuration error, as in a file."""
    kind = variable.partition("_")[0].lower()
    kind = {"google": "gemini", "aws": "bedrock"}.get(kind, kind)
    names = (
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "AZURE_OPENAI_API_KEY",
        "GEMINI_API_KEY",
        "AWS_BEARER_TOKEN_BEDROCK",
    )
    keys = {**dict.fromkeys(names, "k"), "AWS_REGION": "us-east-1"}
    with pytest.raises(ConfigurationError, match=r"must be an address such as|must begin with http://"):
        build_host(kind, kind, {}, {**keys, variable: url})


async def test_the_token_of_anthropic_is_found() -> None:
    """from_env knows both of Anthropic's variables."""
    assert "anthropic" == from_env({"ANTHROPIC_AUTH_TOKEN": "t"}).active_provider
