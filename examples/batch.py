"""Reviews judged overnight: one batch at half the price, read by another client as if in another process."""

import asyncio
import tempfile
from pathlib import Path

import asyncllm
from asyncllm.testing import Simulator

REVIEWS = [f"Review {number}: it {'works' if number % 3 else 'broke'}." for number in range(300)]


async def main() -> None:
    simulator = Simulator(reply=lambda request: "good" if "works" in request.prompt else "bad")
    simulator.batch_seconds = 0.5
    with tempfile.TemporaryDirectory() as folder:
        async with simulator:
            config = simulator.config(cost_tracking={"database": f"sqlite:///{Path(folder) / 'costs.db'}"})
            async with asyncllm.Client(config) as client:
                batch = await client.batch(REVIEWS, id="reviews", model="gpt-5.4-mini")
                print(batch.id, batch.state, batch.total)
            async with asyncllm.Client(config) as client:  # tomorrow, elsewhere
                batch = await client.open_batch("reviews")
                items = await (await batch.wait()).results()
                bad = sum(item.text == "bad" for item in items)
                print(f"{bad} of {len(items)} are bad; it cost ${await client.session_cost():f}")


asyncio.run(main())
