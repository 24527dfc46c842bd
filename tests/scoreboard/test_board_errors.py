"""Every failure on every wire, streamed and not: its exception, its retries, where it goes on, what health says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from asyncllm import Client, errors
from asyncllm.testing import Fault, Simulator

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
PROVIDERS = ("openai", "anthropic", "gemini", "bedrock", "vertex")
ELSEWHERE = "groq"  # a provider that the chain goes on to


@dataclass(frozen=True)
class Row:
    """A line of the table of errors.

    Attributes:
        attempts: on the same model, of three.
        model: the next model of the provider is asked.
        provider: another provider is asked.
        reason: why the target is not closed afterwards; counted: whether it counts as a failure.
    """

    fault: Fault
    kind: type[errors.AsyncLLMError]
    attempts: int
    model: bool
    provider: bool
    counted: bool
    reason: str | None = None
    unary: bool = True
    streamed: bool = True


def status(code: int, kind: type[errors.AsyncLLMError], attempts: int, *goes: bool, reason: str | None = None) -> Row:
    return Row(Fault.status(code), kind, attempts, *goes, reason=reason)


ROWS: tuple[Row, ...] = (
    status(400, errors.BadRequestError, 1, False, False, False),
    status(413, errors.RequestTooLargeError, 1, False, False, False),
    status(422, errors.BadRequestError, 1, False, False, False),
    status(401, errors.AuthenticationError, 1, False, True, False, reason="credential"),
    status(402, errors.BillingError, 1, False, True, False, reason="account"),
    status(403, errors.PermissionDeniedError, 1, True, True, False, reason="model"),
    status(404, errors.ModelNotFoundError, 1, True, True, False, reason="model"),
    status(408, errors.ProviderTimeoutError, 2, True, True, True),
    status(429, errors.RateLimitError, 3, True, True, False),
    status(500, errors.ServerError, 3, True, True, True),
    status(502, errors.ServerError, 3, True, True, True),
    status(503, errors.OverloadedError, 3, True, True, True),
    status(504, errors.ProviderTimeoutError, 2, True, True, True),
    Row(Fault.status(429, retry_after=90), errors.RateLimitError, 1, True, True, False, reason="cooldown"),
    Row(Fault.status(500, should_retry=False), errors.ServerError, 1, True, True, True),
    Row(Fault.reset(), errors.ConnectionLostError, 2, True, True, True),
    Row(Fault.cut(after_events=None), errors.ConnectionLostError, 2, True, True, True),
    Row(Fault.stall(after="headers"), errors.FirstTokenTimeoutError, 1, True, True, True, unary=False),
    Row(Fault.heartbeats(interval=0.01), errors.FirstTokenTimeoutError, 1, True, True, True, unary=False),
    Row(Fault.stall(after="headers"), errors.IdleTimeoutError, 1, True, True, True, streamed=False),
    Row(Fault.malformed(), errors.ProtocolError, 2, True, True, True),
    Row(Fault.html(), errors.ProtocolError, 2, True, True, True),
    Row(Fault.redirect(), errors.ProtocolError, 2, True, True, True),
    Row(Fault.gzip_bomb(size=66 * 2**20), errors.ResponseTooLargeError, 1, False, False, True, streamed=False),
    Row(Fault.truncate(after_events=0), errors.StreamTruncatedError, 2, True, True, True, unary=False),
    Row(Fault.error_event(status=503), errors.OverloadedError, 3, True, True, True, unary=False),
)
QUICK = (0, 3, 6, 8, 11, 15, 20, 24)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.in_thread(reply="ok", keep=0) as running:
        yield running


async def ask(client: Client, streamed: bool, **where: Any) -> Any:
    if not streamed:
        return await client.send("Hi", **where)
    stream = client.stream("Hi", **where)
    async for _ in stream:
        pass
    return stream.response


async def look(sim: Simulator, provider: str, row: Row, streamed: bool) -> list[str]:
    """What differs from the row."""
    config = sim.config(
        retry={"base_delay": 0.001, "max_delay": 0.002}, timeouts={"first_content": 0.5, "idle": 0.5, "total": 10}
    )
    config["providers"][ELSEWHERE] = {"api_key": "k", "base_url": sim.url(ELSEWHERE)}
    first, second = config["providers"][provider]["fallback_models"][:2]
    found: list[tuple[str, object, object]] = []
    sim.off()
    sim.on(first, row.fault, provider=provider)
    for chain, goes_on in (([second], row.model), ([(ELSEWHERE, "sim")], row.provider), ([], False)):
        async with Client(config, environ={}) as client:
            failure = None
            try:
                reply = await ask(client, streamed, provider=provider, model=first, fallback=chain)
                attempts = reply.attempts
            except errors.AsyncLLMError as error:
                failure, attempts = error, error.attempts
            mine = [attempt for attempt in attempts if attempt.model == first]
            health = client.health()[0]
            found += [
                ("goes on to " + str(chain), goes_on, failure is None),
                ("attempts", row.attempts, len(mine)),
                ("kind", row.kind, type(mine[-1].error)),
                ("counted", row.counted, health.failures > 0),
                ("reason", row.reason, health.reason),
            ]
            if failure is not None and not chain:
                found.append(("raised", row.kind, type(failure)))
    return [
        f"{row.fault.kind} {row.fault.code}: {what} {have}, not {want}" for what, want, have in found if want != have
    ]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("streamed", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_table_of_errors(
    simulator: Simulator, record: Any, full: bool, provider: str, streamed: bool, anyio_backend: str
) -> None:
    """Every row holds on every wire format, streamed and not."""
    rows = [row for row in ROWS if (row.streamed if streamed else row.unary)]
    if not full:
        rows = [row for row in rows if ROWS.index(row) in QUICK]
    wrong = [difference for row in rows for difference in await look(simulator, provider, row, streamed)]
    simulator.off()
    bad = len({difference.split(":")[0] for difference in wrong})
    record(f"errors, {provider}, {'stream' if streamed else 'unary'}", f"{len(rows) - bad} of {len(rows)} rows", "all")
    assert "" == "\n".join(wrong)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_context_window_and_a_refused_connection(simulator: Simulator, anyio_backend: str) -> None:
    """A prompt that is too long stays where it is; a host that is not there is retried, left, and counted."""
    simulator.off()
    for provider in PROVIDERS:
        config = simulator.config(retry={"base_delay": 0.001})
        first = config["providers"][provider]["fallback_models"][0]
        simulator.behave(first, context_window=50)
        async with Client(config, environ={}) as client:
            with pytest.raises(errors.ContextWindowExceededError):
                await client.send("word " * 500, provider=provider)
        simulator.behave(first, context_window=None)
        config["providers"][provider]["base_url"] = "http://127.0.0.1:9"
        async with Client(config, environ={}) as client:
            reply = await client.send("Hi", provider=provider, fallback=[(_other(provider), "m")])
            assert [errors.ConnectError] * 3 == [type(attempt.error) for attempt in reply.attempts[:3]]
            assert 3 == client.health()[0].failures


def _other(provider: str) -> str:
    return "openai" if provider == "anthropic" else "anthropic"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_nothing_is_replayed_after_the_first_content(
    simulator: Simulator, record: Any, full: bool, anyio_backend: str
) -> None:
    """A stream that breaks after its first content costs one request, and says what it had delivered."""
    rounds = 100 if full else 2
    simulator.off()
    simulator.behave("*", reply="one two three four five six seven eight nine ten")
    broken = replays = 0
    for provider in PROVIDERS:
        async with Client(simulator.config(cross_provider_fallback=True), environ={}) as client:
            for fault in (
                Fault.cut(after_events=2),
                Fault.reset(after_events=2),
                Fault.truncate(after_events=2),
                Fault.error_event(status=503, after_events=2),
                Fault.malformed(after_events=2),
            ):
                simulator.on("*", fault)
                for _ in range(rounds):
                    client.reset_health()
                    before, delivered = simulator.count(), ""
                    with suppress(errors.StreamInterruptedError):
                        async for event in client.stream("Hi", provider=provider):
                            delivered += event.text
                        replays += 1  # it ended as if nothing had been
                    broken += 1
                    replays += simulator.count() - before - 1
                simulator.off()
    simulator.behave("*", reply="ok")
    record("streams broken after their first content", f"{replays} replays in {broken}", "0 silent replays")
    assert 0 == replays
