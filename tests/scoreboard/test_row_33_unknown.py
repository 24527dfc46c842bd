"""Calls that are cancelled or time out at every moment: nothing that may have been billed is booked as nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anyio
import pytest

from answering_server import serving
from asyncllm import Client, errors

pytestmark = pytest.mark.anyio
TEXT = "word " * 1600  # 1,600 tokens
LEAST = 16_000_000  # nano-dollars of gpt-4o
PAUSE = 0.12


def answer(usage: object) -> dict[str, Any]:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    return {"id": "c", "model": "gpt-4o", "choices": [choice], "usage": usage}


@pytest.mark.parametrize("ends", ["cancelled", "timed out"])
@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}])
async def test_no_moment_makes_a_call_free(
    ends: str, usage: object, record: Callable[[str, str, str], None], full: bool
) -> None:
    """Each attempt is booked at no less than its text costs, or is unknown and charged at its reservation."""
    moments = 100 if full else 16
    with serving(answer(usage), pause=PAUSE) as server:
        entry = {"kind": "openai", "base_url": f"{server.url}/v1", "api_key": "k", "fallback_models": ["gpt-4o"]}
        settings = {
            "active_provider": "p",
            "providers": {"p": entry},
            "retry": {"max_attempts": 1},
            "budgets": [{"limit": 1000, "per": "total", "name": "b"}],
        }
        async with Client(settings, environ={}) as client:
            for moment in range(1, moments + 1):
                after = 2 * PAUSE * moment / moments
                if ends == "cancelled":
                    with anyio.move_on_after(after):
                        await client.send("hi", max_tokens=4000)
                else:
                    try:
                        await client.send("hi", max_tokens=4000, timeout=after)
                    except errors.DeadlineExceededError:
                        continue
            rows = [row async for row in client.ledger.records()]
            (status,) = await client.ledger.budget_statuses()
    known = [row.nano_cost for row in rows if row.nano_cost is not None]
    charged = sum([row.nano_cost if row.nano_cost is not None else row.nano_reserved or 0 for row in rows])
    low = sum(cost < LEAST for cost in known)
    record(f"{ends} at every moment", f"{low} below the text, {len(rows) - len(known)} unknown", "0 below the text")
    assert (0, 0) == (low, status.reserved)
    assert len(rows) >= len(server.bodies)
    assert Decimal(charged).scaleb(-9) == status.spent
    assert all((row.nano_reserved or 0) > LEAST for row in rows)
