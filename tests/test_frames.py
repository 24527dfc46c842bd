"""No frame of the library holds a secret when an error leaves it: error trackers collect the locals of frames."""

from __future__ import annotations

import json
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import respx

from asyncllm import Client, SyncClient, errors
from asyncllm.testing import Fault, Simulator

KEY = "sk-canary-KEY-4f1d7c2ab9"
PLAIN = "canaryPLAIN0192837465"  # a key that nothing but its value tells to be one
OTHER = "canary-OTHER-77aa12"  # a variable that has nothing to do with us
PASSWORD = "canary-PASSWORD-90ffe1"
CANARIES = (KEY, PLAIN, OTHER, PASSWORD)
ENVIRON = {"OPENAI_API_KEY": KEY, "DATABASE_PASSWORD": OTHER}
CLOSED = "http://127.0.0.1:9/v1"
PROXY = f"http://user:{PASSWORD}@127.0.0.1:9"


def entry(**more: Any) -> dict[str, Any]:
    openai = {"api_key": "${OPENAI_API_KEY}", "fallback_models": ["gpt-sim"], "base_url": CLOSED}
    return {"active_provider": "openai", "providers": {"openai": openai | more}, "retry": {"max_attempts": 1}}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def in_reach(error: BaseException) -> list[str]:
    """Where a canary shows: the frames of everything that is not this file, the texts, the pickle."""
    found = []
    for one in chain(error):
        text = "".join(traceback.TracebackException.from_exception(one).format()) + repr(one) + repr(vars(one))
        found += [f"{type(one).__name__}'s text" for canary in CANARIES if canary in text]
        trace: TracebackType | None = one.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if code.co_filename != __file__:
                for name, value in trace.tb_frame.f_locals.items():
                    shown = repr(value)
                    found += [
                        f"{code.co_qualname if hasattr(code, 'co_qualname') else code.co_name}: {name}"
                        for canary in CANARIES
                        if canary in shown
                    ]
            trace = trace.tb_next
    found += ["pickle" for canary in CANARIES if canary.encode() in pickle.dumps(error)]
    return found


def make(config: Any = None, **options: Any) -> Callable[[], Any]:
    return lambda: Client(config, environ=ENVIRON, **options)


def blocking(config: Any = None, **options: Any) -> Callable[[], Any]:
    return lambda: SyncClient(config, environ=ENVIRON, **options)


BEFORE: dict[str, Callable[[], Any]] = {
    "a variable that is not set": make(entry(api_key="${NO_SUCH_VARIABLE}")),
    "no file": make("/no/such/config.yaml"),
    "no provider in the environment": lambda: Client.from_env({"DATABASE_PASSWORD": OTHER}),
    "no provider for a blocking client": lambda: SyncClient.from_env({"DATABASE_PASSWORD": OTHER}),
    "a blocking client": blocking(entry(api_key="${NO_SUCH_VARIABLE}")),
    "an unknown provider": make(provider="opnai", model="m"),
    "an unknown key": make(entry() | {"htp": {}}),
    "a model without a provider": make(model="m", api_key=KEY),
    "bedrock without a region": make({"active_provider": "bedrock", "providers": {"bedrock": {}}}),
    "a key with a line break": make(entry(api_key=f"{KEY}\r\n{KEY}")),
    "a proxy of another kind": make(entry() | {"http": {"proxy": PROXY.replace("http://", "ftp://")}}),
    "a budget without a ledger": make(entry() | {"budgets": [{"limit": 1}], "cost_tracking": {"enabled": False}}),
}


@pytest.mark.parametrize("provoke", BEFORE.values(), ids=BEFORE)
def test_errors_of_making_a_client(provoke: Callable[[], Any]) -> None:
    """What is wrong with a configuration is told without the environment, a key or a proxy's password in reach."""
    with pytest.raises(errors.AsyncLLMError) as caught:
        provoke()
    assert [] == in_reach(caught.value)


CALLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nobody listens": (entry(), {}),
    "the proxy is down": (entry() | {"http": {"proxy": PROXY}}, {}),
    "a malformed proxy variable": (entry() | {"http": {"trust_env": True}}, {}),
    "an unknown model type": (entry(), {"model": 5}),
    "an unknown provider": (entry(), {"provider": "nobody"}),
    "a wrong keyword": (entry(), {"temperature": "hot"}),
    "no such host": (entry(base_url="http://no-such-host.invalid/v1"), {}),
    "a hard budget": (
        entry() | {"budgets": [{"limit": 0.0000001}], "catalog": {"prices": {"gpt-sim": {"input": 1, "output": 1}}}},
        {},
    ),
    "an unpriced model": (entry() | {"budgets": [{"limit": 1}]}, {}),
}


