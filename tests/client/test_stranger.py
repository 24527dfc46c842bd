"""What somebody reads who makes a newcomer's mistakes: each text says what happened, where, and what to do next."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

import asyncllm
from asyncllm.testing import Fault, Simulator

LONG = "sk-proj-1234567890abcdefgh"


FOREIGN = [
    (asyncllm.Response, "choices", "the text of the reply is .text"),
    (asyncllm.Response, "output_text", "the text of the reply is .text"),
    (asyncllm.Response, "stop_reason", "why the reply ended is .finish_reason"),
    (asyncllm.Usage, "prompt_tokens", "it is called .input_tokens"),
    (asyncllm.Client, "chat", "ask by .send(messages), or .stream(messages) for a stream"),
    (asyncllm.SyncClient, "completions", "ask by .send(messages), or .stream(messages) for a stream"),
    (asyncllm.SyncClient, "get_usage_report", "reports are made by .ledger.report(by=[...])"),
]


@pytest.mark.parametrize(("kind", "name", "hint"), FOREIGN)
def test_an_attribute_of_another_library(kind: type, name: str, hint: str) -> None:
    """What is called otherwise here says how; it is no attribute for ``hasattr``, and completion does not offer it."""
    with Simulator.in_thread() as sim, asyncllm.SyncClient(sim.config(), environ={}) as client:
        reply = client.send("Hi")
        made = {type(one): one for one in (reply, reply.usage, client, client._client)}[kind]
        with pytest.raises(AttributeError) as caught:
            getattr(made, name)
        assert f"{kind.__name__!r} object has no attribute {name!r}: {hint}" == str(caught.value)
        assert not hasattr(made, name)
        assert name not in dir(made)
        assert "with_options" in dir(client)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"by": "model"}, "by is a list of what to group by; write by=['model']"),
        ({"by": ["modle"]}, "reports cannot group by 'modle'; choose from"),
        ({"start": "yesterday"}, "start must be a datetime, not 'yesterday'"),
        ({"timezone": "Oslo"}, "'Oslo' is no known time zone"),
    ],
)
def test_wrong_arguments_of_a_report(arguments: dict[str, Any], sentence: str) -> None:
    """A report that cannot be made says which argument is wrong, and what it takes."""
    ledger = asyncllm.SyncClient(provider="ollama", model="m", environ={}).ledger
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ledger.report(**arguments)


@pytest.mark.parametrize("kind", [asyncllm.Client, asyncllm.SyncClient])
def test_a_second_argument_by_its_place(kind: Any) -> None:
    """What is no configuration is named."""
    told = error_of(lambda: kind("openai", "gpt-5.4-mini"))
    assert "Client() takes one argument by its place, the configuration; name the others, as in Client(provider" in told


def error_of(make: Callable[[], object]) -> str:
    """The text of what it raises."""
    with pytest.raises((asyncllm.AsyncLLMError, TypeError)) as caught:
        make()
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("gpt-4o", "Client(provider='openai', model='gpt-4o')"),
        ("claude-sonnet-4-5", "Client(provider='anthropic', model='claude-sonnet-4-5')"),
        ("gemini-pro", "Client(provider='gemini', model='gemini-pro')"),
        ("openai", "Client(provider='openai', model='...')"),
        ("claude", "Client(provider='anthropic', model='...')"),
        ("some-model", "Client(provider='openai', model='some-model')"),
        ("http://127.0.0.1:8000", "write Client(provider='openai_compatible', model='...', base_url='http://.../v1')"),
        (LONG, "what was given looks like a key; write Client(provider='openai', model='...', api_key=...)"),
    ],
)
def test_something_else_than_a_path(given: str, sentence: str) -> None:
    """A model, a provider or a key in the place of the path gets the call that was meant; no key is quoted."""
    told = error_of(lambda: asyncllm.Client(given, environ={}))
    assert "the first argument is the path of a configuration file" in told
    assert sentence in told
    assert LONG not in told


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the folder that was looked in, and two ways on."""
    monkeypatch.chdir(tmp_path)
    told = error_of(lambda: asyncllm.Client("conf.yaml"))
    assert f"conf.yaml: there is no such file in {tmp_path}; asyncllm init writes one" in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"api_key": LONG}, "api_key= needs provider=, such as Client(provider='openai', model='...', api_key=...)"),
        ({"model": "gpt-4o"}, "model= needs provider=, such as Client(provider='openai', model='...', api_key=...)"),
        ({"apikey": "x"}, "Client() got an unexpected keyword argument 'apikey'; did you mean 'api_key'?"),
        ({"nonsense": "x"}, "Client() got an unexpected keyword argument 'nonsense'; it takes config, provider, model"),
        ({"provider": "opneai", "model": "m"}, "there is no such kind; did you mean 'openai'?"),
        ({"provider": "openai", "model": "m"}, "set providers.openai.api_key, or the environment variable OPENAI_API"),
        ({}, "no provider is configured; set the variables of one, or write a configuration with asyncllm init"),
    ],
)
@pytest.mark.parametrize("kind", [asyncllm.Client, asyncllm.SyncClient])
def test_wrong_arguments_of_a_client(kind: Any, arguments: dict[str, str], sentence: str) -> None:
    """Each wrong argument gets a sentence with the right call."""
    assert sentence in error_of(lambda: kind(environ={}, **arguments))


