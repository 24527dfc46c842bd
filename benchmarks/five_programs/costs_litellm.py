import asyncio
import csv
from collections import defaultdict
from datetime import date

import litellm

spent: dict[tuple[date, str], float] = defaultdict(float)


async def ask(question: str, user: str) -> str:
    messages = [{"role": "user", "content": question}]
    reply = await litellm.acompletion(model="openai/gpt-4o-mini", messages=messages, user=user)
    spent[date.today(), user] += litellm.completion_cost(completion_response=reply)
    return reply.choices[0].message.content


async def main() -> None:
    for user in ("ann", "bob", "ann"):
        await ask("Count to 20", user)
    with open("costs.csv", "w", newline="") as file:
        csv.writer(file).writerows([day, user, cost] for (day, user), cost in spent.items())
    for (day, user), cost in spent.items():
        print(day, user, cost)


asyncio.run(main())
