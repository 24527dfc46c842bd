"""Hooks: what the application's own code sees of a call, what it may change, and what it never gets."""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
import time
from dataclasses import replace
from types import TracebackType
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from asyncllm import (
    Attempt,
    CallRefusedError,
    Client,
    Event,
    Hook,
    HookCall,
    HookError,
    HookTarget,
    Message,
    Request,
    Response,
    SyncClient,
    Text,
    errors,
)
from asyncllm.testing import Fault, Simulator

pytestmark = pytest.mark.anyio
KEY = "sk-canary-0123456789abcdefghij"


def client_of(sim: Simulator, *hooks: Any, **changes: Any) -> Client:
    config = sim.config(**{"retry": {"max_attempts": 2, "base_delay": 0, "max_delay": 0}, **changes})
    for entry in config["providers"].values():
        if "api_key" in entry:
            entry["api_key"] = KEY
    return Client(config, environ={}, hooks=hooks)


class Notes(Hook):
    """Notes every point; sync."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.values: list[Any] = []

    def before_call(self, call: HookCall) -> None:
        self.seen.append("before_call")
        self.values.append(call)

    def before_attempt(self, call: HookCall, target: HookTarget) -> None:
        self.seen.append(f"before_attempt {target.number} {target.provider}/{target.model}")
        self.values.append(target)

    def after_attempt(self, call: HookCall, attempt: Attempt) -> None:
        self.seen.append(f"after_attempt {attempt.outcome}")
        self.values.append(attempt)

    def after_call(self, call: HookCall, reply: Response | None, error: BaseException | None) -> None:
        self.seen.append(f"after_call {None if reply is None else reply.text!r} {type(error).__name__}")
        self.values += [reply, error]

    def on_event(self, call: HookCall, event: Event) -> None:
        self.seen.append(type(event).__name__)


class AsyncNotes(Notes):
    """The same, async."""

    async def before_call(self, call: HookCall) -> None:  # type: ignore[override]
        await anyio.lowlevel.checkpoint()
        super().before_call(call)

    async def before_attempt(self, call: HookCall, target: HookTarget) -> None:  # type: ignore[override]
        await anyio.lowlevel.checkpoint()
        super().before_attempt(call, target)

    async def after_attempt(self, call: HookCall, attempt: Attempt) -> None:  # type: ignore[override]
        await anyio.lowlevel.checkpoint()
        super().after_attempt(call, attempt)

    async def after_call(  # type: ignore[override]
        self, call: HookCall, reply: Response | None, error: BaseException | None
    ) -> None:
        await anyio.lowlevel.checkpoint()
        super().after_call(call, reply, error)

    async def on_event(self, call: HookCall, event: Event) -> None:  # type: ignore[override]
        await anyio.lowlevel.checkpoint()
        super().on_event(call, event)


both = pytest.mark.parametrize("kind", [Notes, AsyncNotes])
STREAMED = ["ResponseStart", "PartStart", "TextDelta", "PartEnd", "ResponseEnd"]


@both
async def test_hooks_see_each_point_in_order(kind: type[Notes]) -> None:
    """A call that fails once has two attempts between its beginning and its end."""
    notes = kind()
    async with Simulator(reply="four") as sim, client_of(sim, notes) as client:
        sim.on("*", Fault(status=500, times=1))
        await client.send("2+2?", user="ann")
        expected = [
            "before_call",
            "before_attempt 1 openai/gpt-sim",
            "after_attempt error",
            "before_attempt 2 openai/gpt-sim",
            "after_attempt ok",
            "after_call 'four' NoneType",
        ]
        assert expected == notes.seen
        assert ("ann", "2+2?") == (notes.values[0].user, notes.values[0].request.messages[0].text)


@both
async def test_hooks_see_a_stream(kind: type[Notes]) -> None:
    """Events come before the caller has them, and the whole reply when the stream has ended."""
    notes = kind()
    async with Simulator(reply="four") as sim, client_of(sim, notes) as client:
        async with client.stream("2+2?") as stream:
            got = [type(event).__name__ async for event in stream]
        assert STREAMED == list(dict.fromkeys(got))
        head = ["before_call", "before_attempt 1 openai/gpt-sim", "after_attempt ok"]
        assert ["before_call", *got, "after_call 'four' NoneType"] == [one for one in notes.seen if one not in head[1:]]
        assert set(head) <= set(notes.seen)


@both
async def test_hooks_see_the_error_of_a_call(kind: type[Notes]) -> None:
    """What the caller gets instead of a reply is shown after the call."""
    notes = kind()
    async with Simulator() as sim, client_of(sim, notes) as client:
        sim.on("*", Fault(status=400))
        with pytest.raises(errors.BadRequestError):
            await client.send("x")
        assert "after_call None BadRequestError" == notes.seen[-1]
        notes.seen.clear()
        with pytest.raises(errors.BadRequestError):
            await client.stream("x").batch()
        assert "after_call None BadRequestError" == notes.seen[-1]


class Redacting(Hook):
    """Takes a name out of the request."""

    def before_call(self, call: HookCall) -> Request:
        messages = tuple(Message(one.role, (Text(one.text.replace("Ann", "[name]")),)) for one in call.request.messages)
        return replace(call.request, messages=messages)


async def test_a_hook_changes_what_is_sent_and_the_next_one_sees_it() -> None:
    """Redacted text is what goes over the wire, in a stream too; the caller's own headers go along."""
    notes = Notes()
    async with Simulator() as sim, client_of(sim, Redacting(), notes) as client:
        await client.send("I am Ann", extra_headers={"x-gateway": "secret-of-the-caller"})
        async for _ in client.stream("I am Ann"):
            pass
        for request in sim.requests:
            assert "I am [name]" in str(request.body)
            assert "Ann" not in str(request.body)
        assert "secret-of-the-caller" == sim.requests[0].headers["x-gateway"]
        assert ["I am [name]", None] == [
            notes.values[0].request.messages[0].text,
            notes.values[0].request.extra_headers,
        ]