@pytest.mark.parametrize(("config", "options"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.anyio
async def test_errors_of_calls(config: dict[str, Any], options: dict[str, Any], streamed: bool) -> None:
    """A call that fails before or at the network has no secret in the frames of its error."""
    environ = ENVIRON | {"HTTP_PROXY": f"http://user:{PASSWORD}@[broken"}
    with pytest.raises(errors.AsyncLLMError) as caught:
        async with Client(config, environ=environ) as client:
            if streamed:
                async for _ in client.stream("Hi", **options):
                    pass
            else:
                await client.send("Hi", **options)
    assert [] == in_reach(caught.value)


ECHO = {"error": {"message": f"Incorrect API key provided: {KEY}. (proxy {PASSWORD})", "type": "invalid_request_error"}}
ANSWERS = {
    "a refused key": Fault.status(401, body=ECHO),
    "a bad request": Fault.status(400, body=ECHO),
    "an overloaded server": Fault.status(503, body=ECHO),
    "no JSON": Fault.status(200, body=f"<html>{KEY}</html>"),
}


@pytest.mark.parametrize("fault", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.anyio
async def test_errors_of_answers(fault: Fault, streamed: bool) -> None:
    """A key that a server echoes is in no frame of the error that tells of it."""
    async with Simulator() as sim:
        sim.on("*", fault)
        with pytest.raises(errors.AsyncLLMError) as caught:
            async with Client(entry(base_url=sim.url("openai")), environ=ENVIRON) as client:
                if streamed:
                    async for _ in client.stream("Hi"):
                        pass
                else:
                    await client.send("Hi")
    assert [] == [place for place in in_reach(caught.value) if "asyncllm.testing" not in place]


def test_errors_of_a_blocking_client(tmp_path: Path) -> None:
    """The blocking twin's frames are as empty of secrets."""
    with (
        SyncClient(entry() | {"http": {"proxy": PROXY}}, environ=ENVIRON) as client,
        pytest.raises(errors.AsyncLLMError) as caught,
    ):
        client.send("Hi")
    assert [] == in_reach(caught.value)


@pytest.mark.anyio
async def test_a_deadline() -> None:
    """A call that runs out of time shows nothing either."""
    async with Simulator() as sim:
        sim.on("*", Fault.stall(after="request"))
        with pytest.raises(errors.DeadlineExceededError) as caught:
            async with Client(entry(base_url=sim.url("openai")), environ=ENVIRON) as client:
                await client.send("Hi", timeout=0.2)
            await anyio.lowlevel.checkpoint()
    assert [] == in_reach(caught.value)


CHUNK = {
    "id": "1",
    "object": "chat.completion.chunk",
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "a"}}],
}
FAILURE = {"error": {"message": f"the key is {PLAIN}", "code": PLAIN, "type": PLAIN}}
SSE = {"content-type": "text/event-stream"}
ECHOES: dict[str, tuple[int, dict[str, str], bytes]] = {
    "as its code": (400, {}, json.dumps(FAILURE).encode()),
    "in a page": (502, {"content-type": "text/html"}, f"<html>{PLAIN}</html>".encode()),
    "in broken JSON": (200, {"content-type": "application/json"}, b'{"id": "' + PLAIN.encode() + b'", "cho'),
    "where the text is cut": (400, {}, json.dumps({"error": {"message": "x" * 490 + PLAIN}}).encode()),
    "in a redirect": (302, {"location": f"http://127.0.0.1:9/?key={PLAIN}"}, b""),
    "in a stream": (200, SSE, f"data: {json.dumps(CHUNK)}\n\ndata: {json.dumps(FAILURE)}\n\n".encode()),
}