def config(tmp_path: Path, sim: Simulator, key: str) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(
        "active_provider: openai\n"
        "providers:\n"
        "  openai:\n"
        f"    api_key: {key}\n"
        f"    base_url: {sim.url('openai')}\n"
        "    fallback_models: [gpt-sim]\n"
    )
    return str(path)


@pytest.mark.parametrize(
    ("key", "origin"),
    [
        ("${OPENAI_API_KEY}", "config.yaml:4: providers.openai.api_key (the environment variable OPENAI_API_KEY)"),
        (LONG, "config.yaml:4: providers.openai.api_key"),
    ],
)
def test_a_wrong_key_of_a_file(key: str, origin: str, tmp_path: Path) -> None:
    """A 401 names file, line, key and variable, and the last four letters of a long key."""
    with Simulator.in_thread(require_key="sk-right") as sim:
        path = config(tmp_path, sim, key)
        with asyncllm.SyncClient(path, environ={"OPENAI_API_KEY": LONG}) as client:
            told = error_of(lambda: client.send("Hi"))
    assert f"{origin} and ends in 'efgh'. Check it, or set another one there." in told
    assert LONG[:-4] not in told


@pytest.mark.parametrize(
    ("kind", "arguments", "environ", "sentence"),
    [
        ("openai", {}, {"OPENAI_API_KEY": LONG}, "came from the environment variable OPENAI_API_KEY and ends in"),
        ("openai", {"api_key": LONG}, {}, "The key came from the argument api_key of Client and ends in 'efgh'."),
        ("openai", {"api_key": "sk-short-key"}, {}, "The key came from the argument api_key of Client. Check it"),
        ("openai", {"api_key": lambda: LONG}, {}, "The key came from the function providers.openai.api_key."),
        ("anthropic", {}, {"ANTHROPIC_AUTH_TOKEN": LONG}, "the environment variable ANTHROPIC_AUTH_TOKEN and ends in"),
        ("gemini", {}, {"GEMINI_API_KEY": LONG}, "came from the environment variable GEMINI_API_KEY and ends in"),
        ("vllm", {}, {}, "No key was sent, because none is configured: set api_key."),
        ("azure", {"api_key": LONG}, {}, "The key came from the argument api_key of Client and ends in 'efgh'."),
        (
            "bedrock",
            {},
            {"AWS_ACCESS_KEY_ID": "AKIAWRONG0000WXYZ", "AWS_SECRET_ACCESS_KEY": "s" * 40, "AWS_REGION": "us-east-1"},
            "signed with the AWS access key that ends in 'WXYZ', for the region us-east-1.",
        ),
    ],
)  # fmt: skip
def test_a_wrong_key_from_elsewhere(
    kind: str, arguments: dict[str, Any], environ: dict[str, str], sentence: str
) -> None:
    """Wherever a refused key came from is told."""
    with Simulator.in_thread(require_key="sk-right") as sim:
        client = asyncllm.SyncClient(provider=kind, model="m", base_url=sim.url(kind), environ=environ, **arguments)
        with client:
            told = error_of(lambda: client.send("Hi"))
    assert sentence in told
    assert LONG not in told


def test_a_key_of_a_tenant() -> None:
    """A key that a view was given is told as that."""
    with Simulator.in_thread(require_key="sk-right") as sim, asyncllm.SyncClient(sim.config(), environ={}) as client:
        told = error_of(lambda: client.with_options(api_key=LONG).send("Hi"))
    assert "The key came from the argument api_key of with_options and ends in 'efgh'." in told


def test_a_key_that_came_from_from_env() -> None:
    """`Client()` knows in which variable it found a key."""
    client = asyncllm.SyncClient(environ={"OPENAI_API_KEY": LONG})
    assert "the environment variable OPENAI_API_KEY" in client._client._targeting.provider("openai").auth.told()  # type: ignore[attr-defined]


