"""A hard budget against calls of every kind that use all they may: what is reserved is an upper bound."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio
import pytest

from answering_server import serving
from asyncllm import Client, errors
from asyncllm.schema import Document, Image, Message

pytestmark = pytest.mark.anyio
CALLS = 30
AT_ONCE = 12
ROOM = 20  # calls for which the budget has money
LEAST_USED = Decimal("0.85")
MODELS = {"openai": "gpt-5.4", "anthropic": "claude-opus-5", "gemini": "gemini-3.8-flash"}
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + (1600).to_bytes(4, "big") * 2  # 1,600 times 1,600 pixels
PICTURE = Image(data=PNG, media_type="image/png")
PDF = b"%PDF-1.7\n<</Type /Pages /Count 3>>" + b"<</Type /Page>>" * 3
PAGES = Document(data=PDF, media_type="application/pdf")


@dataclass(frozen=True)
class Kind:
    """Calls of one kind, and what the provider counts for each: as much as the request allows.

    Attributes:
        wire: the provider.
        read: tokens of the input, by the vendor's own rule or as tokenizers were measured.
        written: tokens of the output.
        call: keywords of ``send``.
        content: of the user's message.
        usage: what else the provider counts.
        assumed: nothing in the request bounds its output.
    """

    wire: str
    read: int
    written: int
    call: Mapping[str, Any] = field(default_factory=dict)
    content: Any = "hi"
    usage: Mapping[str, Any] = field(default_factory=dict)
    assumed: bool = False


def claude_tool(name: str, uses: int) -> dict[str, Any]:
    """A tool that Anthropic runs."""
    return {"type": name, "name": name.rpartition("_")[0], "max_uses": uses}


SEARCHES = {"server_tool_use": {"web_search_requests": 3}}
KINDS = {
    "max_tokens": Kind("openai", 8, 3000, {"max_tokens": 3000}),
    "no max_tokens": Kind("openai", 8, 4096, assumed=True),
    "max_completion_tokens in extra_body": Kind("openai", 8, 30_000, {"extra_body": {"max_completion_tokens": 30_000}}),
    "n": Kind("openai", 8, 8000, {"max_tokens": 1000, "extra_body": {"n": 8}}),
    "priority": Kind(
        "openai", 8, 2000, {"max_tokens": 2000, "extra_body": {"service_tier": "priority"}}, usage={"tier": "priority"}
    ),
    "flex": Kind(
        "openai", 8, 2000, {"max_tokens": 2000, "extra_body": {"service_tier": "flex"}}, usage={"tier": "flex"}
    ),
    "digits": Kind("openai", 6000, 10, {"max_tokens": 10}, "0123456789" * 600),
    "base64": Kind("openai", 6240, 10, {"max_tokens": 10}, base64.b64encode(bytes(range(250)) * 24).decode()),
    "Chinese": Kind("openai", 6200, 10, {"max_tokens": 10}, "人人生而自由在尊严和权利上一律平等" * 300),
    "prose": Kind("openai", 2000, 10, {"max_tokens": 10}, "The quick brown fox jumps over the lazy dog. " * 200),
    "pictures": Kind("openai", 8 + 2 * 2500, 10, {"max_tokens": 10}, (PICTURE, PICTURE)),
    "tools": Kind(
        "openai", 400, 50, {"max_tokens": 50, "tools": [{"name": "f", "description": "d " * 200, "parameters": {}}]}
    ),
    "Claude": Kind("anthropic", 8, 1000, {"max_tokens": 1000}),
    "Claude reasoning": Kind("anthropic", 60, 9000, {"max_tokens": 9000, "reasoning": 4000}),
    "Claude fast": Kind(
        "anthropic", 8, 1000, {"max_tokens": 1000, "extra_body": {"speed": "fast"}}, usage={"speed": "fast"}
    ),
    "Claude's picture": Kind("anthropic", 3413, 10, {"max_tokens": 10}, (PICTURE,)),
    "Claude's pages": Kind("anthropic", 3 * 4600, 10, {"max_tokens": 10}, (PAGES,)),
    "Claude's searches": Kind(
        "anthropic",
        2300 + 3 * 6000,
        500,
        {"max_tokens": 500, "tools": [claude_tool("web_search_20250305", 3)]},
        usage=SEARCHES,
    ),
    "Claude written to a cache": Kind(
        "anthropic", 0, 10, {"max_tokens": 10}, "word " * 4000, usage={"cache_creation_input_tokens": 4000}
    ),
    "Gemini": Kind("gemini", 8, 5000, {"extra_body": {"generationConfig": {"maxOutputTokens": 5000}}}),
    "Gemini candidates": Kind(
        "gemini",
        8,
        6000,
        {"max_tokens": 2000, "extra_body": {"generationConfig": {"candidateCount": 3, "maxOutputTokens": 2000}}},
    ),
    "Gemini's picture": Kind("gemini", 2240, 10, {"max_tokens": 10}, (PICTURE,)),
}


def answer_of(kind: Kind) -> dict[str, Any]:
    """The reply with everything that the kind uses."""
    usage = dict(kind.usage)
    if kind.wire == "anthropic":
        counted = {"input_tokens": kind.read, "output_tokens": kind.written, **usage}
        return {
            "id": "m", "type": "message", "role": "assistant", "model": MODELS["anthropic"], "usage": counted,
            "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn",
        }  # fmt: skip
    if kind.wire == "gemini":
        counted = {"promptTokenCount": kind.read, "candidatesTokenCount": kind.written}
        parts = [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP", "index": 0}]
        return {"candidates": parts, "usageMetadata": counted, "modelVersion": MODELS["gemini"]}
    counted = {"prompt_tokens": kind.read, "completion_tokens": kind.written}
    choice = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
    told = {"service_tier": usage["tier"]} if "tier" in usage else {}
    return {"id": "c", "model": MODELS["openai"], "choices": [choice], "usage": counted, **told}


def settings(kind: Kind, url: str, limit: Decimal | None) -> dict[str, Any]:
    """A client of the kind's provider, with a budget."""
    base = url if kind.wire != "openai" else f"{url}/v1"
    entry = {"kind": kind.wire, "base_url": base, "api_key": "k", "fallback_models": [MODELS[kind.wire]]}
    if kind.wire == "openai":
        entry["api"] = "chat"
    budgets = [] if limit is None else [{"limit": limit, "per": "day", "name": "b"}]
    return {"active_provider": "p", "providers": {"p": entry}, "retry": {"max_attempts": 1}, "budgets": budgets}


