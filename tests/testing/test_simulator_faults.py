"""Every fault of the simulator, as a client of the raw protocol sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from typing import Any

import anyio
import httpx
import pytest

from asyncllm.testing import Fault, Simulator

pytestmark = pytest.mark.anyio

COUNT = [{"role": "user", "content": "Count to 10"}]
WIRES = ["openai", "anthropic"]


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


def request_of(sim: Simulator, wire: str, *, stream: bool = False, model: str = "m") -> httpx.Request:
    """A good request in this format."""
    body: dict[str, Any] = {"model": model, "messages": COUNT, "stream": stream}
    if wire == "openai":
        return httpx.Request("POST", f"{sim.url('openai')}/chat/completions", json=body)
    body["max_tokens"] = 100
    headers = {"anthropic-version": "2026-10-21"}
    return httpx.Request("POST", f"{sim.url('anthropic')}/v1/messages", json=body, headers=headers)


async def read_all(http: httpx.AsyncClient, request: httpx.Request) -> tuple[bytes, Exception | None]:
    """What came of the body, and what ended it."""
    got = b""
    try:
        answer = await http.send(request, stream=True)
        try:
            async for chunk in answer.aiter_bytes():
                got += chunk
        finally:
            await answer.aclose()
    except httpx.HTTPError as error:
        return got, error
    return got, None


def contents(body: bytes) -> int:
    """How many content events of a stream came whole."""
    return sum(
        (b'"content":"' in line and b'"content":""' not in line) or b"text_delta" in line for line in lines(body)
    )


def lines(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\n") if line.startswith(b"data: {")]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
async def test_status(sim: Simulator, http: httpx.AsyncClient, wire: str, stream: bool) -> None:
    """A status comes with the provider's error body, as often as told, and then no more."""
    sim.on("m", Fault(status=503, times=2, retry_after=1.5))
    answers = [await http.send(request_of(sim, wire, stream=stream)) for _ in range(3)]
    assert [503, 503, 200] == [answer.status_code for answer in answers]
    assert "1.5" == answers[0].headers["retry-after"]
    error = answers[0].json()["error"]
    assert ("service_unavailable_error" if wire == "openai" else "overloaded_error") == error["type"]
    assert ["status", "status", None] == [record.fault for record in sim.requests]


@pytest.mark.parametrize(
    ("fault", "wire", "kind", "code"),
    [
        (Fault.status(429), "openai", "requests", "rate_limit_exceeded"),
        (Fault.status(429, code="insufficient_quota"), "openai", "insufficient_quota", "insufficient_quota"),
        (
            Fault.status(400, code="context_length_exceeded"),
            "openai",
            "invalid_request_error",
            "context_length_exceeded",
        ),
        (Fault.status(502), "openai", "server_error", None),
        (Fault.status(418), "openai", "invalid_request_error", None),
        (Fault.status(401), "anthropic", "authentication_error", None),
        (Fault.status(529), "anthropic", "overloaded_error", None),
        (Fault.status(502), "anthropic", "api_error", None),
        (Fault.status(429, code="enforced_spend_limit_reached"), "anthropic", "rate_limit_error", None),
        (Fault.status(500, code="overloaded_error"), "anthropic", "overloaded_error", None),
    ],
)
async def test_error_bodies(
    sim: Simulator, http: httpx.AsyncClient, fault: Fault, wire: str, kind: str, code: str | None
) -> None:
    """Each status and code has the type the provider gives it."""
    sim.on("*", fault)
    answer = await http.send(request_of(sim, wire))
    error = answer.json()["error"]
    assert (fault.code, kind) == (answer.status_code, error["type"])
    if wire == "openai":
        assert code == error["code"]
    else:
        assert answer.headers["request-id"] == answer.json()["request_id"]
    if fault.detail["code"] == "enforced_spend_limit_reached":
        assert "enforced_spend_limit_reached" == error["details"]["error_code"]


