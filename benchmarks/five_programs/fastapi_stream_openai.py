import json
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI

app, client = FastAPI(), AsyncOpenAI()


async def events(question: str) -> AsyncIterator[str]:
    messages = [{"role": "user", "content": question}]
    stream = await client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            yield f"data: {json.dumps(chunk.choices[0].delta.content)}\n\n"
    yield "data: [DONE]\n\n"


@app.get("/chat")
async def chat(question: str) -> StreamingResponse:
    return StreamingResponse(events(question), media_type="text/event-stream")
