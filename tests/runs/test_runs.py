"""The tool loop on the simulator: unary and streamed, every host, every way to end."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from asyncllm import (
    AnswerTool,
    FunctionTool,
    Message,
    PostponeTool,
    RefuseTool,
    Response,
    Run,
    RunContext,
    Text,
    ToolCall,
    ToolEnd,
    ToolStart,
    Usage,
    errors,
)
from asyncllm._run_loop import begin, run_tools
from asyncllm.testing import Fault, ModelRequest, Reply, Simulator, ToolUse
from clients import OpenClient
from machine_speed import slowness

pytestmark = pytest.mark.anyio
PRICES = {"prices": {name: {"input": 1, "output": 10} for name in ("gpt-sim", "gpt-sim-mini")}}
HOSTS = ("openai", "anthropic", "gemini", "bedrock", "vertex", "azure")


async def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def slow(seconds: float = 0.2) -> str:
    """Sleeps in a thread."""
    time.sleep(seconds)
    return "slept"


async def forever() -> str:
    """Never ends."""
    await anyio.sleep_forever()
    return ""


async def broken() -> str:
    """Fails."""
    raise ValueError("no luck")


def script(*calls: ToolUse, endless: bool = False) -> Any:
    """A model that asks for calls, then repeats their results; or one that asks for them again and again."""

    def model(request: ModelRequest) -> Reply | str:
        if request.tool_results and not endless:
            return "results: " + "; ".join(request.tool_results)
        return Reply(tool_calls=calls, input_tokens=100, output_tokens=10)

    return model


async def finish(client: Any, streamed: bool, *args: Any, **keywords: Any) -> Run[Any]:
    """The same run, unary or streamed."""
    if not streamed:
        found: Run[Any] = await client.run(*args, **keywords)
        return found
    async with client.run_stream(*args, **keywords) as events:
        async for _ in events:
            pass
        return events.result  # type: ignore[no-any-return]


both = pytest.mark.parametrize("streamed", [False, True], ids=["unary", "streamed"])


@both
@pytest.mark.parametrize("host", HOSTS)
async def test_the_loop_runs_on_every_host(open_client: OpenClient, host: str, streamed: bool) -> None:
    """Parallel calls, a failing one, wrong arguments and an unknown name: the model reads a result for each."""
    calls = (ToolUse("add", {"a": 1, "b": 2}), ToolUse("broken"), ToolUse("add", {"a": "x"}), ToolUse("nothing"))

    def model(request: ModelRequest) -> Reply | str:
        return "; ".join(request.tool_results) if request.tool_results else Reply(tool_calls=calls)

    async with Simulator(reply=model) as sim, open_client(sim) as client:
        run = await finish(client, streamed, "go", tools=[add, broken], provider=host)
    assert ("done", 2, ()) == (run.stopped, len(run.steps), run.pending)
    for expected in ("3", "no luck", "do not fit", "no tool 'nothing'"):
        assert expected in run.text
    assert [False, True, True, True] == [one.result.is_error for one in run.steps[0].calls]
    assert ["user", "assistant", "tool", "assistant"] == [message.role for message in run.messages]
    assert 2 == len(run.attempts)


@both
async def test_calls_run_at_the_same_time(open_client: OpenClient, streamed: bool) -> None:
    """Four sync tools of 0.3 s take less than three of them in turn; with one place they do take turns."""
    calls = (ToolUse("slow", {"seconds": 0.3}),) * 4
    async with Simulator(reply=script(*calls)) as sim, open_client(sim) as client:
        run = await finish(client, streamed, "go", tools=[slow])
        assert 0.9 > run.steps[0].seconds
        run = await finish(client, streamed, "go", tools=[slow], max_parallel_tools=1)
        assert 1.2 <= run.steps[0].seconds


@both
async def test_a_tool_has_its_time(open_client: OpenClient, streamed: bool) -> None:
    """A tool that does not end in time is an error that the model reads."""
    async with Simulator(reply=script(ToolUse("forever"))) as sim, open_client(sim) as client:
        run = await finish(client, streamed, "go", tools=[forever], tool_timeout=0.05)
    assert "did not end within 0.05 s" in run.text


@both
async def test_an_error_may_stop_the_run(open_client: OpenClient, streamed: bool) -> None:
    """With on_tool_error="raise" the tool's own exception comes out."""
    async with Simulator(reply=script(ToolUse("broken"))) as sim, open_client(sim) as client:
        with pytest.raises(ValueError, match="no luck"):
            await finish(client, streamed, "go", tools=[broken], on_tool_error="raise")


