"""One attempt, one owner: booked, concealed and settled in one place, whatever it is for."""

from __future__ import annotations

import inspect
import re
import socket
from typing import Any

import pytest

from asyncllm import Client, errors
from asyncllm.testing import Fault, Simulator
from clients import OpenClient
from source_tree import modules

pytestmark = pytest.mark.anyio
KEY = "qwertz.unusual.secret.value.77"
OFF: dict[str, Any] = {"retry": {"max_attempts": 1}}


async def rows_of(client: Client) -> list[tuple[str, str, str, Any]]:
    found = [record async for record in client.ledger.records()]
    return [(row.operation, row.model, row.status, row.cost) for row in found]


def test_an_attempt_is_settled_in_one_place() -> None:
    """The row, the permit and the record of an attempt end in one function of one file."""
    engine = {module.file: module.text for module in modules() if module.file.startswith("_engine/")}
    for ending in (r"ticket\.settle\(", r"_permit\.settle\(", r"records\.append\(", r"ticket\.void\("):
        places = [
            (file, text.count("\n", 0, found.start()))
            for file, text in engine.items()
            for found in re.finditer(ending, text)
        ]
        assert ["_engine/attempt.py"] == [file for file, _ in places], ending
    attempt = engine["_engine/attempt.py"]
    whole = attempt[attempt.index("def _settle(") : attempt.index("def _reconnect(")]
    assert all(ending in whole for ending in ("ticket.settle(", "_permit.settle(", "records.append("))


def test_nobody_else_sends() -> None:
    """Only an attempt hands a request to the transport."""
    senders = [
        module.file
        for module in modules()
        if re.search(r"transport\.(send|stream)\(", module.text) and not module.file.startswith(("testing/", "_auth/"))
    ]
    assert ["_engine/attempt.py"] == senders


async def test_every_operation_has_its_row(open_client: OpenClient) -> None:
    """Calls, lists, counts and proofs are booked; what generates nothing costs nothing."""
    async with Simulator(models=["m"]) as sim, open_client(sim) as client:
        await client.send("Hi", model="m", fallback=[])
        await client.refresh_models("anthropic")
        await client.count_tokens("Hi", provider="anthropic", model="m")
        await client.validate_model("openai", "m")
        await client.validate_model("azure", "m")
        rows = await rows_of(client)
        (generated,) = await client.ledger.report()
    assert [
        ("chat", "m", "ok", None),
        ("list", "", "ok", 0),
        ("count", "m", "ok", 0),
        ("validate", "m", "ok", 0),
        ("validate", "m", "ok", None),
    ] == rows
    assert 2 == generated.requests  # what a proof by speaking costs is not known to be nothing


async def test_what_generates_nothing_reserves_no_budget(open_client: OpenClient) -> None:
    """A budget that is used up refuses calls, not questions."""
    async with (
        Simulator(models=["m"]) as sim,
        open_client(sim, budgets=[{"limit": 0.0001, "per": "day"}]) as client,
    ):
        with pytest.raises(errors.BudgetExceededError):
            await client.send("Hi", model="gpt-5.4")
        assert (await client.refresh_models("openai")).ok
        assert (await client.validate_model("openai", "m")).usable


async def test_an_echoed_key_is_concealed_in_every_operation() -> None:
    """A server that repeats the key it was sent finds it in no error, whatever was asked."""
    async with Simulator() as sim:
        config = sim.config(**OFF)
        config["providers"]["anthropic"]["api_key"] = KEY
        async with Client(config, environ={}) as client:
            sim.on("*", Fault.status(403, message=f"no access for {KEY}"), operation="*")
            with pytest.raises(errors.AsyncLLMError) as caught:
                await client.send("Hi", provider="anthropic", model="claude-sim", fallback=[])
            (unlisted,) = (await client.refresh_models("anthropic")).errors.values()
            unproved = await client.validate_model("anthropic", "claude-sim")
            counted = await client.count_tokens("Hi", provider="anthropic", model="claude-sim")
    shown = [str(caught.value), repr(caught.value), repr(unlisted), repr(unproved), repr(counted)]
    assert [True] * 5 == ["[redacted]" in text for text in shown]
    assert [False] * 5 == [KEY in text for text in shown]