@pytest.fixture
def anyio_backend() -> str:
    """Where it runs: what is measured is the ledger's thread, which knows no event loop."""
    return "asyncio"


@pytest.mark.parametrize("name", KINDS)
async def test_no_kind_of_call_passes_the_limit(name: str, record: Callable[[str, str, str], None]) -> None:
    """Calls that all use what they may, twelve at once, spend no more than the budget has, and nearly all of that."""
    kind = KINDS[name]
    message = Message.user(kind.content) if isinstance(kind.content, str) else Message.user(*kind.content)
    with serving(answer_of(kind), pause=0.02) as server:
        async with Client(settings(kind, server.url, None), environ={}) as client:
            cost = (await client.send([message], **kind.call)).cost
        assert cost is not None
        limit = (cost * ROOM).quantize(Decimal("0.000000001"))
        turn = anyio.CapacityLimiter(AT_ONCE)

        async def call() -> None:
            async with turn:
                try:
                    await client.send([message], **kind.call)
                except errors.BudgetExceededError:
                    return

        async with Client(settings(kind, server.url, limit), environ={}) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(CALLS):
                    tasks.start_soon(call)
            (status,) = await client.ledger.budget_statuses()
    record(
        f"a hard budget, {name}", f"{status.spent / limit:.0%} used, excess {status.excess}", "85% to 100%, no excess"
    )
    assert LEAST_USED * limit <= status.spent <= limit
    assert status.excess == 0
    assert 0 == status.reserved
