"""What calls cost: nothing unknown is booked as nothing, and what the provider says it charged is the cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import anyio
import pytest

from answering_server import serving
from asyncllm import Client, errors
from asyncllm.ledger import Record

pytestmark = pytest.mark.anyio
TEXT = "word " * 1600  # 1,600 tokens
LEAST = Decimal("0.016")  # of gpt-4o
BUDGET = {"limit": 1, "per": "day", "name": "b"}


def config(url: str, kind: str = "openai", model: str = "gpt-4o", **sections: Any) -> dict[str, Any]:
    """A client of one entry, ``p``."""
    entry = {"kind": kind, "base_url": f"{url}/v1", "api_key": "sk-test", "fallback_models": [model]}
    entry.update(sections.pop("entry", {}))
    sections.setdefault("budgets", [BUDGET])
    return {"active_provider": "p", "providers": {"p": entry}, "retry": {"max_attempts": 1}, **sections}


def chat(text: str = "ok", usage: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A whole chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "model": "gpt-4o", "choices": [choice], "usage": usage, **fields}


def chunks(text: str, *usages: dict[str, Any]) -> list[dict[str, Any]]:
    """The chunks of a streamed one; each usage is a chunk of its own."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": [choice]}

    told = [{"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage} for usage in usages]
    return [chunk({"content": text[at : at + 500]}) for at in range(0, len(text), 500)] + [chunk({}, "stop"), *told]


def counted(read: int, written: int, **more: Any) -> dict[str, Any]:
    """A usage of the chat format."""
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written, **more}


async def only_record(client: Client) -> Record:
    """The one row of the ledger."""
    (record,) = [record async for record in client.ledger.records()]
    return record


@pytest.mark.parametrize("usage", [None, counted(0, 0), {"prompt_tokens": 9, "completion_tokens": 0}])
@pytest.mark.parametrize("streamed", [False, True])
async def test_what_is_not_counted_is_estimated(usage: dict[str, Any] | None, streamed: bool) -> None:
    """No usage, and zeros beside a text, are counted from the text: on the reply, in the row and in the budget."""
    answer: object = chunks(TEXT, *([usage] if usage else [])) if streamed else chat(TEXT, usage)
    with serving(answer) as server:
        async with Client(config(server.url), environ={}) as client:
            if streamed:
                async with client.stream("hi") as stream:
                    async for _ in stream:
                        pass
                reply = stream.response
            else:
                reply = await client.send("hi")
            record = await only_record(client)
            (status,) = await client.ledger.budget_statuses()
    assert ("estimated", "estimate", "estimate") == (reply.usage.source, reply.cost_source, record.cost_source)
    assert reply.usage == record.usage
    assert reply.cost is not None
    assert LEAST <= reply.cost
    assert (reply.cost, reply.cost) == (record.cost, status.spent)


async def test_zeros_of_a_last_chunk_take_nothing_back() -> None:
    """A stream that counted and then closes with zeros has its counts."""
    with serving(chunks("ok", counted(1000, 100), counted(0, 0))) as server:
        async with Client(config(server.url), environ={}) as client, client.stream("hi") as stream:
            async for _ in stream:
                pass
    assert (1000, 100, "provider") == (
        stream.response.usage.input_tokens,
        stream.response.usage.output_tokens,
        stream.response.usage.source,
    )


@pytest.mark.parametrize("ends", ["cancelled", "timed out"])
async def test_a_call_whose_outcome_is_unknown_is_charged_at_its_reservation(ends: str) -> None:
    """The request had left: nobody knows what was billed, so the budget keeps what was reserved."""
    with serving(chat(), pause=2) as server:
        async with Client(config(server.url), environ={}) as client:
            if ends == "timed out":
                with pytest.raises(errors.DeadlineExceededError):
                    await client.send("hi", max_tokens=4000, timeout=0.5)
            else:
                with anyio.move_on_after(0.5):
                    await client.send("hi", max_tokens=4000)
            record = await only_record(client)
            (status,) = await client.ledger.budget_statuses()
    assert (None, "unknown") == (record.cost, record.usage.source)
    assert record.unpriced_reason is not None
    assert status.spent >= Decimal("0.04")
    assert 0 == status.reserved


async def test_what_the_provider_charged_is_the_cost() -> None:
    """A stated cost is on the reply, with its source, though no list knows the model."""
    usage = counted(100, 50, cost=0.00123, is_byok=False)
    with serving(chat(usage=usage)) as server:
        settings = config(server.url, "openrouter", "some-maker/nobody-knows", budgets=[])
        async with Client(settings, environ={}) as client:
            reply = await client.send("hi")
            record = await only_record(client)
    assert (Decimal("0.00123"), "provider", None) == (reply.cost, reply.cost_source, reply.unpriced_reason)
    assert (reply.cost, "provider") == (record.cost, record.cost_source)


async def test_a_reply_without_a_cost_says_why() -> None:
    """The reason is on the reply, on its attempt and in reports."""
    with serving(chat(usage=counted(10, 5), model="nobody-knows")) as server:
        async with Client(config(server.url, model="nobody-knows", budgets=[]), environ={}) as client:
            reply = await client.send("hi")
            (row,) = await client.ledger.report(by=["unpriced_reason"])
    assert (None, None) == (reply.cost, reply.cost_source)
    assert "has no known price" in str(reply.unpriced_reason)
    assert reply.unpriced_reason == reply.attempts[0].unpriced_reason == row.group["unpriced_reason"]


async def test_a_deployment_is_priced_as_the_configuration_says() -> None:
    """``priced_as`` names the model, also for what a budget reserves."""
    with serving(chat(usage=counted(1000, 1000), model="who-knows")) as server:
        entry = {"priced_as": {"my-deployment": "gpt-4o"}}
        async with Client(config(server.url, "azure", "my-deployment", entry=entry), environ={}) as client:
            reply = await client.send("hi")
    assert Decimal("0.0125") == reply.cost


@pytest.mark.parametrize(
    ("extra", "least"),
    [
        ({}, Decimal("0.04096")),
        ({"max_completion_tokens": 30_000}, Decimal("0.3")),
        ({"max_tokens": 10_000, "n": 4}, Decimal("0.4")),
        ({"service_tier": "priority"}, Decimal("0.0697")),
    ],
)
async def test_a_budget_reserves_what_the_request_on_the_wire_can_use(extra: dict[str, Any], least: Decimal) -> None:
    """What ``extra_body`` says is what is reserved, at the tier that is asked for."""
    with serving(chat(usage=counted(8, 2)), pause=0.5) as server:
        async with Client(config(server.url), environ={}) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: client.send("hi", extra_body=extra))
            while not server.bodies:
                await anyio.sleep(0.01)
            (status,) = await client.ledger.budget_statuses()
    assert least <= status.reserved <= least * Decimal("1.15")


