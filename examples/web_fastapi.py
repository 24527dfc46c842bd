"""A chat in FastAPI: a page that shows the answer while it comes. The provider is simulated: no key is needed.

Serve it with `python -m uvicorn web_fastapi:app` and open http://127.0.0.1:8000.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient

import asyncllm
from asyncllm.contrib.asgi import sse
from asyncllm.testing import Simulator

PAGE = """<!doctype html><title>Chat</title>
<form><input name="question" autofocus> <button>Ask</button></form><p id="answer" aria-live="polite"></p>
<script>
document.forms[0].onsubmit = (sent) => {
  sent.preventDefault()
  answer.textContent = ""
  const question = encodeURIComponent(sent.target.question.value)
  const events = new EventSource("chat?question=" + question)
  events.onmessage = (event) => {
    if (event.data === "[DONE]") return events.close()
    const told = JSON.parse(event.data)
    if (told.type === "text") answer.textContent += told.text
  }
  events.onerror = () => events.close()
}
</script>"""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with Simulator(chunk_delay=0.02) as simulator, asyncllm.Client(simulator.config()) as client:
        app.state.client = client  # in your application: asyncllm.Client("config.yaml")
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/")
def page() -> HTMLResponse:
    return HTMLResponse(PAGE)


@app.get("/chat", response_model=None)
async def chat(question: str) -> Response:
    return await sse(app.state.client.stream(question, user="ada"))


if __name__ == "__main__":
    with TestClient(app) as browser:
        assert "EventSource" in browser.get("/").text
        print(browser.get("/chat", params={"question": "Count to 3"}).text)
