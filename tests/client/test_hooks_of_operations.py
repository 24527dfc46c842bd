"""Hooks of what is no chat: vectors, rankings, lines of batches, files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from asyncllm import Attempt, CallRefusedError, Client, Hook, HookCall, HookError, HookTarget, Message, Request
from asyncllm.errors import ConfigurationError
from asyncllm.schema import Embedded, EmbedRequest, Reranked, RerankRequest
from asyncllm.testing import Simulator

pytestmark = pytest.mark.anyio
MODEL = "text-embedding-3-small"


class Watch(Hook):
    """Takes a name out of all texts, and notes every point."""

    operations = ("chat", "embed", "rerank", "batch", "file")

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.results: list[Any] = []
        self.users: list[str | None] = []

    def before_call(self, call: HookCall) -> Request:
        self.seen.append((call.operation, "before_call"))
        self.users.append(call.user)
        request = call.request
        if isinstance(request, EmbedRequest):
            return replace(request, texts=tuple([text.replace("Ann", "N") for text in request.texts]))
        if isinstance(request, RerankRequest):
            return replace(request, query=request.query.replace("Ann", "N"))
        if "secret" in request.messages[-1].text:
            raise CallRefusedError("not this one")
        shown = [Message(one.role, one.text.replace("Ann", "N")) for one in request.messages]  # type: ignore[arg-type]
        return replace(request, messages=tuple(shown))

    def before_attempt(self, call: HookCall, target: HookTarget) -> None:
        self.seen.append((call.operation, "before_attempt"))

    def after_attempt(self, call: HookCall, attempt: Attempt) -> None:
        self.seen.append((call.operation, attempt.outcome))

    async def after_operation(self, call: HookCall, result: Any, error: BaseException | None) -> None:
        if call.operation in ("embed", "rerank"):
            self.results.append(result if error is None else error)


def client_of(sim: Simulator, *hooks: Hook) -> Client:
    return Client(sim.config(), environ={}, hooks=hooks)


async def test_hooks_see_and_change_what_is_embedded() -> None:
    """Texts without names are sent; the end has the vectors and the usage; the caller's own list is as it was."""
    hook, texts = Watch(), ["Ann asked", "Bob"]
    async with Simulator() as sim, client_of(sim, hook) as client:
        found = await client.embed(texts, model=MODEL, user="u")
        assert ["N asked", "Bob"] == sim.requests[-1].body["input"]
    assert [("embed", word) for word in ("before_call", "before_attempt", "ok")] == hook.seen
    (result,) = hook.results
    assert isinstance(result, Embedded)
    assert (len(found), found.usage.input_tokens) == (len(result.vectors), result.usage.input_tokens)
    assert (["Ann asked", "Bob"], ["u"]) == (texts, hook.users)


async def test_hooks_see_rankings() -> None:
    """The question is changed, the documents come back as they were given."""
    hook = Watch()
    async with Simulator() as sim, client_of(sim, hook) as client:
        ranking = await client.rerank("Ann", ["Ann", "b"], provider="bedrock", model="cohere.rerank-v3-5:0")
        assert "N" == sim.requests[-1].body["query"]
    assert {"Ann", "b"} == {one.document for one in ranking}
    assert isinstance(hook.results[0], Reranked)


async def test_a_line_of_a_batch_is_changed_or_refused() -> None:
    """Each line is seen before anything is sent; a refused one is named, and no batch is made."""
    hook = Watch()
    async with Simulator() as sim, client_of(sim, hook) as client:
        with pytest.raises(CallRefusedError, match="input 1 of the batch"):
            await client.batch(["Hi", "a secret"], model="gpt-5.4-mini")
        assert [] == list(sim.requests)
        batch = await client.batch(["Ann is here", "Hi"], model="gpt-5.4-mini")
        await batch.wait(timeout=10)
        first, _ = await batch.results()
        sent = str([vars(one) if hasattr(one, "__dict__") else one for one in sim.files.values()])
    assert first.reply is not None
    assert "N is here" in first.reply.text
    assert "Ann is here" not in sent
    assert 4 == hook.seen.count(("batch", "before_call"))
    assert ("batch", "ok") in hook.seen


async def test_requests_of_files_are_attempts() -> None:
    """Before each of them a hook may refuse; there is no call around them that it could change."""

    class NoFiles(Watch):
        def before_attempt(self, call: HookCall, target: HookTarget) -> None:
            super().before_attempt(call, target)
            raise CallRefusedError("no files")

    hook = Watch()
    async with Simulator() as sim, client_of(sim, hook) as client:
        await client.upload(b"%PDF-1.4", name="a.pdf", provider="openai")
    assert {("file", "before_attempt"), ("file", "ok")} == set(hook.seen)
    async with Simulator() as sim, client_of(sim, NoFiles()) as client:
        with pytest.raises(CallRefusedError):
            await client.upload(b"%PDF-1.4", name="a.pdf", provider="openai")
        assert [] == list(sim.requests)


async def test_only_what_a_hook_names_is_seen() -> None:
    """A hook of chats meets no request without messages; one of vectors no chat; a wrong word is an error at once."""

    class Chats(Watch):
        operations = ("chat",)  # type: ignore[assignment]

    class Vectors(Watch):
        operations = ("embed",)  # type: ignore[assignment]

    chats, vectors = Chats(), Vectors()
    async with Simulator() as sim, client_of(sim, chats, vectors) as client:
        await client.embed("a", model=MODEL)
        await client.send("Hi")
    assert ({"chat"}, {"embed"}) == ({one for one, _ in chats.seen}, {one for one, _ in vectors.seen})

    class Wrong(Hook):
        operations = ("embeddings",)  # type: ignore[assignment]

    with pytest.raises(ConfigurationError, match="operations"):
        Client(provider="openai", model="m", api_key="k", hooks=[Wrong()])


async def test_what_a_hook_may_not_do_with_texts() -> None:
    """It keeps their number, gives no reply in their place, and its refusal and failures end the call."""

    class Fewer(Hook):
        operations = ("embed",)
        said: Any = None

        def before_call(self, call: HookCall) -> Any:
            if isinstance(self.said, Exception):
                raise self.said
            return replace(call.request, texts=("a",)) if self.said is None else self.said  # type: ignore[call-arg]

    hook = Fewer()
    async with Simulator() as sim, client_of(sim, hook) as client:
        with pytest.raises(HookError, match="how many texts"):
            await client.embed(["a", "b"], model=MODEL)
        hook.said = await client.send("Hi")
        with pytest.raises(HookError, match="may only change or refuse"):
            await client.embed(["a", "b"], model=MODEL)
        hook.said = CallRefusedError("no")
        with pytest.raises(CallRefusedError):
            await client.embed(["a", "b"], model=MODEL)
        assert 1 == len(sim.requests)
