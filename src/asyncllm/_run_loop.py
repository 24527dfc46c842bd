"""The tool loop: the model asks for tools, the tools run, the model reads their results, until it answers.

`Client.run` gives the whole `Run`; `Client.run_stream` gives the events as they come. Both are made of `send` and
`stream`: each step is one call with the engine's retries, fallback, limits, budgets and ledger.

The rules of the loop:

* A step is one reply of the model and the answers to the calls in it. A reply without calls ends the run.
* The calls of a reply run at the same time, at most ``max_parallel_tools`` of them. The order of their results is the
  order of the calls.
* What goes wrong in a tool is told to the model as a result with ``is_error``: a failure, a timeout, arguments that do
  not fit, a name that is not there. ``on_tool_error="raise"`` stops the run instead.
* ``before_tool`` decides about each call before it runs: let it run (None), `RefuseTool`, `AnswerTool`, or
  `PostponeTool`. Calls that were postponed are in ``Run.pending``.
* A run that stopped early can go on: give the `Run` as ``messages``. Its pending calls are answered first.
* Bounds are looked at before each step: steps, tokens, money. A bound never cuts a reply.
* Media in a result that the model cannot be sent is told in words: its kind, its size, what was said in it. The history
  keeps the media, for another model.
* An error of a step carries the run so far (``error.run``), from which the caller can go on.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Union

import anyio

from ._engine.intake import Messages, read_messages
from ._run_options import RUN_KEYWORDS, check_offers, take
from ._schema.content import Audio, Document, Image, Text, ToolCall, ToolResult, Video
from ._schema.events import Event, ToolEnd
from ._schema.hosted import HostedTool
from ._schema.messages import Message
from ._schema.request import ProviderTool, Tool, Toolset
from ._schema.response import Attempt, Response
from ._schema.usage import UNKNOWN_USAGE, add_usage
from .errors import (
    AllFallbacksFailedError,
    AsyncLLMError,
    BadRequestError,
    ToolArgumentsError,
    UnsupportedContentError,
)
from .runs import AnswerTool, BeforeTool, Decision, PostponeTool, RefuseTool, Run, Step, StopReason, ToolRun
from .tools import (
    KINDS,
    FunctionTool,
    Offered,
    RunContext,
    Signatures,
    ToolError,
    ToolOffer,
    offered,
    result_of,
    whole_text,
)

if TYPE_CHECKING:
    from ._engine.hooks import RunTrace
    from ._engine.stream import Stream

StopWhen = Callable[[Run[Any]], Union[bool, Awaitable[bool]]]
"""(the run so far) -> whether it ends here; asked after each step with calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRules:
    """The checked keywords of a run, with their defaults; `asyncllm._run_options.RunOptions` says what they mean."""

    tools: Sequence[ToolOffer] = ()
    max_steps: int = 10
    max_total_tokens: int | None = None
    max_cost: Decimal | None = None
    max_parallel_tools: int = 8
    tool_timeout: float | None = None
    on_tool_error: Literal["tell", "raise"] = "tell"
    before_tool: BeforeTool | None = None
    stop_when: StopWhen | None = None
    deps: Any = None
    decisions: Mapping[str, Decision] = field(default_factory=dict)


def begin(
    messages: Messages | Run[Any], response_format: Any, options: Mapping[str, Any], kept: Signatures | None = None
) -> Loop:
    """Reads the arguments of a run.

    Args:
        messages: the conversation so far, or a run that goes on.
        response_format: as for `Client.send`.
        options: the keywords of the run and of its calls.
        kept: what was read of plain functions before.

    Raises:
        BadRequestError: one of them is wrong; the sentence names it.
    """
    rest = dict(options)
    tools = check_offers("tools", rest.pop("tools", None) or ())
    rules = RunRules(tools=tools, **take(rest, RUN_KEYWORDS))
    if rules.decisions:
        _check_decisions(rules.decisions, messages.pending if isinstance(messages, Run) else ())
    if response_format is not None:
        rest["response_format"] = response_format
    if isinstance(messages, Run):
        return Loop(messages.messages, rules, rest, messages, kept=kept)
    return Loop(read_messages(messages), rules, rest, kept=kept)


