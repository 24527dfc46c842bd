"""The same prompts to several models, side by side in a pandas table. Needs pandas."""

import asyncio

import pandas

import asyncllm
from asyncllm.testing import Simulator

PROMPTS = ["What is 2+2?", "Count to 5", "Say hello."]
MODELS = [("openai", "gpt-sim"), ("anthropic", "claude-sim"), ("gemini", "gemini-sim")]


async def main() -> None:
    async with Simulator() as simulator:
        prices = {model: {"input": price, "output": 5 * price} for price, (_, model) in enumerate(MODELS, 1)}
        async with asyncllm.Client(simulator.config(catalog={"prices": prices})) as client:
            rows = []
            for provider, model in MODELS:
                for item in await client.map_all(PROMPTS, provider=provider, model=model, tags={"study": "compare"}):
                    reply = item.reply
                    rows.append(
                        {
                            "prompt": PROMPTS[item.index],
                            "model": model,
                            "answer": item.text if item.error is None else f"failed: {item.error}",
                            "tokens": reply and reply.usage.total_tokens,
                            "cost": reply and float(reply.cost or "nan"),
                            "seconds": reply and reply.attempts[-1].latency,
                        }
                    )
    table = pandas.DataFrame(rows)
    print(table.pivot_table(index="prompt", columns="model", values="answer", aggfunc="first").to_string())
    print(table.groupby("model")[["tokens", "cost"]].sum().to_string())


asyncio.run(main())