async def test_a_hook_changes_a_single_attempt() -> None:
    """What `before_attempt` gives is sent to that target only."""

    class Shorter(Hook):
        def before_attempt(self, call: HookCall, target: HookTarget) -> Request | None:
            return replace(call.request, max_tokens=7) if target.number == 1 else None

    async with Simulator() as sim, client_of(sim, Shorter()) as client:
        sim.on("*", Fault(status=500, times=1))
        await client.send("x", max_tokens=50)
        assert [7, 50] == [
            request.body.get("max_completion_tokens", request.body.get("max_tokens")) for request in sim.requests
        ]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hook_refuses_a_call(stream: bool) -> None:
    """Nothing is sent, no other target is asked, and the caller gets the refusal itself."""

    class Refusing(Hook):
        async def before_call(self, call: HookCall) -> None:
            raise CallRefusedError("not after six o'clock")

    async with Simulator() as sim, client_of(sim, Refusing()) as client:
        with pytest.raises(CallRefusedError, match="six o'clock"):
            await (client.stream("x").batch() if stream else client.send("x", fallback=["gpt-sim-mini"]))
        assert not sim.requests
        assert [] == [record async for record in client.ledger.records()]


async def test_a_hook_refuses_one_target() -> None:
    """With ``next_target`` the call goes on; without it, the call ends."""

    class Picky(Hook):
        def before_attempt(self, call: HookCall, target: HookTarget) -> None:
            if target.model == "gpt-sim":
                raise CallRefusedError("not this one", next_target=call.user == "ann")

    async with Simulator() as sim, client_of(sim, Picky()) as client:
        reply = await client.send("x", user="ann", fallback=["gpt-sim-mini"])
        assert ("gpt-sim-mini", 1) == (reply.attempts[-1].model, len(sim.requests))
        with pytest.raises(CallRefusedError):
            await client.send("x", user="bob", fallback=["gpt-sim-mini"])
        assert 1 == len(sim.requests)


class Answering(Hook):
    """Answers from memory."""

    def before_call(self, call: HookCall) -> Response:
        return Response(message=Message("assistant", (Text("remembered"),)), finish_reason="stop", provider="memory")


async def test_a_hook_answers_a_call() -> None:
    """A reply of the hook needs no attempt; a stream gives it as events, and a format is read from it."""
    notes = Notes()
    async with Simulator() as sim, client_of(sim, Answering(), notes) as client:
        reply = await client.send("x")
        assert ("remembered", "memory", (), "gpt-sim") == (
            reply.text,
            reply.provider,
            reply.attempts,
            reply.requested_model,
        )
        async with client.stream("x") as stream:
            text = "".join([str(event) async for event in stream])
        assert ("remembered", "remembered") == (text, stream.response.text)
        with pytest.raises(errors.StructuredOutputError):
            await client.send("x", response_format=int)
        assert not sim.requests
        assert 3 == sum(str(one).startswith("after_call") for one in notes.seen)