def _check_decisions(decisions: Mapping[str, Any], pending: Sequence[ToolCall]) -> None:
    waiting = [call.id for call in pending]
    for name, decision in decisions.items():
        if name not in waiting:
            known = ", ".join(map(repr, waiting)) or "none: decisions are for a Run that goes on"
            raise BadRequestError(f"decisions[{name!r}] decides about no pending call; pending are {known}")
        _check_decision(f"decisions[{name!r}]", decision)


def _check_decision(said: str, decision: Any) -> Decision:
    """The decision. What is none lets no tool run: a False may well have meant to refuse it."""
    if decision is None or isinstance(decision, (RefuseTool, AnswerTool, PostponeTool)):
        return decision
    raise BadRequestError(
        f"{said} is {decision!r}, which decides nothing; give None to let the call run, RefuseTool(reason), "
        "AnswerTool(value) or PostponeTool()"
    )


Send = Callable[..., Awaitable[Response[Any]]]
"""`Client.send`."""
StreamOf = Callable[..., "Stream[Any]"]
"""`Client.stream`."""
Emit = Callable[[Event], None]
Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


async def run_tools(send: Send, loop: Loop, trace: Callable[[], RunTrace] | None = None) -> Run[Any]:
    """Runs a whole loop on `Client.send`.

    Args:
        send: asks the model.
        loop: the run.
        trace: begins to trace it; None where nothing is traced.

    Raises:
        AsyncLLMError: a step failed; its ``run`` is the run so far.
    """
    try:
        if trace is None:
            return await _run_tools(send, loop)
        loop.trace = traced = trace()
        with traced.active():
            found = await _run_tools(send, loop)
    except BaseException as error:
        if isinstance(error, AsyncLLMError):
            error.run = loop.failed()
        if loop.trace is not None:
            loop.trace.ended(error)
        raise
    traced.ended(None)
    return found


async def _run_tools(send: Send, loop: Loop) -> Run[Any]:
    if loop.toolsets:
        await loop.prepare()
    await loop.answer_pending()
    while loop.next_step():
        try:
            reply = await send(loop.sent(), **loop.options())
        except AsyncLLMError as error:
            if loop.told_instead(error):
                continue
            raise
        if loop.take(reply):
            await loop.answer(loop.pending)
            await loop.end_step()
            if loop.toolsets:
                await loop.prepare()
    return loop.result()


