import asyncio
import os

from litellm import Router

DEV = {"model": "openai/gpt-4o-mini"}
PROD = {"model": "openai/gpt-4o"}
SPARE = {"model": "anthropic/claude-haiku-4-5"}


async def main() -> None:
    prod = os.environ.get("APP_ENV") == "prod"
    models = [
        {"model_name": "main", "litellm_params": PROD if prod else DEV},
        {"model_name": "spare", "litellm_params": SPARE},
    ]
    router = Router(model_list=models, fallbacks=[{"main": ["spare"]}] if prod else [], num_retries=2 if prod else 0)
    reply = await router.acompletion(model="main", messages=[{"role": "user", "content": "What is 2+2?"}])
    print(reply.choices[0].message.content)


asyncio.run(main())
