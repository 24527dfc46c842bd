"""Troubleshooting: each error that a newcomer can provoke is found on the page by the sentence that it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

import asyncllm
import docs_pages
from asyncllm import Message, SyncClient, Video
from asyncllm.testing import Fault, Simulator

PAGE = docs_pages.FOLDER / "troubleshooting.md"
# Sentences of others: Python, OpenSSL, and the providers (the simulator says the same).
OF_OTHERS = (
    "No module named",
    "was never awaited",
    "certificate verify failed",
    "insufficient_quota",
    "Rate limit reached",
)
MORE_OF_OTHERS = ("credit balance is too low", "does not exist or you do not have access", "You are not allowed to")


def quotes() -> list[str]:
    """The sentences that stand in the headings of the page."""
    headings = re.findall(r"^### (.*)$", PAGE.read_text(encoding="utf8"), re.MULTILINE)
    return [quote for heading in headings for quote in re.findall(r"`([^`]+)`", heading) if " " in quote]


def pattern(quote: str) -> re.Pattern[str]:
    """What a sentence on the page matches; an ellipsis stands for anything."""
    return re.compile(".*".join(re.escape(part.strip()) for part in quote.split("…")), re.DOTALL)


class City(BaseModel):
    """An answer."""

    name: str


def configured(text: str) -> Callable[[], object]:
    """A client of a file with this text."""

    def make() -> object:
        Path("config.yaml").write_text(text, encoding="utf8")
        with SyncClient("config.yaml", environ={}) as client:
            return client.send("Hi")

    return make


ONE = "active_provider: openai\nproviders:\n  openai: {api_key: x}\n"
MISTAKES_OF_CONFIGURATION: Mapping[str, Callable[[], object]] = {
    "nothing": lambda: SyncClient(environ={}),
    "no file": lambda: SyncClient("conf.yaml", environ={}),
    "a model as the path": lambda: SyncClient("gpt-5.4-mini", environ={}),
    "a key alone": lambda: SyncClient(api_key="sk-1", environ={}),
    "no key": lambda: SyncClient(provider="openai", model="m", environ={}),
    "a kind that is not there": lambda: SyncClient(provider="opnai", model="m", environ={}),
    "a variable that is not set": configured(ONE.replace("x", "'${OPENAI_API_KEY}'")),
    "a misspelt key": configured(ONE.replace("api_key", "api_kee")),
    "a wrong type": configured(ONE + "retry: {max_attempts: many}\n"),
    "a tab": configured(ONE.replace("  openai", "\topenai")),
    "a misspelt provider": configured(ONE.replace("provider: openai", "provider: openia")),
    "no model": configured(ONE),
    "no scheme": configured(ONE.replace("api_key: x", "api_key: x, base_url: 'localhost:8000'")),
    "no region": lambda: SyncClient(provider="bedrock", model="m", api_key="k", environ={}).send("Hi"),
    "no project": lambda: SyncClient(
        {"active_provider": "vertex", "providers": {"vertex": {"access_token": "k"}}}, environ={"NO_GCE_CHECK": "true"}
    ).send("Hi", model="gemini-x"),
    "no endpoint": lambda: SyncClient(provider="azure", model="m", api_key="k", environ={}).send("Hi"),
    "no server": lambda: SyncClient(provider="ollama", model="m", base_url="http://127.0.0.1:9/v1", environ={}).send(
        "Hi", timeout=5
    ),
}
TO = [Message.user("Look.", Video(data=b"x", media_type="video/mp4"))]
MISTAKES_OF_CALLS: Mapping[str, Callable[[SyncClient], object]] = {
    "another provider": lambda client: client.send("Hi", provider="groq"),
    "a wrong type": lambda client: client.send("Hi", temperature="hot"),  # type: ignore[arg-type]
    "a misspelt keyword": lambda client: client.send("Hi", temprature=1),  # type: ignore[call-arg]
    "a role": lambda client: client.send([{"role": "bot", "content": "x"}]),
    "a tool": lambda client: client.send("Hi", tools=["f"]),  # type: ignore[list-item]
    "a film": lambda client: client.send(TO, provider="anthropic"),
    "a schema": lambda client: client.send("Say no.", response_format=City, model="says-no"),
    "no price": lambda client: client.send("Hi", model="unpriced"),
    "a deadline": lambda client: client.send("Hi", model="slow", timeout=0.2),
    "a long prompt": lambda client: client.send("word " * 400, model="small"),
    "a stream": lambda client: "".join(map(str, client.stream("Count to 10", model="cut"))),
    "a stream without end": lambda client: "".join(map(str, client.stream("Count to 10", model="open"))),
    "a report": lambda client: client.ledger.report() if client.send("Hi") else None,
}
FAULTS: Mapping[str, Fault] = {
    **{f"status {status}": Fault.status(status) for status in (401, 403, 404, 429)},
    "a page": Fault.html(),
    "a redirect": Fault.redirect(),
    "a reset": Fault.reset(),
}


def told_on_the_page(error: BaseException) -> bool:
    """Whether one of the quotes fits."""
    return any(pattern(quote).search(str(error)) for quote in quotes())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.in_thread() as running:
        running.behave("says-no", reply="no")
        running.behave("slow", latency=5)
        running.behave("small", context_window=20)
        running.on("cut", Fault.cut(after_events=2))
        running.on("open", Fault.truncate(after_events=2))
        yield running


@pytest.mark.parametrize("name", MISTAKES_OF_CONFIGURATION)
def test_a_mistake_of_the_configuration_is_explained(name: str) -> None:
    """The page has the sentence of each mistake before the first answer."""
    with pytest.raises(asyncllm.AsyncLLMError) as caught:
        MISTAKES_OF_CONFIGURATION[name]()
    assert told_on_the_page(caught.value), str(caught.value)


@pytest.mark.parametrize("name", MISTAKES_OF_CALLS)
def test_a_mistake_of_a_call_is_explained(name: str, simulator: Simulator) -> None:
    """The page has the sentence of each mistake in a call."""
    settings = {**simulator.config(), "retry": {"max_attempts": 1}}
    settings |= {"budgets": [{"limit": 1}]} if name == "no price" else {}
    settings |= {"cost_tracking": {"enabled": False}} if name == "a report" else {}
    with SyncClient(settings, environ={}) as client, pytest.raises((asyncllm.AsyncLLMError, TypeError)) as caught:
        MISTAKES_OF_CALLS[name](client)
    assert told_on_the_page(caught.value), str(caught.value)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_explained(name: str, simulator: Simulator) -> None:
    """The page has the sentence of each failure of a provider or of the network, alone and at the end of a chain."""
    simulator.on("faulty", FAULTS[name])
    settings = {**simulator.config(), "retry": {"max_attempts": 1}}
    with SyncClient(settings, environ={}) as client:
        with pytest.raises(asyncllm.AsyncLLMError) as alone:
            client.send("Hi", model="faulty", fallback=[])
        with pytest.raises(asyncllm.AsyncLLMError) as chain:
            client.send("Hi", model="faulty", fallback=[("anthropic", "faulty")])
    assert told_on_the_page(alone.value), str(alone.value)
    assert "`all … targets failed …`" in PAGE.read_text(encoding="utf8")
    assert pattern("all … targets failed").search(str(chain.value)) or told_on_the_page(chain.value)


def test_a_budget_and_a_closed_client_are_explained(simulator: Simulator) -> None:
    """The page has the sentences of a full budget and of a client that is closed."""
    prices = {"catalog": {"prices": {"gpt-sim": {"input": 1, "output": 1}}}}
    client = SyncClient({**simulator.config(), **prices, "budgets": [{"limit": "0.000001"}]}, environ={})
    with client, pytest.raises(asyncllm.BudgetExceededError) as full:
        client.send("Hi", fallback=[])
    with pytest.raises(asyncllm.ClientStateError) as closed:
        client.send("Hi")
    assert [True, True] == [told_on_the_page(full.value), told_on_the_page(closed.value)]


def sentences_of_the_source() -> str:
    """The code of the package, in which each text that is written in several pieces is one."""
    texts = [path.read_text(encoding="utf8") for path in (docs_pages.ROOT / "src").rglob("*.py")]
    return re.sub(r"[\"']\s*\n\s*f?[\"']", "", "\n".join(texts))


def test_every_sentence_on_the_page_is_one_of_ours() -> None:
    """A sentence that the code no longer says does not stay on the page."""
    source = sentences_of_the_source()
    cut = re.compile(r"…|`|'[^']*'|; |: |=| and | or |://")  # where other texts are put in
    pieces = [piece.strip() for quote in quotes() for piece in cut.split(quote) if len(piece.strip()) > 9]
    others = (*OF_OTHERS, *MORE_OF_OTHERS)
    assert [] == [piece for piece in pieces if piece not in source and not any(other in piece for other in others)]


def test_every_error_is_in_the_reference() -> None:
    """docs/reference/errors.md has a row for each exception, and troubleshooting leads there."""
    text = (docs_pages.FOLDER / "reference" / "errors.md").read_text(encoding="utf8")
    kinds = [name for name in asyncllm.__all__ if name.endswith("Error") and name != "ToolError"]
    assert [] == [name for name in kinds if f"| `{name}` |" not in text]
    assert "(reference/errors.md)" in PAGE.read_text(encoding="utf8")