class Loop:
    """The state of one run, and its decisions. It knows nothing of how replies are asked for.

    Args:
        messages: the conversation so far.
        rules: how the run goes.
        options: the keywords of each call, without ``tools``.
        before: the run that goes on; None for a new one.
        kept: what was read of plain functions before.
    """

    def __init__(
        self,
        messages: tuple[Message, ...],
        rules: RunRules,
        options: Mapping[str, Any],
        before: Run[Any] | None = None,
        *,
        kept: Signatures | None = None,
    ) -> None:
        self.messages: tuple[Message, ...] = messages
        self.pending: tuple[ToolCall, ...] = () if before is None else before.pending
        self.trace: RunTrace | None = None
        self._rules = rules
        offers = offered(rules.tools, kept)
        self.toolsets: tuple[Toolset, ...] = tuple([one for one in offers if not isinstance(one, KINDS)])
        self._own = [one for one in offers if isinstance(one, KINDS)]
        self._prepared = False
        self._take_offers(self._own)
        self._options = dict(options)
        self._usage = UNKNOWN_USAGE if before is None else before.usage
        self._cost = Decimal(0) if before is None else before.cost
        self._unpriced = 0 if before is None else before.unpriced
        self._steps: list[Step] = []
        self._attempts: list[Attempt] = []
        self._reply: Response[Any] | None = None
        self._began = 0.0
        self._stopped: StopReason | None = None
        self._limiter: anyio.CapacityLimiter | None = None
        self._undecided: Exception | None = None
        self._withheld: tuple[type, ...] = ()

    async def prepare(self) -> None:
        """Finds the tools of servers; needed before each step where ``toolsets`` has some.

        Raises:
            ConnectError: a server cannot be reached.
            BadRequestError: two tools have the same name.
        """
        if not self._prepared or any(getattr(one, "changed", False) for one in self.toolsets):
            self._prepared = True
            found = [tool for one in self.toolsets for tool in await one.tools()]
            self._take_offers([*self._own, *found])

    def _take_offers(self, offers: list[Offered]) -> None:
        self._offers = offers
        self._functions = {one.name: one for one in offers if isinstance(one, FunctionTool)}
        self._definitions = [one.definition if isinstance(one, FunctionTool) else one for one in offers]
        seen: set[str] = set()
        for one in self._offers:
            name = one.name if isinstance(one, (FunctionTool, Tool)) else None
            if name in seen:
                raise BadRequestError(
                    f"two tools are called {name!r}; give one of them another name, those of an MCP server a prefix"
                )
            if name is not None:
                seen.add(name)

    # Before a step.

    def next_step(self) -> bool:
        """Returns whether the model is asked again, and notes why not."""
        if self._stopped is None and self.pending:
            self._stopped = "postponed"
        if self._stopped is None:
            self._stopped = self._bound()
        self._began = time.monotonic()
        return self._stopped is None

    def _bound(self) -> StopReason | None:
        rules = self._rules
        if len(self._steps) >= rules.max_steps:
            return "max_steps"
        if rules.max_total_tokens is not None and (self._usage.total_tokens or 0) >= rules.max_total_tokens:
            return "max_total_tokens"
        if rules.max_cost is not None:
            if self._unpriced:
                return "unknown_cost"
            if self._cost >= rules.max_cost:
                return "max_cost"
        return None

    def sent(self) -> tuple[Message, ...]:
        """Returns the messages of the next call: the history, with media that cannot be sent told in words."""
        if not self._withheld:
            return self.messages
        return tuple([_in_words(message, self._withheld) for message in self.messages])

    def options(self) -> dict[str, Any]:
        """Returns the keywords of the next call. A tool is demanded only in the first step."""
        options = dict(self._options)
        if self._steps:
            options.pop("tool_choice", None)
        if self._definitions:
            options["tools"] = self._definitions
        return options

    # After a call that failed.

    def told_instead(self, error: AsyncLLMError) -> bool:
        """Takes the error of a step. Returns whether the step can be tried again with media told in words.

        Nothing of it was sent then: all targets refused to carry what a tool has given.
        """
        self._count(error.attempts)
        reason = error.__cause__ if isinstance(error, AllFallbacksFailedError) else error
        if not isinstance(reason, UnsupportedContentError) or self._rules.on_tool_error == "raise":
            return False
        kinds = {
            type(part)
            for message in self.messages
            for result in message.content
            if isinstance(result, ToolResult)
            for part in result.content
        }
        left = [kind for kind in _MEDIA if kind in kinds and kind not in self._withheld]
        named = [kind for kind in left if kind.__name__.lower() in str(error).lower()]
        self._withheld += tuple(named or left)
        return bool(left)

    def failed(self) -> Run[Any]:
        """Ends the run with an error. Returns the run so far."""
        self._stopped = "error"
        return self.result()

    # After a reply.

    def _count(self, attempts: Sequence[Attempt]) -> None:
        self._attempts += attempts
        for attempt in attempts:
            if attempt.cost is None:
                self._unpriced += 1
            else:
                self._cost += attempt.cost

    def take(self, reply: Response[Any]) -> bool:
        """Adds a reply to the run. Returns whether it holds calls to answer now."""
        if self._withheld:
            names = ", ".join([kind.__name__ for kind in self._withheld])
            told = f"what tools gave as {names} was told in words: {reply.provider} cannot take it"
            reply = replace(reply, warnings=(*reply.warnings, told))
        self._reply = reply
        self.messages = (*self.messages, reply.message)
        self._usage = (
            add_usage(self._usage, reply.usage) if self._steps or self._usage.source != "unknown" else reply.usage
        )
        self._count(reply.attempts)
        self.pending = reply.tool_calls
        self._steps.append(Step(number=len(self._steps) + 1, reply=reply, seconds=time.monotonic() - self._began))
        if not self.pending:
            self._stopped = "done"
        elif len(self._steps) >= self._rules.max_steps:
            self._stopped = "max_steps"  # nobody would read the results: the calls stay pending
        return bool(self.pending) and self._stopped is None

    async def answer_pending(self) -> None:
        """Answers the calls that an earlier run left."""
        if self.pending:
            await self.answer(self.pending)

    async def answer(self, calls: Sequence[ToolCall], emit: Emit | None = None) -> None:
        """Answers calls at the same time. Postponed ones stay in ``pending``.

        Raises:
            Exception: what a tool raised, where the run stops at errors.
        """
        answers: dict[int, ToolRun | None] = {}
        if len(calls) == 1:
            await self._answer_into(answers, 0, calls[0], emit)
        else:
            async with anyio.create_task_group() as group:
                for place, call in enumerate(calls):
                    group.start_soon(self._answer_into, answers, place, call, emit)
        self.settle(calls, answers)

    async def _answer_into(
        self, answers: dict[int, ToolRun | None], place: int, call: ToolCall, emit: Emit | None
    ) -> None:
        answers[place] = found = await self.answer_one(call)
        if emit is not None and found is not None:
            emit(ToolEnd(found.call, found.result, seconds=found.seconds))

    def settle(self, calls: Sequence[ToolCall], answers: Mapping[int, ToolRun | None]) -> None:
        """Puts the answers into the conversation, in the order of the calls."""
        done = [found for place in range(len(calls)) if (found := answers.get(place)) is not None]
        if done:
            self.messages = (*self.messages, Message("tool", tuple([found.result for found in done])))
        self.pending = tuple([call for place, call in enumerate(calls) if answers.get(place) is None])
        if self._steps:
            step, seconds = self._steps[-1], time.monotonic() - self._began
            self._steps[-1] = Step(number=step.number, reply=step.reply, calls=(*step.calls, *done), seconds=seconds)
        if self._undecided is not None:
            raise self._undecided
        if self._rules.on_tool_error == "raise":
            for found in done:
                if found.error is not None:
                    raise found.error

    async def answer_one(self, call: ToolCall) -> ToolRun | None:
        """Returns the answer to one call, or None if it is postponed. Only a cancellation is raised."""
        if self._limiter is None and len(self.pending) > self._rules.max_parallel_tools:
            self._limiter = anyio.CapacityLimiter(self._rules.max_parallel_tools)
        if self._limiter is None:
            return await self._answered(call)
        async with self._limiter:
            return await self._answered(call)

    async def _answered(self, call: ToolCall) -> ToolRun | None:
        began = time.monotonic()
        context = RunContext(
            self._rules.deps,
            call=call,
            step=max(1, len(self._steps)),
            messages=self.messages,
            usage=self._usage,
            cost=self._cost,
        )
        try:
            found = await self._run_one(call, context)
        except Exception as error:  # noqa: BLE001  # whatever a tool raises is for the model, or for the caller
            found = _failure(call, error)
        if found is None:
            return None
        return ToolRun(call=call, result=found.result, error=found.error, seconds=time.monotonic() - began)

    async def _run_one(self, call: ToolCall, context: RunContext[Any]) -> ToolRun | None:
        decision = await self._decide(call, context)
        if isinstance(decision, PostponeTool):
            return None
        if isinstance(decision, RefuseTool):
            return _told(call, decision.reason, is_error=True)
        if isinstance(decision, AnswerTool):
            return ToolRun(
                call=call,
                result=ToolResult(call.id, result_of(decision.value), is_error=decision.is_error, name=call.name),
            )
        function = self._functions.get(call.name)
        if function is None:
            if any(
                isinstance(one, (Tool, Mapping, ProviderTool)) and _name_of(one) == call.name for one in self._offers
            ):
                return None  # a tool without a function: the caller answers
            known = ", ".join(map(str, self._functions)) or "none"
            return _told(call, f"There is no tool {call.name!r}. The tools are: {known}.", is_error=True)
        patience = self._rules.tool_timeout if function.timeout is None else function.timeout
        if patience is None and self.trace is None:
            return ToolRun(call=call, result=ToolResult(call.id, await function.run(call, context), name=call.name))
        result: Any = None
        with anyio.move_on_after(patience) as scope:
            if self.trace is None:
                result = await function.run(call, context)
            else:
                with self.trace.tool(call) as tell:
                    result = await function.run(call, context)
                    tell(ToolResult(call.id, result, name=call.name))
        if scope.cancelled_caught:
            raise TimeoutError(f"the tool {call.name} did not end within {patience:g} s")
        return ToolRun(call=call, result=ToolResult(call.id, result, name=call.name))

    async def _decide(self, call: ToolCall, context: RunContext[Any]) -> Decision:
        if call.id in self._rules.decisions:
            return self._rules.decisions[call.id]
        if self._rules.before_tool is None:
            return None
        try:
            decision = self._rules.before_tool(call, context)
            decision = await decision if inspect.isawaitable(decision) else decision
            return _check_decision("what before_tool returned", decision)
        except Exception as error:  # noqa: BLE001  # the caller's own code failed: the run stops, and no tool runs
            self._undecided = error
            return PostponeTool()

    async def end_step(self) -> None:
        """Asks whether the run ends after this step."""
        if self._stopped is None and not self.pending and self._rules.stop_when is not None:
            said = self._rules.stop_when(self.result())
            if await said if inspect.isawaitable(said) else said:
                self._stopped = "stop_when"

    def result(self) -> Run[Any]:
        """The run so far."""
        reply = self._reply
        return Run(
            text="" if reply is None else reply.text,
            parsed=None if reply is None else reply.parsed,
            messages=self.messages,
            steps=tuple(self._steps),
            usage=self._usage,
            cost=self._cost,
            unpriced=self._unpriced,
            attempts=tuple(self._attempts),
            stopped=self._stopped or "done",
            pending=self.pending,
        )