async def misused(sim: Simulator) -> dict[str, str]:
    """The mistakes that mix blocking and async code, and what is said to each."""
    client = asyncllm.Client(sim.config(), environ={})
    blocking = asyncllm.SyncClient(sim.config(), environ={})
    told: dict[str, str] = {}

    def told_by(name: str, function: Callable[[], Any]) -> None:
        told[name] = error_of(function)

    def enter(thing: Any) -> None:
        with thing:
            pass

    told_by("for over a stream", lambda: list(client.stream("Hi")))  # type: ignore[call-overload]
    told_by("for over texts", lambda: list(client.stream("Hi").text()))  # type: ignore[call-overload]
    told_by("for over a map", lambda: list(client.map(["Hi"])))  # type: ignore[call-overload]
    told_by("with client", lambda: enter(client))
    told_by("with stream", lambda: enter(client.stream("Hi")))
    told_by("sync send", lambda: blocking.send("Hi"))
    told_by("for over a sync stream", lambda: list(blocking.stream("Hi")))
    for name, mistake in {"await stream": await_it, "async with sync": enter_it, "async for sync": iterate_it}.items():
        thing = {"await stream": client.stream("Hi"), "async with sync": blocking}.get(name) or blocking.stream("Hi")
        with pytest.raises(TypeError) as caught:
            await mistake(thing)
        told[name] = str(caught.value)
    blocking.close()
    await client.aclose()
    return told


async def await_it(thing: Any) -> None:
    await thing


async def enter_it(thing: Any) -> None:
    async with thing:
        pass


async def iterate_it(thing: Any) -> None:
    async for _ in thing:
        pass


ASYNC_FOR = "is read with 'async for' inside an async function; in blocking code use asyncllm.SyncClient"
ASYNC_WITH = "is used with 'async with' inside an async function; in blocking code use asyncllm.SyncClient"
LOOP = "a SyncClient blocks its thread, and an event loop runs in this one, which would stand still. In async code use"


EXPECTED = {
    "for over a stream": f"a Stream {ASYNC_FOR}",
    "for over texts": f"a TextStream {ASYNC_FOR}",
    "for over a map": f"a MapStream {ASYNC_FOR}",
    "with client": f"a Client {ASYNC_WITH}",
    "with stream": f"a Stream {ASYNC_WITH}",
    "sync send": LOOP,
    "for over a sync stream": LOOP,
    "await stream": "a Stream is not awaited: read it with 'async for', or open it with 'async with'.",
    "async with sync": "a SyncClient is used with 'with'; in async code use asyncllm.Client",
    "async for sync": "a SyncStream is read with 'for'; in async code use asyncllm.Client",
}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_blocking_and_async_code_mixed(backend: str) -> None:
    """`for`, `with` and `await` on the wrong object, and a blocking call inside a loop, say what to write instead."""
    with Simulator.in_thread() as sim:
        told = anyio.run(misused, sim, backend=backend)
    assert EXPECTED == {name: text[: len(EXPECTED[name])] for name, text in told.items()}


def test_a_notebook_may_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook runs its cells inside a loop, and the blocking client works there all the same."""
    monkeypatch.setattr("builtins.__IPYTHON__", True, raising=False)

    async def cell(sim: Simulator) -> str:
        with asyncllm.SyncClient(sim.config(), environ={}) as client:
            return client.send("What is 2+2?").text

    with Simulator.in_thread() as sim:
        assert "4" == anyio.run(cell, sim)


def test_a_forgotten_await() -> None:
    """Python itself names the call that was not awaited; given to a call of ours it gets a sentence."""
    program = """
import asyncio, asyncllm

async def main():
    client = asyncllm.Client(provider="ollama", model="m")
    reply = client.send("Hi")
    try:
        await client.send(reply)
    except asyncllm.BadRequestError as error:
        print(error)
    client.send("Hi")

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "RuntimeWarning: coroutine 'Client.send' was never awaited" in done.stderr
    assert "messages is a coroutine: a call before this one was not awaited; write await before it" in done.stdout