async def test_an_estimate_is_what_a_budget_would_reserve() -> None:
    """What a budget assumes for a call without max_tokens is what an estimate says."""
    with serving(chat(usage=counted(8, 2)), pause=0.5) as server:
        settings = config(server.url, budgets=[{**BUDGET, "assume_output_tokens": 20_000}])
        async with Client(settings, environ={}) as client, anyio.create_task_group() as tasks:
            forecast = await client.estimate("hi")
            tasks.start_soon(client.send, "hi")
            while not server.bodies:
                await anyio.sleep(0.01)
            (status,) = await client.ledger.budget_statuses()
    assert (20_000, status.reserved) == (forecast.max_tokens, forecast.most)


async def test_an_estimate_takes_every_keyword_of_a_call() -> None:
    """What ``extra_body`` and a format add is in the estimate, and a keyword that does not exist is refused."""
    async with Client(config("http://127.0.0.1:9"), environ={}) as client:
        plain = (await client.estimate("hi", max_tokens=1000)).most
        eight = (await client.estimate("hi", max_tokens=1000, extra_body={"n": 8})).most
        shaped = (await client.estimate("hi", max_tokens=1000, response_format=dict[str, list[int]])).most
        with pytest.raises(TypeError, match="max_token"):
            await client.estimate("hi", max_token=1)  # type: ignore[call-arg]
    assert plain is not None
    assert eight is not None
    assert shaped is not None
    assert eight > plain * 7
    assert shaped > plain


async def test_what_is_free_passes_a_budget_that_is_used_up() -> None:
    """A paid model is refused, and one whose price is 0 is answered."""
    with serving(chat(usage=counted(100, 50_000))) as server:
        prices = {"prices": {"free": {"input": 0, "output": 0}}}
        settings = config(server.url, budgets=[{**BUDGET, "limit": 0.05}], catalog=prices)
        async with Client(settings, environ={}) as client:
            await client.send("hi")
            with pytest.raises(errors.BudgetExceededError):
                await client.send("hi")
            reply = await client.send("hi", model="free", fallback=[])
    assert 0 == reply.cost