async def test_a_hook_changes_or_refuses_the_reply() -> None:
    """What `after_call` gives is what the caller gets; a refusal hands nothing over, and the attempts are told."""

    class Polite(Hook):
        def after_call(self, call: HookCall, reply: Response | None, error: BaseException | None) -> Response | None:
            if reply is not None and call.user == "bad":
                raise CallRefusedError("the answer is not fit")
            if reply is None:
                return None
            return replace(reply, message=Message("assistant", (Text("darn"),)))

    async with Simulator(reply="damn") as sim, client_of(sim, Polite()) as client:
        assert "darn" == (await client.send("x")).text
        async with client.stream("x") as stream:
            async for _ in stream:
                pass
        assert "darn" == stream.response.text
        with pytest.raises(CallRefusedError) as caught:
            await client.send("x", user="bad")
        assert 1 == len(caught.value.attempts)


async def test_a_hook_ends_a_stream_at_an_event() -> None:
    """The refused event is not delivered, and the attempt is settled as cancelled."""

    class Guard(Hook):
        def on_event(self, call: HookCall, event: Event) -> None:
            if event.text:
                call.notes["said"] = call.notes.get("said", "") + event.text
            if "word2" in call.notes.get("said", ""):
                raise CallRefusedError("stop here")

    got: list[str] = []
    async with Simulator(reply="word1 word2 word3", chunk_delay=0.02) as sim, client_of(sim, Guard()) as client:
        with pytest.raises(CallRefusedError):
            got += [event.text async for event in client.stream("x")]
        assert "word2" not in "".join(got)
        await client.ledger.flush()
        assert ["cancelled"] == [record.status async for record in client.ledger.records()]