@both
async def test_a_run_has_bounds(open_client: OpenClient, streamed: bool) -> None:
    """Steps, tokens and money end a run, and the reason is said."""
    endless = script(ToolUse("add", {"a": 1, "b": 2}), endless=True)
    async with Simulator(reply=endless) as sim, open_client(sim, catalog=PRICES) as client:
        run = await finish(client, streamed, "go", tools=[add], max_steps=3)
        assert ("max_steps", 3, 1) == (run.stopped, len(run.steps), len(run.pending))
        run = await finish(client, streamed, "go", tools=[add], max_total_tokens=250)
        assert ("max_total_tokens", 3, 330) == (run.stopped, len(run.steps), run.usage.total_tokens)
        run = await finish(client, streamed, "go", tools=[add], max_cost=0.0003)
        assert ("max_cost", 2) == (run.stopped, len(run.steps))
        run = await finish(client, streamed, "go", tools=[add], max_cost=1, model="nobody-knows")
        assert ("unknown_cost", 1) == (run.stopped, len(run.steps))
        run = await finish(client, streamed, "go", tools=[add], stop_when=lambda so_far: len(so_far.steps) == 2)
        assert ("stop_when", 2) == (run.stopped, len(run.steps))


@both
async def test_calls_are_approved_before_they_run(open_client: OpenClient, streamed: bool) -> None:
    """A call may be refused with a reason, or answered without running."""
    ran: list[int] = []

    async def delete(number: int) -> str:
        ran.append(number)
        return "deleted"

    async def decide(call: ToolCall, context: RunContext[str]) -> RefuseTool | AnswerTool | None:
        assert "me" == context.deps
        number = (call.arguments or {})["number"]
        return RefuseTool("not that one") if number == 1 else AnswerTool("known") if number == 2 else None

    calls = tuple(ToolUse("delete", {"number": number}) for number in (1, 2, 3))
    async with Simulator(reply=script(*calls)) as sim, open_client(sim) as client:
        run = await finish(client, streamed, "go", tools=[delete], before_tool=decide, deps="me")
    assert [3] == ran
    for expected in ("not that one", "known", "deleted"):
        assert expected in run.text


@both
async def test_a_decision_that_fails_stops_the_run(open_client: OpenClient, streamed: bool) -> None:
    """The tool does not run, and the caller sees the exception of before_tool."""

    def decide(call: ToolCall, _: RunContext[Any]) -> None:
        raise LookupError(call.name)

    async with Simulator(reply=script(ToolUse("add", {"a": 1, "b": 2}))) as sim, open_client(sim) as client:
        with pytest.raises(LookupError, match="add"):
            await finish(client, streamed, "go", tools=[add], before_tool=decide)


@both
@pytest.mark.parametrize("decision", [True, False, "no", RefuseTool])
async def test_what_decides_nothing_lets_no_tool_run(open_client: OpenClient, streamed: bool, decision: Any) -> None:
    """A before_tool that returns False, or a decision that is none, stops the run with a sentence."""
    ran: list[int] = []

    def touch() -> None:
        ran.append(1)

    async with Simulator(reply=script(ToolUse("touch"))) as sim, open_client(sim) as client:
        with pytest.raises(errors.BadRequestError, match="RefuseTool"):
            await finish(client, streamed, "go", tools=[touch], before_tool=lambda call, context: decision)
        run = await finish(client, streamed, "go", tools=[touch], before_tool=lambda call, context: PostponeTool())
        (call,) = run.pending
        with pytest.raises(errors.BadRequestError, match="RefuseTool"):
            await finish(client, streamed, run, tools=[touch], decisions={call.id: decision})
        with pytest.raises(errors.BadRequestError, match="no pending call"):
            await finish(client, streamed, run, tools=[touch], decisions={"other": None})
        with pytest.raises(errors.BadRequestError, match="no pending call"):
            await finish(client, streamed, "go", tools=[touch], decisions={call.id: None})
    assert [] == ran


async def test_the_model_reads_what_went_wrong_inside_a_group(open_client: OpenClient) -> None:
    """An exception group of a task group says what its first error says."""

    async def grouped() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(broken)

    async with Simulator(reply=script(ToolUse("grouped"))) as sim, open_client(sim) as client:
        run = await client.run("go", tools=[grouped])
    assert "ValueError: no luck" in run.text