async def test_a_question_passes_an_open_circuit(open_client: OpenClient) -> None:
    """While calls are kept away from a provider, its models can still be checked, and that changes no circuit."""
    async with Simulator(models=["m"]) as sim, open_client(sim) as client:
        sim.on("*", Fault.status(500), operation="generate")
        for _ in range(10):
            with pytest.raises(errors.ServerError):
                await client.send("Hi", model="m", fallback=[])
        before = client.health()
        assert "open" == before[0].state
        assert (await client.validate_model("openai", "m")).usable
        assert (await client.refresh_models("openai")).ok
        assert before[0].failures == client.health()[0].failures
        assert ("open", 1) == (client.health()[0].state, len(client.health()))


async def test_questions_tell_health_where_there_is_no_connection() -> None:
    """A proof that finds nobody there counts against the model; one that is refused does not."""
    config = {
        "active_provider": "openai",
        "providers": {"openai": {"api_key": "k", "base_url": "http://127.0.0.1:9/v1", "fallback_models": ["m"]}},
        **OFF,
    }
    async with Client(config, environ={}) as client:
        assert "unreachable" == (await client.validate_model("openai", "m")).problem
        assert [] == [known for known in client.health() if known.failures and known.model != "m"]


async def test_a_question_is_retried_as_a_call_is() -> None:
    """A passing failure of a list is one more attempt."""
    async with Simulator() as sim, Client(sim.config(retry={"base_delay": 0.001}), environ={}) as client:
        sim.on("*", Fault.status(503, times=1), operation="models")
        assert (await client.refresh_models("anthropic")).ok
        assert ["error", "ok"] == [status for _, _, status, _ in await rows_of(client)]


def declared(kind: type[errors.AsyncLLMError]) -> set[str]:
    """The keywords of an error and of its bases."""
    return {
        name
        for base in kind.__mro__
        if "__init__" in vars(base)
        for name in inspect.signature(base.__init__).parameters  # type: ignore[misc]
    }


@pytest.mark.parametrize(
    ("fault", "streamed"),
    [
        (Fault.status(503), False),
        (Fault.status(401), True),
        (Fault.error_event(status=529, after_events=3), True),
        (Fault.cut(after_events=3), True),
        (Fault.truncate(after_events=3), True),
    ],
)
async def test_errors_are_complete_and_have_declared_fields(
    open_client: OpenClient, fault: Fault, streamed: bool
) -> None:
    """Provider, model and attempts are known, and nothing stands in an error that its class does not declare."""
    async with Simulator(reply="one two three four five six seven") as sim, open_client(sim) as client:
        sim.on("*", fault)
        with pytest.raises(errors.AsyncLLMError) as caught:
            if streamed:
                async for _ in client.stream("Hi", fallback=[]):
                    pass
            else:
                await client.send("Hi", fallback=[])
    error = caught.value
    assert ("openai", "gpt-sim", 1) == (error.provider, error.model, len(error.attempts))
    assert set() == set(vars(error)) - declared(type(error))


async def test_an_error_names_the_targets_that_were_not_asked(open_client: OpenClient) -> None:
    """A refused key rules the other models of its provider out, and the error says so."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault.status(401))
        with pytest.raises(errors.AuthenticationError) as caught:
            await client.send("Hi", fallback=["gpt-sim-mini"])
    assert {
        "openai/gpt-sim-mini": "AuthenticationError of openai/gpt-sim allows no attempt there"
    } == caught.value.not_asked


async def test_an_error_of_connecting_names_the_address_that_was_asked(http_library: str) -> None:
    """Whoever has a wrong base_url sees the whole URL that came of it."""
    with socket.socket() as closed:  # bound, and never listening
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        entry = {"kind": "ollama", "base_url": url, "fallback_models": ["m"]}
        config = {"active_provider": "p", "providers": {"p": entry}, "retry": {"max_attempts": 1}}
        async with Client({**config, "http": {"library": http_library}}, environ={}) as client:
            with pytest.raises(errors.ConnectError) as caught:
                await client.send("hi")
    assert f"{url}/chat/completions" in str(caught.value)
