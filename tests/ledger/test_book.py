"""The books of a client: what an attempt is booked at, by outcome and by the error's own advice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from asyncllm._ledger.book import Bookkeeper, appraiser
from asyncllm._ledger.booking import Opening
from asyncllm._ledger.budgets import Budget, Hold
from asyncllm._ledger.columns import Head, Record
from asyncllm._ledger.estimates import estimate_usage
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.memory import MemoryStore
from asyncllm._schema.content import Reasoning, Text, ToolCall
from asyncllm._schema.messages import Message
from asyncllm._schema.response import Outcome, Response
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage
from asyncllm.errors import (
    AsyncLLMError,
    BudgetExceededError,
    ConnectError,
    ConnectionLostError,
    ContentBlockedError,
    DeadlineExceededError,
    ProtocolError,
    RateLimitError,
    StreamInterruptedError,
    StructuredOutputError,
)
from ledger_books import PlainPrices

pytestmark = pytest.mark.anyio
TARGET = {"provider": "main", "kind": "openai", "model": "gpt-x"}


@pytest.fixture
async def books() -> AsyncIterator[Bookkeeper]:
    ledger = Ledger(MemoryStore())
    yield Bookkeeper(ledger, PlainPrices())
    await ledger.aclose()


async def records(books: Bookkeeper) -> list[Record]:
    found = [record async for record in books.ledger.records()]
    return sorted(found, key=lambda record: record.attempt)


def partial(*content: object, usage: Usage = UNKNOWN_USAGE) -> Response:
    return Response(
        message=Message(role="assistant", content=content),  # type: ignore[arg-type]  # shorter to call
        finish_reason="other",
        usage=usage,
    )


COUNTED = Usage(input_tokens=10, output_tokens=20)


@pytest.mark.parametrize(
    ("outcome", "error", "usage", "cost", "source"),
    [
        ("ok", None, COUNTED, Decimal("0.00000005"), "provider"),
        ("ok", None, UNKNOWN_USAGE, Decimal("0.0000001"), "estimated"),
        ("error", RateLimitError("slow"), UNKNOWN_USAGE, Decimal(0), "unknown"),
        ("error", ConnectError("refused"), UNKNOWN_USAGE, Decimal(0), "unknown"),
        ("error", ConnectionLostError("gone"), UNKNOWN_USAGE, None, "unknown"),
        ("error", ProtocolError("not JSON"), UNKNOWN_USAGE, Decimal("0.0000001"), "estimated"),
        ("error", StructuredOutputError("no fit"), COUNTED, Decimal("0.00000005"), "provider"),
        ("error", ContentBlockedError("no", usage=COUNTED), UNKNOWN_USAGE, Decimal("0.00000005"), "provider"),
        ("error", ContentBlockedError("no"), UNKNOWN_USAGE, Decimal("0.0000001"), "estimated"),
        ("error", DeadlineExceededError("late"), UNKNOWN_USAGE, None, "unknown"),
        ("cancelled", None, UNKNOWN_USAGE, None, "unknown"),
        ("cancelled", None, COUNTED, Decimal("0.00000005"), "estimated"),
        (
            "interrupted",
            StreamInterruptedError("cut", partial=partial(Text("four" * 10))),
            UNKNOWN_USAGE,
            Decimal("0.00000012"),
            "estimated",
        ),
    ],
)
async def test_what_an_attempt_is_booked_at(
    books: Bookkeeper, outcome: Outcome, error: AsyncLLMError | None, usage: Usage, cost: Decimal | None, source: str
) -> None:
    """The error's advice decides: nothing, what was counted, an estimate marked as one, or unknown."""
    ticket = await books.call("gpt-y").open(**TARGET, input_tokens=100, max_tokens=50)
    settled = ticket.settle(outcome, error=error, usage=usage, status=200)
    (record,) = await records(books)
    assert (cost, source) == (settled.cost, settled.usage.source)
    assert (cost, source, outcome) == (record.cost, record.usage.source, record.status)
    assert (None if error is None else type(error).__name__) == record.error
    assert ("gpt-y", "gpt-x", "main") == (record.requested_model, record.model, record.provider)
    assert (None if cost is None or cost == 0 else "2026-11-01") == record.price_version


async def test_attempts_of_a_call_are_numbered_and_belong_together(books: Bookkeeper) -> None:
    """Whoever reads the records can tell which of them are one call, in which order."""
    call = books.call("gpt-x", user="ann", agent="planner", tags={"team": "x"}, variant="b")
    first = await call.open(**TARGET, input_tokens=1)
    assert Decimal(0) == first.settle("error", error=ConnectionLostError("stale"), free=True).cost
    second = first.again()
    second.settle("error", error=RateLimitError("slow"))
    third = await call.open(provider="other", kind="k", model="m", input_tokens=1)
    third.settle("ok", usage=COUNTED, latency=1.0, first_token_latency=0.5, waited=0.25, request_id="r")
    other = await books.call("gpt-x").open(**TARGET, input_tokens=1)
    other.void()
    found = await records(books)
    assert [(1, first.id), (2, second.id), (3, third.id)] == [(record.attempt, record.id) for record in found]
    assert {first.id} == {record.call for record in found}
    assert {("ann", "planner", "b")} == {(record.user, record.agent, record.variant) for record in found}
    assert (1.0, 0.5, 0.25, "r") == (
        found[2].latency,
        found[2].first_token_latency,
        found[2].waited,
        found[2].request_id,
    )


