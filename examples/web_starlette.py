"""A chat endpoint in Starlette that streams its answer. The provider is simulated: no key is needed."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

import asyncllm
from asyncllm.contrib.asgi import sse
from asyncllm.testing import Simulator


async def chat(request: Request) -> Response:
    return await sse(client.stream((await request.json())["question"]))


app = Starlette(routes=[Route("/chat", chat, methods=["POST"])])
with Simulator.in_thread(reply="Hello from Oslo") as simulator:
    client = asyncllm.Client(simulator.config())
    print(TestClient(app).post("/chat", json={"question": "Hello?"}).text)