@both
async def test_a_postponed_run_is_stored_and_goes_on(open_client: OpenClient, streamed: bool) -> None:
    """What was postponed is pending; another process takes the run up and answers it."""
    calls = (ToolUse("add", {"a": 1, "b": 2}), ToolUse("add", {"a": 3, "b": 4}))

    def decide(call: ToolCall, _: RunContext[Any]) -> PostponeTool | None:
        return PostponeTool() if call.arguments == {"a": 3, "b": 4} else None

    async with Simulator(reply=script(*calls)) as sim, open_client(sim, catalog=PRICES) as client:
        run = await finish(client, streamed, "go", tools=[add], before_tool=decide)
        assert ("postponed", 1) == (run.stopped, len(run.pending))
        stored = Run.from_json(run.to_json())
        assert (run.messages, run.pending, run.cost) == (stored.messages, stored.pending, stored.cost)
        answer = {stored.pending[0].id: AnswerTool("seven")}
        ended = await finish(client, streamed, stored, tools=[add], decisions=answer)
        assert ("done", "seven") == (ended.stopped, ended.text.rpartition("; ")[2])
        assert run.cost + sum(step.reply.cost or 0 for step in ended.steps) == ended.cost


async def test_events_of_tools_stand_between_replies(open_client: OpenClient) -> None:
    """ToolStart for each call, ToolEnd as each one ends, the quicker first."""
    calls = (ToolUse("slow", {"seconds": 0.3}), ToolUse("add", {"a": 1, "b": 2}))
    async with Simulator(reply=script(*calls)) as sim, open_client(sim) as client:
        seen: list[Any] = []
        async with client.run_stream("go", tools=[slow, add]) as events:
            async for event in events:
                seen += [(event, time.monotonic())]
    tools = [(type(event).__name__, event.call.name) for event, _ in seen if isinstance(event, (ToolStart, ToolEnd))]
    assert [("ToolStart", "slow"), ("ToolStart", "add"), ("ToolEnd", "add"), ("ToolEnd", "slow")] == tools
    ends = [at for event, at in seen if isinstance(event, ToolEnd)]
    assert 0.2 < ends[1] - ends[0]


async def test_leaving_a_streamed_run_cancels_its_tools(open_client: OpenClient) -> None:
    """Aclose ends a tool that works; nothing is asked afterwards."""
    ended = anyio.Event()

    async def watched() -> str:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        return ""

    async with Simulator(reply=script(ToolUse("watched"))) as sim, open_client(sim) as client:
        async with client.run_stream("go", tools=[watched]) as events:
            async for event in events:
                if isinstance(event, ToolStart):
                    break
            await anyio.sleep(0.05)
        with anyio.fail_after(10):
            await ended.wait()
        assert 1 == len(sim.requests)


@both
async def test_a_tool_without_a_function_is_left_to_the_caller(open_client: OpenClient, streamed: bool) -> None:
    """A dict or a Tool has no function: its call is pending."""
    shape = {"type": "function", "function": {"name": "browse", "parameters": {"type": "object", "properties": {}}}}
    async with Simulator(reply=script(ToolUse("browse"))) as sim, open_client(sim) as client:
        run = await finish(client, streamed, "go", tools=[shape])
    assert ("postponed", ["browse"]) == (run.stopped, [call.name for call in run.pending])


@both
async def test_a_lost_connection_in_mid_run_falls_back(open_client: OpenClient, streamed: bool) -> None:
    """The second step goes on with another model and the history of the first."""
    async with Simulator(reply=script(ToolUse("add", {"a": 1, "b": 2}))) as sim, open_client(sim) as client:

        def decide(_: ToolCall, __: RunContext[Any]) -> None:
            sim.on("gpt-sim", Fault.reset())

        run = await finish(
            client,
            streamed,
            "go",
            tools=[add],
            before_tool=decide,
            provider="openai",
            model="gpt-sim",
            fallback=[("anthropic", "claude-sim")],
        )
    assert ("results: 3", "done") == (run.text, run.stopped)
    assert ["openai", "anthropic"] == [step.reply.provider for step in run.steps]


async def test_a_demand_for_a_tool_holds_for_the_first_step(open_client: OpenClient) -> None:
    """tool_choice="required" is not sent again, so that the model may answer."""
    async with Simulator(reply=script(ToolUse("add", {"a": 1, "b": 2}))) as sim, open_client(sim) as client:
        await client.run("go", tools=[add], tool_choice="required", provider="openai")
        assert ["required", None] == [request.body.get("tool_choice") for request in sim.requests]