async def test_a_hard_budget_reserves_the_upper_bound() -> None:
    """Input tokens and max_tokens, or what the budget assumes, at the dearest price."""
    ledger = Ledger(MemoryStore(), budgets=[Budget(wait=0, limit=1000, assume_output_tokens=400)])
    books = Bookkeeper(ledger, PlainPrices())
    ticket = await books.call("gpt-x").open(**TARGET, input_tokens=100)
    assert [Decimal("0.0000009")] == [status.reserved for status in await ledger.budget_statuses()]
    with pytest.raises(BudgetExceededError, match=r"up to \$0\.00000011 needed"):
        await books.call("gpt-x").open(**TARGET, input_tokens=100, max_tokens=5)
    ticket.settle("ok", usage=COUNTED)
    small = await books.call("gpt-x").open(**TARGET, input_tokens=100, max_tokens=5)
    assert [Decimal("0.00000011")] == [status.reserved for status in await ledger.budget_statuses()]
    small.settle("error", error=RateLimitError("slow"))
    assert [(Decimal(0), Decimal("0.00000005"))] == [
        (status.reserved, status.spent) for status in await ledger.budget_statuses()
    ]
    with pytest.raises(BudgetExceededError, match="free-for-all of main has no price"):
        await books.call("x").open(provider="main", kind="openai", model="free-for-all", input_tokens=1)
    await ledger.aclose()


@pytest.mark.parametrize("keep", [1, 100])
def test_a_ledger_in_memory_forgets_the_oldest_refusals(keep: int) -> None:
    """Users come from callers: counts of refusals do not grow without end, and the newest are kept."""
    store = MemoryStore(keep=keep)
    for number in range(1000):
        store.count_refusals({(number, "day", "p", "m", f"u{number}"): 1})
    kept = store.refusals(None, None)
    assert len(kept) <= keep
    assert "u999" == kept[-1][4]


async def test_calls_outside_every_scope_reserve_nothing() -> None:
    """A budget for others asks nobody's price."""
    from asyncllm._ledger.budgets import Scope

    ledger = Ledger(MemoryStore(), budgets=[Budget(wait=0, limit=1, scope=Scope(user="bob"))])
    ticket = await Bookkeeper(ledger, PlainPrices()).call("x", user="ann").open(**TARGET, input_tokens=10**9)
    ticket.settle("ok", usage=COUNTED)
    await ledger.aclose()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ((), 0),
        ((Text("abcde"),), 2),
        ((Reasoning("abcd"), Text("abcd")), 2),
        ((ToolCall(id="1", name="f", raw_arguments='{"a": 1}'),), 5),
    ],
)
def test_an_estimate_counts_what_came(content: tuple[object, ...], expected: int) -> None:
    """Text, reasoning and the arguments of calls, by the ratio of their kinds."""
    head = Head(provider="p", model="m", input_estimate=7)
    usage = estimate_usage(head, partial(*content))
    assert (7, expected, 7 + expected, "estimated") == (
        usage.input_tokens,
        usage.output_tokens,
        usage.total_tokens,
        usage.source,
    )


def test_an_estimate_keeps_what_the_provider_said() -> None:
    """The input it counted, its caches, and an output that is larger than the text."""
    said = Usage(input_tokens=50, output_tokens=1, cache_read_tokens=40)
    head = Head(provider="p", model="m", input_estimate=7)
    found = estimate_usage(head, partial(Text("abcdefgh"), usage=said))
    assert (50, 2, 40) == (found.input_tokens, found.output_tokens, found.cache_read_tokens)
    assert 1 == estimate_usage(head, None, said).output_tokens


def test_the_dead_are_priced_at_their_estimate() -> None:
    """What was reserved, else the price of the estimated tokens, else unknown."""
    appraise = appraiser(PlainPrices())
    head = Head(provider="p", kind="k", model="m", input_estimate=100, output_estimate=50)
    reserved = appraise(Opening("1", 0, head, Hold(900, ()), None))
    assert ("unknown", 900, "estimated") == (reserved.status, reserved.cost, reserved.usage.source)
    free = appraise(Opening("1", 0, head, None, None))
    assert (200, "2026-11-01") == (free.cost, free.price_version)
    unknown = appraise(Opening("1", 0, Head(provider="p", kind="k", model="m"), None, None))
    assert (None, None) == (unknown.cost, unknown.price_version)