_MEDIA = (Image, Document, Audio, Video)


def _in_words(message: Message, kinds: tuple[type, ...]) -> Message:
    """The message, with media of these kinds in its tool results told in words."""
    if not any(isinstance(part, ToolResult) for part in message.content):
        return message
    content = [
        replace(part, content=tuple([_word(one) if isinstance(one, kinds) else one for one in part.content]))
        if isinstance(part, ToolResult)
        else part
        for part in message.content
    ]
    return replace(message, content=tuple(content))


def _word(part: Any) -> Text:
    """What the model reads in place of media that it cannot be sent."""
    said = getattr(part, "transcript", None) or getattr(part, "text", None)
    if not said and part.data is not None and (part.media_type or "").startswith("text/"):
        said = part.data.decode(errors="replace")
    if said:
        return Text(whole_text(said))
    name = getattr(part, "name", None)
    facts = [fact for fact in (name, part.media_type, part.url) if fact]
    if part.data is not None:
        facts.append(f"{len(part.data)} bytes")
    shown = f" ({', '.join(facts)})" if facts else ""
    return Text(f"[The tool gave a file of the kind {type(part).__name__}{shown}. You cannot be shown it.]")


def _name_of(offer: Tool | ProviderTool | HostedTool | Mapping[str, Any]) -> str | None:
    if isinstance(offer, Tool):
        return offer.name
    if isinstance(offer, HostedTool):
        return None
    shape = offer.definition if isinstance(offer, ProviderTool) else offer
    inner = shape.get("function")
    name = inner.get("name") if isinstance(inner, Mapping) else shape.get("name")
    return name if isinstance(name, str) else None


def _told(call: ToolCall, text: str, *, is_error: bool, error: Exception | None = None) -> ToolRun:
    parts = (Text(whole_text(text)),)
    return ToolRun(call=call, result=ToolResult(call.id, parts, is_error=is_error, name=call.name), error=error)


def _failure(call: ToolCall, error: Exception) -> ToolRun:
    """Returns what the model is told about a failed tool: the sentence of the exception, not its traceback."""
    if isinstance(error, ToolError):
        return ToolRun(call=call, result=ToolResult(call.id, error.content, is_error=True, name=call.name), error=error)
    if isinstance(error, ToolArgumentsError):
        return _told(call, f"{error.message}. Call it again with arguments that fit.", is_error=True, error=error)
    inside = getattr(error, "exceptions", None)  # of a task group: the group itself says nothing
    if isinstance(inside, tuple) and inside:
        return replace(_failure(call, inside[0]), error=error)
    said = str(error)
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return _told(call, text, is_error=True, error=error)