@pytest.mark.parametrize(
    ("point", "policy", "ends"),
    [
        ("before_call", None, True),
        ("before_attempt", None, True),
        ("after_attempt", None, False),
        ("after_call", None, False),
        ("on_event", None, False),
        ("before_call", "log", False),
        ("before_attempt", "log", False),
        ("after_attempt", "raise", True),
        ("after_call", "raise", True),
        ("on_event", "raise", True),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_in_a_hook_follows_its_policy(
    point: str, policy: Any, ends: bool, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What guards a call ends it, what observes it is logged; ``on_error`` says otherwise."""
    if point == "on_event" and not stream:
        return

    def failing(self: Hook, *about: Any) -> None:
        raise errors.RateLimitError("of the hook's own business")  # the engine must not take it for the target's

    kind = type("Failing", (Hook,), {point: failing, "on_error": policy})
    caplog.set_level(logging.WARNING, logger="asyncllm")
    async with Simulator() as sim, client_of(sim, kind()) as client:

        async def ask() -> str:
            if not stream:
                return (await client.send("x")).text
            async with client.stream("x") as opened:
                return "".join([str(event) async for event in opened])

        if ends:
            with pytest.raises(HookError, match=f"Failing failed in {point}: RateLimitError") as caught:
                await ask()
            assert isinstance(caught.value.__cause__, errors.RateLimitError)
        else:
            assert await ask()
            assert f"the hook Failing failed in {point}" in caplog.text
        assert not [target for target in client.health() if target.state != "closed"]


async def test_a_hook_that_gives_nonsense_is_told() -> None:
    """A string is no request, and the model of a call stays."""

    class Nonsense(Hook):
        def before_call(self, call: HookCall) -> Any:
            return "hello" if call.user is None else replace(call.request, model="other")

    async with Simulator() as sim, client_of(sim, Nonsense()) as client:
        with pytest.raises(HookError, match="gave a str; give a Request"):
            await client.send("x")
        with pytest.raises(HookError, match="may not change the model"):
            await client.send("x", user="ann")


async def test_what_is_no_hook_is_refused() -> None:
    """A function or a class in ``hooks`` is a configuration error that says what is wanted."""
    for wrong in (print, Notes, "hook"):
        with pytest.raises(errors.ConfigurationError, match=r"derives from asyncllm\.Hook"):
            Client({"active_provider": "openai", "providers": {"openai": {"api_key": "k"}}}, hooks=[wrong])


def reachable(value: Any, *skipped: type, depth: int = 6) -> str:
    """Everything that can be read from a value, as text."""
    seen: set[int] = set()
    texts: list[str] = []

    def walk(one: Any, left: int) -> None:
        if id(one) in seen or left == 0 or isinstance(one, (type, type(gc), *skipped)) or callable(one):
            return
        seen.add(id(one))
        texts.append(repr(one))
        for inner in gc.get_referents(one):
            walk(inner, left - 1)

    walk(value, depth)
    return "\n".join(texts)


@pytest.mark.parametrize("status", [None, 401, 500])
async def test_no_hook_sees_a_key(status: int | None) -> None:
    """Neither the key nor the caller's own headers can be reached from what hooks are given."""
    notes = Notes()
    async with Simulator() as sim, client_of(sim, notes) as client:
        if status is not None:
            sim.on("*", Fault(status=status))
        with contextlib.suppress(errors.AsyncLLMError):
            await client.send("x", extra_headers={"authorization-of-gateway": "canary-of-the-caller"})
        assert len(notes.values) > 3
        # On Python 3.10 the frames of running coroutines, which hold the client itself, can be walked.
        frames = () if sys.version_info >= (3, 11) else (TracebackType,)
        for value in notes.values:
            assert KEY not in reachable(value, *frames)
            assert "canary-of-the-caller" not in reachable(value, TracebackType)  # frames of the caller hold its own


async def test_a_cancelled_call_is_seen(anyio_backend: str) -> None:
    """A caller that goes away is shown as a call with neither reply nor error, and its attempt as cancelled."""
    notes = AsyncNotes()
    async with Simulator(latency=5) as sim, client_of(sim, notes) as client:
        with anyio.move_on_after(0.3):
            await client.send("x")
        assert ["after_attempt cancelled", "after_call None NoneType"] == notes.seen[-2:]


async def test_the_deadline_holds_for_hooks() -> None:
    """A hook that takes too long costs the call its deadline, and `after_call` sees that."""

    class Slow(Notes):
        async def before_call(self, call: HookCall) -> None:  # type: ignore[override]
            await anyio.sleep(10)

    notes = Slow()
    async with Simulator() as sim, client_of(sim, notes) as client:
        began = time.monotonic()
        with pytest.raises(errors.DeadlineExceededError):
            await client.send("x", timeout=0.2)
        with pytest.raises(errors.DeadlineExceededError):
            async for _ in client.stream("x", timeout=0.2):
                pass
        assert time.monotonic() - began < 5
        assert ["after_call None DeadlineExceededError"] * 2 == notes.seen


async def test_a_stream_that_is_left_is_seen(anyio_backend: str) -> None:
    """Closed early, or dropped: hooks learn that there was no whole reply."""
    notes = Notes()
    async with Simulator(reply="a b c d e f g", chunk_delay=0.05) as sim, client_of(sim, notes) as client:
        async with client.stream("x") as stream:
            async for event in stream:
                if event.text:
                    break
        assert ["after_attempt cancelled", "after_call None NoneType"] == notes.seen[-2:]
        notes.seen.clear()
        dropped = client.stream("x")
        async for event in dropped:
            if event.text:
                break
        del dropped, event
        gc.collect()
        with anyio.fail_after(10):
            while "after_call None NoneType" not in notes.seen:
                await anyio.sleep(0.01)


async def test_hooks_have_notes_of_each_call() -> None:
    """What a hook writes into ``notes`` before the call is there after it, for each call its own."""

    class Timing(Hook):
        def __init__(self) -> None:
            self.took: list[float] = []

        def before_call(self, call: HookCall) -> None:
            call.notes["began"] = time.monotonic()

        def after_call(self, call: HookCall, reply: Response | None, error: BaseException | None) -> None:
            self.took.append(time.monotonic() - call.notes["began"])

    timing = Timing()
    async with Simulator() as sim, client_of(sim, timing) as client, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(client.send, "x")
    assert 5 == len(timing.took)


async def test_questions_have_no_hooks() -> None:
    """Listing, validating and counting are no calls of the application."""
    notes = Notes()
    async with Simulator() as sim, client_of(sim, notes) as client:
        await client.refresh_models("openai")
        await client.validate_model("openai", "gpt-sim")
        assert [] == notes.seen


async def test_a_run_passes_the_hooks_at_each_step() -> None:
    """Each step of a run is a call, and a view of the client has the hooks too."""
    notes = Notes()
    async with Simulator() as sim, client_of(sim, notes) as client:
        await client.run("x")
        await client.with_options(user="bob").send("x")
        assert 2 == notes.seen.count("before_call")
        assert "bob" == [value for value in notes.values if isinstance(value, HookCall)][1].user


def test_the_blocking_client_has_hooks() -> None:
    """Hooks of a `SyncClient` see sends and streams."""
    notes = Notes()
    with Simulator.in_thread() as sim, SyncClient(sim.config(), environ={}, hooks=[notes]) as client:
        client.send("x")
        with client.stream("x") as stream:
            for _ in stream:
                pass
    assert 2 == notes.seen.count("after_attempt ok")
    assert "ResponseEnd" in notes.seen


def test_a_client_without_hooks_does_not_import_them() -> None:
    """Who has none pays for none: the module is not even there."""
    import subprocess
    import sys

    program = (
        "import asyncllm, sys; from asyncllm.testing import Simulator\n"
        "with Simulator.in_thread() as sim:\n"
        "    with asyncllm.SyncClient(sim.config(), environ={}) as client: client.send('x')\n"
        "print('asyncllm._engine.hooks' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "False" == done.stdout.strip()