def kept_in(folder: Path) -> bytes:
    """What all files of a folder hold."""
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize(("status", "headers", "body"), ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.anyio
async def test_a_key_without_a_known_shape(
    status: int, headers: dict[str, str], body: bytes, kind: str, streamed: bool, tmp_path: Path
) -> None:
    """A server that echoes a key of any shape, in its body or its headers, puts it into no error, frame or record."""
    config = {
        "active_provider": kind,
        "active_model": "m",
        "providers": {kind: {"api_key": PLAIN, "base_url": "http://echo.test" + ("/v1" if kind == "openai" else "")}},
        "retry": {"max_attempts": 1},
        "cost_tracking": {"database": f"sqlite:///{tmp_path / 'ledger.db'}"},
    }
    with respx.mock(base_url="http://echo.test") as server, pytest.raises(errors.AsyncLLMError) as caught:
        server.route().respond(status, headers={**headers, "x-request-id": PLAIN, "request-id": PLAIN}, content=body)
        async with Client(config, environ={}) as client:
            if streamed:
                async for _ in client.stream("Hi"):
                    pass
            else:
                await client.send("Hi")
    assert [] == [place for place in in_reach(caught.value) if "respx" not in place]
    assert PLAIN not in repr(getattr(caught.value, "partial", None))
    kept = kept_in(tmp_path)
    assert kept and PLAIN.encode() not in kept


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.anyio
async def test_a_key_in_the_head_of_a_good_reply(kind: str) -> None:
    """A request id that holds the key is shown without it."""
    bodies = {
        "openai": {"choices": [{"message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]},
        "anthropic": {"type": "message", "content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"},
    }
    named = {"api_key": PLAIN, "base_url": "http://echo.test" + ("/v1" if kind == "openai" else "")}
    config = {"active_provider": kind, "active_model": "m", "providers": {kind: named}}
    with respx.mock(base_url="http://echo.test") as server:
        ids = {"x-request-id": f"r-{PLAIN}", "request-id": f"r-{PLAIN}"}
        server.route().respond(200, headers=ids, json={"id": "1", "model": "m", **bodies[kind]})
        async with Client(config, environ={}) as client:
            reply = await client.send("Hi")
    assert ("a", "r-[redacted]", "r-[redacted]") == (reply.text, reply.request_id, reply.attempts[0].request_id)


@pytest.mark.anyio
async def test_a_key_in_a_header_of_the_configuration() -> None:
    """A gateway that echoes the key that its header carries puts it into no error."""
    config = entry(base_url="http://echo.test/v1", headers={"x-gateway-key": PLAIN})
    given: tuple[dict[str, Any], ...] = ({}, {"extra_headers": {"X-Other-Key": PASSWORD}})
    for options in given:
        with respx.mock(base_url="http://echo.test") as server, pytest.raises(errors.AsyncLLMError) as caught:
            server.route().respond(401, json={"error": {"message": f"no such key: {PLAIN} or {PASSWORD}"}})
            async with Client(config, environ=ENVIRON) as client:
                await client.send("Hi", **options)
        assert PLAIN not in str(caught.value)
    assert "no such key: [redacted] or [redacted]" in str(caught.value)


async def _all_of(stream: Any) -> Any:
    return [item async for item in stream]


async def _map(client: Client) -> Any:
    """The errors of a map stand on its items."""
    (item,) = [one async for one in client.map(["Hi"])]
    if item.error is not None:
        raise item.error


async def _tenant(client: Client) -> Any:
    return await client.with_options(api_key=PLAIN).send("Hi")


async def _batch(client: Client) -> Any:
    batch = await client.batch(["Hi"])
    return await batch.wait()


VERBS: dict[str, Callable[[Client], Any]] = {
    "send": lambda client: client.send("Hi"),
    "stream": lambda client: _all_of(client.stream("Hi")),
    "run": lambda client: client.run("Hi", tools=[]),
    "run_stream": lambda client: _all_of(client.run_stream("Hi", tools=[])),
    "map": _map,
    "conversation": lambda client: client.conversation().send("Hi"),
    "embed": lambda client: client.embed(["Hi"], model="text-embedding-3-small"),
    "a tenant's key": _tenant,
    "batch": _batch,
    "upload": lambda client: client.upload(b"%PDF-1.4", name="a.pdf", media_type="application/pdf"),
    "count_tokens": lambda client: client.count_tokens("Hi"),
}


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that may have been made is looked for after shorter pauses, as often as otherwise."""
    monkeypatch.setattr("asyncllm._batches.batch_job._LOOKS", (0.01, 0.02, 0.05))


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("ask", VERBS.values(), ids=VERBS)
@pytest.mark.parametrize("streamed_error", [False, True], ids=["status", "in a 200"])
@pytest.mark.anyio
async def test_every_verb_conceals_what_a_server_echoes(
    ask: Callable[[Client], Any], streamed_error: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is asked, an echoed key is in no error, frame, pickle or log line."""
    config = entry(api_key=PLAIN, base_url="http://echo.test/v1")
    caplog.set_level(0, "asyncllm")
    echoed = {
        "error": {"message": f"Incorrect API key provided: {PLAIN}", "code": PLAIN, "type": PLAIN, "param": PLAIN}
    }
    with respx.mock(base_url="http://echo.test") as server, pytest.raises(errors.AsyncLLMError) as caught:
        server.route().respond(200 if streamed_error else 401, json=echoed, headers={"x-request-id": PLAIN})
        async with Client(config, environ=ENVIRON) as client:
            await ask(client)
    assert [] == [place for place in in_reach(caught.value) if "respx" not in place]
    assert not [canary for canary in CANARIES if canary in caplog.text]


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("ask", VERBS.values(), ids=VERBS)
@pytest.mark.anyio
async def test_every_verb_conceals_the_password_of_a_proxy(
    ask: Callable[[Client], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A proxy that is down is named without its password, whatever is asked."""
    caplog.set_level(0, "asyncllm")
    with pytest.raises(errors.AsyncLLMError) as caught:
        async with Client(entry() | {"http": {"proxy": PROXY}}, environ=ENVIRON) as client:
            await ask(client)
    assert [] == in_reach(caught.value)
    assert not [canary for canary in CANARIES if canary in caplog.text]
