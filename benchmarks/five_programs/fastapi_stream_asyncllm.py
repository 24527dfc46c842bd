from fastapi import FastAPI, Response

import asyncllm
from asyncllm.contrib.asgi import sse

app, client = FastAPI(), asyncllm.Client()


@app.get("/chat", response_model=None)
async def chat(question: str) -> Response:
    return await sse(client.stream(question))