async def test_retry_headers(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Waiting times come in every form that providers use."""
    date = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)
    sim.on("*", Fault.status(429, retry_after=date, retry_after_ms=250, should_retry=False, times=1))
    sim.on("*", Fault.status(429, retry_after="soon", headers={"x-extra": "yes"}, times=1))
    sim.on("*", Fault.status(429, retry_after=2))
    first, second, third = [(await http.send(request_of(sim, "openai"))).headers for _ in range(3)]
    assert ("Fri, 20 Nov 2026 12:00:00 GMT", "250", "false") == (
        first["retry-after"],
        first["retry-after-ms"],
        first["x-should-retry"],
    )
    assert ("soon", "yes", "2") == (second["retry-after"], second["x-extra"], third["retry-after"])


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
async def test_reset_before_the_head(sim: Simulator, http: httpx.AsyncClient, wire: str, stream: bool) -> None:
    """A reset is a reset: the client cannot mistake it for a close."""
    sim.on("m", Fault.reset(times=1))
    body, error = await read_all(http, request_of(sim, wire, stream=stream))
    assert (b"", httpx.ReadError) == (body, type(error))
    assert (None, "broken off") == (sim.requests[0].status, sim.requests[0].outcome)
    assert 1 == sim.count(model="m")
    sim.on("m", Fault.cut(after_events=None, times=1))
    body, error = await read_all(http, request_of(sim, wire, stream=stream))
    assert (b"", httpx.RemoteProtocolError) == (body, type(error))
    assert (await read_all(http, request_of(sim, wire, stream=stream)))[1] is None


@pytest.mark.parametrize("wire", WIRES)
async def test_cut_in_mid_stream(sim: Simulator, http: httpx.AsyncClient, wire: str) -> None:
    """The connection ends after so many content events, without the chunk that would end the body."""
    sim.on("m", Fault.cut(after_events=2, times=1))
    sim.on("m", Fault.reset(after_events=1, times=1))
    body, error = await read_all(http, request_of(sim, wire, stream=True))
    assert (2, httpx.RemoteProtocolError) == (contents(body), type(error))
    _, error = await read_all(http, request_of(sim, wire, stream=True))
    assert isinstance(error, httpx.ReadError)


@pytest.mark.parametrize("wire", WIRES)
async def test_cut_in_a_body(sim: Simulator, http: httpx.AsyncClient, wire: str) -> None:
    """Half of a whole answer comes, then the connection ends."""
    sim.on("m", Fault.cut())
    body, error = await read_all(http, request_of(sim, wire))
    assert body.startswith(b"{")
    assert isinstance(error, httpx.RemoteProtocolError)


@pytest.mark.parametrize("wire", WIRES)
async def test_truncated(sim: Simulator, http: httpx.AsyncClient, wire: str) -> None:
    """The body ends properly as HTTP, but the protocol's own end is missing."""
    sim.on("m", Fault.truncate(times=1))
    sim.on("m", Fault.truncate(after_events=1, times=1))
    sim.on("m", Fault.truncate(times=1))
    whole, error = await read_all(http, request_of(sim, wire, stream=True))
    assert (3, None) == (contents(whole), error)
    for word in (b"[DONE]", b'"finish_reason":"stop"', b"message_stop", b"message_delta"):
        assert word not in whole
    assert 1 == contents((await read_all(http, request_of(sim, wire, stream=True)))[0])
    body, error = await read_all(http, request_of(sim, wire))
    assert error is None
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("after", ["request", "headers", "content"])
async def test_stall(sim: Simulator, http: httpx.AsyncClient, wire: str, stream: bool, after: Any) -> None:
    """A stall that ends changes nothing; one that does not is left by the client, which the server notices."""
    whole, _ = await read_all(http, request_of(sim, wire, stream=stream))
    sim.on("m", Fault.stall(after=after, seconds=0.01, times=1))
    sim.on("m", Fault.stall(after=after))
    body, error = await read_all(http, request_of(sim, wire, stream=stream))
    assert (contents(whole), None) == (contents(body), error)
    got = b""
    with anyio.move_on_after(0.3):
        answer = await http.send(request_of(sim, wire, stream=stream), stream=True)
        assert after != "request"
        async for chunk in answer.aiter_raw():
            got += chunk
    assert (1 if after == "content" and stream else 0) == contents(got)
    await http.aclose()
    with anyio.fail_after(10):
        while sim.open_connections:
            await anyio.sleep(0.001)
    assert "abandoned" == sim.requests[-1].outcome


@pytest.mark.parametrize("wire", WIRES)
async def test_error_events(sim: Simulator, http: httpx.AsyncClient, wire: str) -> None:
    """An error arrives inside a 200, before or after content, and ends the stream."""
    for after in (0, 2):
        sim.on("m", Fault.error_event(after_events=after, status=529, message="Overloaded", times=1))
        body, error = await read_all(http, request_of(sim, wire, stream=True))
        assert (after, None) == (contents(body), error)
        assert "Overloaded" == json.loads(lines(body)[-1][6:])["error"]["message"]
        assert (b"event: error" in body) == (wire == "anthropic")
    sim.on("m", Fault.error_event(code="server_error"))
    answer = await http.send(request_of(sim, wire))
    assert (200, {"error"}) == (answer.status_code, {"error"} & set(answer.json()))


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
async def test_broken_bytes(sim: Simulator, http: httpx.AsyncClient, wire: str, stream: bool) -> None:
    """JSON can be broken, and bytes that are not UTF-8 can be in it."""
    sim.on("m", Fault.malformed(after_events=1, times=1))
    sim.on("m", Fault.bad_utf8(after_events=1 if stream else 0, times=1))
    body, _ = await read_all(http, request_of(sim, wire, stream=stream))
    with pytest.raises(json.JSONDecodeError):
        _ = [json.loads(line[6:]) for line in lines(body)] if stream else json.loads(body)
    body, _ = await read_all(http, request_of(sim, wire, stream=stream))
    with pytest.raises(UnicodeDecodeError):
        body.decode()


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_of_somebody_else(sim: Simulator, http: httpx.AsyncClient, stream: bool) -> None:
    """Web pages, nothing at all, redirects and any other body can come instead."""
    faults = (Fault.html(), Fault.empty(), Fault.redirect(), Fault.answer(b"[1]", status=201, content_type="text/x"))
    for fault in faults:
        sim.on("m", Fault(kind=fault.kind, status=fault.code, times=1, **fault.detail))
    html, empty, redirect, other = [await http.send(request_of(sim, "openai", stream=stream)) for _ in faults]
    assert (200, "text/html; charset=utf-8") == (html.status_code, html.headers["content-type"])
    assert html.text.startswith("<!DOCTYPE html>")
    assert (200, b"") == (empty.status_code, empty.content)
    assert (307, "http://127.0.0.1:9/elsewhere") == (redirect.status_code, redirect.headers["location"])
    assert (201, "text/x", b"[1]") == (other.status_code, other.headers["content-type"], other.content)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
async def test_heartbeats(sim: Simulator, http: httpx.AsyncClient, wire: str, stream: bool) -> None:
    """Heartbeats can go on for a while before the rest comes, or for ever."""
    sim.on("m", Fault.heartbeats(interval=0.002, seconds=0.01, times=1))
    sim.on("m", Fault.heartbeats(interval=0.002, after_events=1))
    body, error = await read_all(http, request_of(sim, wire, stream=stream))
    assert error is None
    if stream:
        assert 5 <= body.count(b'{"type": "ping"}' if wire == "anthropic" else b": keep-alive")
        assert 3 == contents(body)
    else:
        assert body.startswith(b"     {")
    with anyio.move_on_after(0.3) as scope:
        await read_all(http, request_of(sim, wire, stream=stream))
    assert scope.cancelled_caught
    assert sim.requests[-1].writes > 5


@pytest.mark.parametrize("stream", [False, True])
async def test_drip(sim: Simulator, http: httpx.AsyncClient, stream: bool) -> None:
    """The body comes a few bytes at a time, and is whole in the end."""
    sim.on("m", Fault.drip(size=100, interval=0.001))
    body, error = await read_all(http, request_of(sim, "anthropic", stream=stream))
    assert error is None
    assert -(-len(body) // 100) == sim.requests[-1].writes


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("packed", [False, True])
async def test_huge(sim: Simulator, http: httpx.AsyncClient, wire: str, stream: bool, packed: bool) -> None:
    """A body can be huge, or small and decode to something huge; it is valid all the same."""
    size = 2**20
    sim.on("m", Fault.gzip_bomb(size=size) if packed else Fault.huge(size=size))
    answer = await http.send(request_of(sim, wire, stream=stream))
    assert len(answer.content) > size
    assert (3 if stream else 0) == contents(answer.content)
    if not stream:
        assert set(answer.json())
    if packed:
        assert answer.num_bytes_downloaded < 20_000
        assert "gzip" == answer.headers["content-encoding"]


def test_a_bomb_is_never_whole_in_memory() -> None:
    """The bomb is packed piece by piece."""
    from asyncllm._testing.script import _bomb
    from asyncllm._testing.wires.framings import WHOLE

    pieces = iter(_bomb(WHOLE.filler(2**50), b"{}"))
    assert all(len(next(pieces)) < 100_000 for _ in range(3))


@pytest.mark.parametrize("late", [False, True])
async def test_stale_connections(sim: Simulator, http: httpx.AsyncClient, late: bool) -> None:
    """A good answer, and then the kept-alive connection is closed without a word."""
    sim.on("m", Fault.stale(late=late, times=1))
    first = await http.send(request_of(sim, "openai"))
    assert (200, None) == (first.status_code, first.headers.get("connection"))
    if late:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.send(request_of(sim, "openai"))
    else:
        with anyio.fail_after(10):
            while sim.open_connections:
                await anyio.sleep(0.001)
    assert 200 == (await http.send(request_of(sim, "openai"))).status_code
    assert (2, 2) == (sim.connections, sim.count())
    assert "sent" == sim.requests[0].outcome


async def test_which_requests_it_happens_to(sim: Simulator, http: httpx.AsyncClient) -> None:
    """Faults belong to a model, a provider, an operation, a condition; the first that applies happens."""
    sim.on("a", Fault.status(500))
    sim.on("*", Fault.status(502), provider="anthropic")
    sim.on("*", Fault.status(504, when=lambda request: request.stream))
    sim.on("*", Fault.status(503), operation="models")
    asked = [("openai", "a", True), ("anthropic", "a", True), ("anthropic", "b", False), ("openai", "b", True)]
    found = [
        (await http.send(request_of(sim, wire, model=model, stream=stream))).status_code
        for wire, model, stream in [*asked, ("openai", "b", False)]
    ]
    assert [500, 500, 502, 504, 200] == found
    assert 503 == (await http.get(f"{sim.url('openai')}/models")).status_code
    sim.off("a")
    assert 200 == (await http.send(request_of(sim, "openai", model="a"))).status_code
    sim.off()
    assert 200 == (await http.get(f"{sim.url('openai')}/models")).status_code


async def test_probability_is_seeded(http: httpx.AsyncClient) -> None:
    """Draws are the same for the same seed, and about as many as asked for."""
    runs = []
    for seed in (1, 1, 2):
        async with Simulator(seed=seed) as sim:
            sim.on("*", Fault.status(503, probability=0.3))
            runs.append([(await http.send(request_of(sim, "openai"))).status_code for _ in range(30)])
    assert runs[0] == runs[1] != runs[2]
    assert 3 < runs[0].count(503) < 17


def test_faults_say_what_is_wrong_with_them() -> None:
    """A fault without its status, or with a probability that is none, is refused."""
    with pytest.raises(TypeError, match=r"Fault\.stall"):
        Fault()
    with pytest.raises(ValueError, match="between 0 and 1"):
        Fault.reset(probability=2)
    assert Fault.status(503) == Fault.status(503)
    assert "status" in repr(Fault(status=503))


async def test_a_refused_request_does_not_use_up_a_fault(sim: Simulator, http: httpx.AsyncClient) -> None:
    """What the provider would refuse is refused first."""
    sim.on("*", Fault.status(503, times=1))
    assert 400 == (await http.post(f"{sim.url('openai')}/chat/completions", json={"model": "m"})).status_code
    assert 503 == (await http.send(request_of(sim, "openai"))).status_code
