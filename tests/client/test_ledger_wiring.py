"""Every attempt of a client has its row, with what it cost."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from asyncllm import Client, errors
from asyncllm.testing import Fault, Reply, Simulator
from clients import OpenClient

pytestmark = pytest.mark.anyio
PRICES = {"prices": {name: {"input": 1, "output": 10} for name in ("gpt-sim", "gpt-sim-mini", "claude-sim")}}
REPLY = Reply(text="four", input_tokens=1000, output_tokens=100)
COST = Decimal("0.002")


async def rows_of(client: Client) -> list[tuple[Any, ...]]:
    found = [record async for record in client.ledger.records()]
    return [(row.provider, row.model, row.attempt, row.status, row.cost) for row in found]


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
async def test_a_call_costs_what_its_tokens_cost(open_client: OpenClient, wire: str) -> None:
    """The cost is on the response, on its attempt, in the session's sum and in the ledger, unary and streamed."""
    model = "gpt-sim" if wire == "openai" else "claude-sim"
    async with Simulator(reply=REPLY) as sim, open_client(sim, catalog=PRICES) as client:
        reply = await client.send("2+2?", provider=wire, model=model)
        stream = client.stream("2+2?", provider=wire, model=model)
        async for _ in stream:
            pass
        assert (COST, COST, COST) == (reply.cost, reply.attempts[0].cost, stream.response.cost)
        assert 2 * COST == await client.session_cost()
        assert [(wire, model, 1, "ok", COST)] * 2 == await rows_of(client)


async def test_every_attempt_has_a_row(open_client: OpenClient) -> None:
    """A failed attempt costs nothing and is there; the one that answered is the second of its call."""
    async with Simulator(reply=REPLY) as sim, open_client(sim, catalog=PRICES) as client:
        sim.on("gpt-sim", Fault(status=503))
        reply = await client.send("2+2?", user="u1", agent="a1", tags={"team": "x"})
        assert [("openai", "gpt-sim", 1, "error", Decimal(0)), ("openai", "gpt-sim-mini", 2, "ok", COST)] == (
            await rows_of(client)
        )
        assert COST == reply.cost
        (row,) = await client.ledger.report(by=["user", "agent", "tag:team"])
        assert 2 == row.requests


async def test_an_unpriced_model_costs_nothing_that_is_known(open_client: OpenClient) -> None:
    """Without a price the cost is None, never 0, and the session counts it."""
    async with Simulator(reply=REPLY) as sim, open_client(sim) as client:
        assert (await client.send("2+2?")).cost is None
        assert (Decimal(0), 1) == (await client.session_cost(), client.ledger.session_unpriced())


async def test_a_stream_that_is_left_is_booked_at_an_estimate(open_client: OpenClient) -> None:
    """What came before the consumer left is charged, and marked as an estimate."""
    text = "word " * 100
    async with Simulator(reply=text, chunk_delay=0.001) as sim, open_client(sim, catalog=PRICES) as client:
        async with client.stream("go on") as stream:
            async for event in stream:
                if event.text:
                    break
        (attempt,) = stream.response.attempts
        (row,) = [record async for record in client.ledger.records()]
    assert ("cancelled", "estimated") == (attempt.outcome, attempt.usage.source)
    assert (attempt.usage.output_tokens or 0) >= 1
    assert ("cancelled", attempt.cost) == (row.status, row.cost)


async def test_a_hard_budget_refuses_before_any_byte(open_client: OpenClient) -> None:
    """A call that does not fit is refused with what is left and when the window ends; nothing was sent."""
    budgets = [{"limit": 0.05, "per": "day", "scope": {"provider": "openai"}}]
    async with Simulator(reply=REPLY) as sim, open_client(sim, catalog=PRICES, budgets=budgets) as client:
        await client.send("2+2?", max_tokens=1000)
        with pytest.raises(errors.BudgetExceededError) as caught:
            await client.send("2+2?", max_tokens=100_000)
        assert 1 == sim.count()
        with pytest.raises(errors.BudgetExceededError):
            await client.send("2+2?", model="gpt-unpriced", fallback=[])
    assert caught.value.resets_at is not None
    assert (COST, Decimal("0.05")) == (caught.value.spent, caught.value.limit)


async def test_an_estimate_before_the_call(open_client: OpenClient) -> None:
    """What a call may cost at most is known before it is made, where the price is."""
    async with Simulator() as sim, open_client(sim, catalog=PRICES) as client:
        known = await client.estimate("x" * 4000, max_tokens=100)
        unknown = await client.estimate("x", model="gpt-unpriced")
        assert 0 == sim.count()
    assert 800 < known.input_tokens < 1100
    assert known.most is not None
    assert Decimal("0.0018") <= known.most < Decimal("0.0080")  # an upper bound, as budgets reserve it
    assert unknown.most is None


async def test_no_ledger_when_the_configuration_keeps_none(open_client: OpenClient) -> None:
    """With cost_tracking off replies have their cost, the session has its sum, and reports say why there are none."""
    async with Simulator() as sim, open_client(sim, catalog=PRICES, cost_tracking={"enabled": False}) as client:
        reply = await client.send("Hi")
        assert reply.cost is not None
        assert reply.cost > 0
        assert (reply.cost, "table") == (await client.session_cost(), reply.cost_source)
        assert (await client.estimate("Hi")).most is not None
        with pytest.raises(errors.ConfigurationError, match="cost_tracking"):
            await client.ledger.report()


async def test_a_file_keeps_the_records_and_a_log_mirrors_them(open_client: OpenClient, tmp_path: Path) -> None:
    """Records outlive the client in SQLite, and each is one line of the log, flushed when the client closes."""
    tracking = {"database": f"sqlite:///{tmp_path / 'ledger.db'}", "log_path": str(tmp_path / "costs.log")}
    async with Simulator(reply=REPLY) as sim:
        for _ in range(2):
            async with open_client(sim, catalog=PRICES, cost_tracking=tracking) as client:
                await client.send("2+2?")
        async with open_client(sim, catalog=PRICES, cost_tracking=tracking) as client:
            assert [("openai", "gpt-sim", 1, "ok", COST)] * 2 == await rows_of(client)
    lines = [json.loads(line) for line in (tmp_path / "costs.log").read_text(encoding="utf8").splitlines()]
    assert 2 == len({line["id"] for line in lines})


@pytest.mark.parametrize(
    ("keywords", "words"),
    [({"user": 3}, "user must be"), ({"agent": ""}, "agent must be"), ({"tags": {"a": 1}}, "tags must map")],
)
async def test_for_whom_must_be_words(open_client: OpenClient, keywords: dict[str, Any], words: str) -> None:
    """A user, an agent or tags of the wrong type are refused by name."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.BadRequestError, match=words):
            await client.send("Hi", **keywords)
