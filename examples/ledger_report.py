"""A ledger by itself: attempts with their costs, a budget, a report."""

import asyncio
from decimal import Decimal

from asyncllm.errors import BudgetExceededError
from asyncllm.ledger import Bookkeeper, Budget, Ledger, MemoryStore
from asyncllm.models import PriceBook
from asyncllm.schema import Usage


async def main() -> None:
    ledger = Ledger(MemoryStore(), budgets=[Budget(limit=10_000_000, per="day", name="a cent a day")])
    books = Bookkeeper(ledger, PriceBook())
    for user in ("ann", "bob", "ann"):
        call = books.call("gpt-4o-mini", user=user)
        try:
            ticket = await call.open(
                provider="openai", kind="openai", model="gpt-4o-mini", input_tokens=2_000, max_tokens=8_000
            )
        except BudgetExceededError as error:
            print(f"{user}: {error}")
        else:
            settled = ticket.settle("ok", usage=Usage(input_tokens=1_500, output_tokens=6_000), latency=0.8)
            print(f"{user}: ${settled.cost}")
    for row in await ledger.report(by=["user"]):
        print(row.group["user"], row.requests, row.input_tokens, row.output_tokens, row.cost)
    assert ledger.session_cost() < Decimal("0.01")
    await ledger.aclose()


asyncio.run(main())
