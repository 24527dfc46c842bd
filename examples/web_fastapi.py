"""A chat endpoint in FastAPI that streams its answer. The provider is simulated: no key is needed."""

from fastapi import FastAPI, Response
from fastapi.testclient import TestClient

import asyncllm
from asyncllm.contrib.asgi import sse
from asyncllm.testing import Simulator

app = FastAPI()


@app.post("/chat", response_model=None)
async def chat(question: str) -> Response:
    return await sse(client.stream(question))


with Simulator.in_thread(reply="Hello from Oslo") as simulator:
    client = asyncllm.Client(simulator.config())
    print(TestClient(app).post("/chat", params={"question": "Hello?"}).text)