@pytest.mark.parametrize(
    "keywords",
    [
        {"max_steps": 0},
        {"max_steps": True},
        {"max_cost": -1},
        {"tool_timeout": 0},
        {"on_tool_error": "ignore"},
        {"tools": "add"},
        {"tools": [add, add]},
    ],
)
async def test_wrong_keywords_are_refused_by_name(open_client: OpenClient, keywords: dict[str, Any]) -> None:
    """Nothing is sent."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.BadRequestError):
            await client.run("go", **keywords)
        assert 0 == len(sim.requests)


def test_a_text_that_is_no_run_is_refused() -> None:
    """A sentence says what is expected."""
    for text in ("", "[]", "{}", '{"asyncllm_run": 99}'):
        with pytest.raises(errors.BadRequestError):
            Run.from_json(text)


async def test_messages_of_a_run_go_on_in_send(open_client: OpenClient) -> None:
    """The conversation of a run can be given to another call."""
    async with Simulator(reply=script(ToolUse("add", {"a": 1, "b": 2}))) as sim, open_client(sim) as client:
        run = await client.run([Message.user("go")], tools=[add])
        sim.behave("*", reply="you are welcome")
        reply = await client.send([*run.messages, Message("user", (Text("thanks"),))])
        roles = [message["role"] for message in sim.requests[-1].body["messages"]]
    assert "you are welcome" == reply.text
    assert ["user", "assistant", "tool", "assistant", "user"] == roles


@both
@pytest.mark.parametrize("host", HOSTS)
async def test_the_loop_survives_a_bad_day_on_every_host(open_client: OpenClient, host: str, streamed: bool) -> None:
    """A failing tool, one that is too slow, arguments that do not fit, and a connection that is lost in mid-run."""
    calls = (ToolUse("broken"), ToolUse("forever"), ToolUse("add", {"a": "x"}), ToolUse("add", {"a": 1, "b": 2}))

    def model(request: ModelRequest) -> Reply | str:
        if not request.tool_results:
            return Reply(reasoning="I need tools.", tool_calls=calls)
        return "; ".join(request.tool_results)

    lost: list[bool] = []
    other = ("anthropic", "claude-sim") if host != "anthropic" else ("openai", "gpt-sim")
    async with Simulator(reply=model) as sim, open_client(sim) as client:

        def lose_the_next_connection(_: ToolCall, __: RunContext[Any]) -> None:
            if not lost:
                lost.append(True)
                sim.on("*", Fault.reset(times=2))  # a reused connection, and the fresh one after it

        run = await finish(
            client,
            streamed,
            "go",
            tools=[add, broken, forever],
            provider=host,
            tool_timeout=0.1,
            before_tool=lose_the_next_connection,
            fallback=[other],
        )
    assert ("done", 2) == (run.stopped, len(run.steps))
    assert [True, True, True, False] == [one.result.is_error for one in run.steps[0].calls]
    for expected in ("no luck", "did not end within 0.1 s", "do not fit", "3"):
        assert expected in run.text
    assert ("ok", "error", "ok") == tuple([run.attempts[at].outcome for at in (0, 1, -1)])
    assert (host, other[0]) == (run.attempts[0].provider, run.attempts[-1].provider)


async def test_the_loop_itself_costs_little() -> None:
    """Beside its calls and its tools a run takes at most 50 µs of CPU time a step."""
    used = Usage(input_tokens=10, output_tokens=3, total_tokens=13, source="provider")
    asks = Response(
        message=Message.assistant(ToolCall("1", "add", {"a": 1, "b": 2})), finish_reason="tool_calls", usage=used
    )
    ends = Response(message=Message.assistant("done"), finish_reason="stop", usage=used)
    made = FunctionTool(add)
    told = made.definition
    sent = [0]

    async def send(messages: Any, **options: Any) -> Response:
        sent[0] += 1
        return asks if sent[0] % 2 else ends

    async def by_run() -> None:
        await run_tools(send, begin("go", None, {"tools": [made]}))

    async def by_hand() -> None:
        first = await send("go", tools=[told])
        (call,) = first.tool_calls
        result = await add(**(call.arguments or {}))
        await send((Message.user("go"), first.message, Message.tool(call.id, result)), tools=[told])

    async def microseconds(work: Any) -> float:
        began = time.thread_time()
        for _ in range(100):
            await work()
        return (time.thread_time() - began) / 100 * 1e6

    ours = min([await microseconds(by_run) for _ in range(20)])
    bare = min([await microseconds(by_hand) for _ in range(20)])
    assert (ours - bare) / 2 < 50 * slowness()