def test_a_reply_prints_as_its_text_and_one_line() -> None:
    """print(reply) is for people; repr is one short line; unknown facts are said to be unknown."""
    with Simulator.in_thread(models=None) as sim, asyncllm.SyncClient(sim.config(), environ={}) as client:
        reply = client.send("What is 2+2?")
        weather = client.send("The weather?", tools=[asyncllm.Tool(name="get_weather")])
        sim.on("*", Fault.status(500, times=1))
        retried = client.send("Count to 50")
    assert re.fullmatch(r"4\n\[openai/gpt-sim, 3 \+ 1 tokens, cost unknown, \d\.\d\d s\]", str(reply))
    assert re.fullmatch(r"<Response '4' \[openai/gpt-sim, 3 \+ 1 tokens, cost unknown, \d\.\d\d s\]>", repr(reply))
    assert str(weather).startswith("get_weather({")
    assert "ended by tool_calls" in str(weather)
    assert "2 attempts" in str(retried)
    assert len(repr(retried)) < 160
    assert re.fullmatch(r"<Attempt openai/gpt-sim, error, 500, \d\.\d\d s, ServerError>", repr(retried.attempts[0]))
    assert "Usage(input_tokens=3, output_tokens=1, total_tokens=4, service_tier='default', source='provider')" == repr(
        reply.usage
    )
    assert ("<Client openai/gpt-sim, 6 providers>", "<SyncClient openai/gpt-sim, 6 providers>") == (
        repr(client._client),
        repr(client),
    )


def test_a_price_is_printed_as_money() -> None:
    """A known cost is a plain number of dollars."""
    reply = asyncllm.Response(
        message=asyncllm.Message.assistant("Hi"), finish_reason="length", cost=Decimal("0.000012300"), model="m"
    )
    assert "Hi\n[m, ? + ? tokens, $0.0000123, ended by length]" == str(reply)


def test_a_failed_chain_has_a_table() -> None:
    """The error of a chain ends with a line for each attempt."""
    with Simulator.in_thread() as sim, asyncllm.SyncClient(sim.config(), environ={}) as client:
        sim.on("gpt-sim", Fault.status(401, message="No such key"))
        sim.on("claude-sim", Fault.status(404, message="No such model"))
        told = error_of(lambda: client.send("Hi", fallback=[("anthropic", "claude-sim")]))
    table = [re.sub(r"\d\.\d\d s", "0.00 s", line) for line in told.splitlines()[1:]]
    assert [
        "  openai/gpt-sim        401  0.00 s  AuthenticationError  No such key. The key came from providers.openai.",
        "  anthropic/claude-sim  404  0.00 s  ModelNotFoundError   No such model",
    ] == [line[:106] for line in table]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:9/v1", "Could not connect to 127.0.0.1"),
        ("http://no-such-host.invalid/v1", "Could not connect to no-such-host.invalid"),
    ],
)
def test_no_way_to_the_provider(url: str, sentence: str) -> None:
    """A failed connection names the URL, the setting it came from and what to look at."""
    retry = {"max_attempts": 1}
    settings = {"active_provider": "ollama", "providers": {"ollama": {"base_url": url}}, "retry": retry}
    with asyncllm.SyncClient(settings, environ={}) as client:
        told = error_of(lambda: client.send("Hi", model="m"))
    assert sentence in told
    assert f"The request was for {url}/chat/completions, which follows from base_url: check that, and the net" in told


def test_a_deadline_names_the_setting_and_the_seconds() -> None:
    """A call that took too long says how long it could take, and how to allow more."""
    with Simulator.in_thread(latency=5) as sim, asyncllm.SyncClient(sim.config(), environ={}) as client:
        told = error_of(lambda: client.send("Hi", timeout=0.2))
    assert "no answer within the total deadline of 0.2 s; allow more with timeout=" in told


TOOL = {"name": "f", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temprature": 1}, "got an unexpected keyword argument 'temprature'; did you mean 'temperature'?"),
        ({"temperature": "hot"}, "temperature must be a number, not a str"),
        ({"stream": True}, "got an unexpected keyword argument 'stream'; for a stream write client.stream(...)"),
        ({"system": "Be brief."}, "got an unexpected keyword argument 'system'; the instructions are a message"),
        ({"tool_choice": "required"}, "tool_choice='required' demands a call, and there are no tools"),
        ({"tools": [TOOL, TOOL]}, "tools: two of them are called 'f'; give each a name of its own"),
        ({"provider": "anthropicc"}, "no provider 'anthropicc' is configured (configured: openai, anthropic"),
        ({"model": "gpt-none", "fallback": []}, "gpt-none"),
    ],
)
def test_wrong_keywords_of_a_call(options: dict[str, Any], sentence: str) -> None:
    """Each wrong keyword gets a sentence with what there is."""
    with Simulator.in_thread(models=["gpt-sim"]) as sim, asyncllm.SyncClient(sim.config(), environ={}) as client:
        assert sentence in error_of(lambda: client.send("Hi", **options))
