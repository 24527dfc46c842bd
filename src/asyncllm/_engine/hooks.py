"""Hooks: code of the application that sees a call on its way, and may change, refuse or answer it.

The theory. A `Hook` is a class with up to five methods, one for each point of a call::

    before_call       the request, checked, before anything is sent
    before_attempt    the same for one HTTP attempt, with the target that it goes to
    after_attempt     how the attempt ended
    after_call        the reply, or the error, that the caller gets
    on_event          each event of a stream, before the caller gets it
    after_operation   in place of after_call, where the answer is no reply in words

The rules:

* Hooks run in the order in which the client was given them. Each sees what the one before it has changed.
* A method is sync or async. Only methods that a class defines are called; a client without hooks has none of this.
* No hook sees a key: it gets values, never the provider or the headers. The caller's ``extra_headers`` are left out of
  the request that it sees, and are sent all the same.
* A refusal (`CallRefusedError`) always ends the call. Any other exception follows the hook's ``on_error``.
* A hook sees the operations that its ``operations`` name; only ``"chat"`` by default, so that a hook which looks at
  messages meets no request without any. Listing, counting and validating models have no hooks. Tracers see all others.
* Of a batch, ``before_call`` sees each line. Its HTTP requests, and those of files, have the points of attempts only.
* Settling an attempt never awaits. So ``after_attempt`` runs right after it, when the call goes on (`CallHooks.drain`);
  a tracer, which never awaits, is told at once.
* The time that hooks take is part of the call's total deadline.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, Union
from urllib.parse import urlsplit

import anyio

from .._schema.content import ToolCall, ToolResult
from .._schema.events import Event
from .._schema.request import HOOKED, Operation, Request
from .._schema.response import Attempt, Response
from .._schema.values import dataclass
from ..errors import AsyncLLMError, CallRefusedError, ConfigurationError, HookError
from .target import Target

if TYPE_CHECKING:
    from .attempt import HTTPAttempt
    from .call import Call

_LAST_SECONDS = 1.0  # that hooks may take after the caller has cancelled the call
_log = logging.getLogger("asyncllm")


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCall:
    """A call, as hooks see it.

    Attributes:
        id: made for hooks; the same at every point of the call.
        request: what is asked, with what earlier hooks have changed, without the caller's ``extra_headers``.
        provider: the configured name of the first target's provider.
        model: the first target's model.
        operation: what the call is for.
        user: for whom it is made.
        agent: what made it.
        tags: the call's own tags.
        notes: for the hooks: what one writes at one point, it finds at the next. Never sent and never stored.
    """

    id: str
    request: Request
    provider: str
    model: str
    operation: Operation = "chat"
    user: str | None = None
    agent: str | None = None
    tags: Mapping[str, str] | None = None
    notes: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def stream(self) -> bool:
        """Whether the reply is streamed."""
        return self.request.stream


@dataclass(frozen=True, slots=True, kw_only=True)
class HookTarget:
    """Where an attempt goes.

    Attributes:
        provider: the configured name of the provider.
        kind: the provider's kind, such as ``"openai"``.
        model: the model.
        number: of the attempt within the call, from 1.
        server_address: the host that is asked; None where the URL has none.
        server_port: its port; None for the usual one.
    """

    provider: str
    kind: str
    model: str
    number: int
    server_address: str | None = None
    server_port: int | None = None


HookedOperation = Literal["chat", "embed", "rerank", "batch", "file"]
"""What a hook can see."""
BeforeCall = Union[Request, Response, None]
"""What `Hook.before_call` gives: a changed request, an answer, or nothing."""


class Hook:
    """The base of hooks: define the methods that you need, sync or async.

    Attributes:
        on_error: what an exception of the hook does: ``"raise"`` ends the call with `HookError`, ``"log"`` writes a
            warning, and the call goes on as if the hook had said nothing. By default the methods that come before
            something raise, so that what they guard is not sent unguarded, and the others log.
        operations: what it sees: any of ``"chat"``, ``"embed"``, ``"rerank"``, ``"batch"`` and ``"file"``. The request
            is then an `EmbedRequest` or a `RerankRequest`, or that of a line of a batch.
    """

    on_error: Literal["raise", "log"] | None = None
    operations: tuple[HookedOperation, ...] = ("chat",)

    def before_call(self, call: HookCall, /) -> BeforeCall | Awaitable[BeforeCall]:
        """Before anything is sent.

        Args:
            call: the call.

        Returns:
            A `Request` to send instead (the model stays), a `Response` to answer with, or None.

        Raises:
            CallRefusedError: the call is refused.
        """
        return None

    def before_attempt(self, call: HookCall, target: HookTarget, /) -> Request | Awaitable[Request | None] | None:
        """Before each HTTP attempt.

        Args:
            call: the call.
            target: where the attempt goes.

        Returns:
            A `Request` to send to this target instead, or None.

        Raises:
            CallRefusedError: the call is refused; with ``next_target=True`` only this target is.
        """
        return None

    def after_attempt(self, call: HookCall, attempt: Attempt, /) -> Awaitable[None] | None:
        """After each HTTP attempt, whether it succeeded or not.

        Args:
            call: the call.
            attempt: how it ended, with its usage and cost.
        """
        return None

    def after_call(
        self, call: HookCall, reply: Response | None, error: BaseException | None, /
    ) -> Response | Awaitable[Response | None] | None:
        """After the call. With neither reply nor error the caller has cancelled it, or left its stream early.

        Args:
            call: the call.
            reply: the reply; of a stream the whole one.
            error: what the caller gets instead.

        Returns:
            A `Response` to hand over instead of the reply, or None.

        Raises:
            CallRefusedError: the reply is not handed over.
        """
        return None

    def after_operation(self, call: HookCall, result: Any, error: BaseException | None, /) -> Awaitable[None] | None:
        """After an ``"embed"`` or ``"rerank"``. With neither result nor error the caller has cancelled it.

        A long list of texts is embedded in several requests; each is a call of its own for hooks.

        Args:
            call: the call; its request holds the texts.
            result: the `Embedded` or `Reranked` of this request: vectors or scores, and the usage.
            error: what the caller gets instead.

        Raises:
            CallRefusedError: the result is not handed over.
        """
        return None

    def on_event(self, call: HookCall, event: Event, /) -> Awaitable[None] | None:
        """Each event of a stream, before the caller gets it.

        Args:
            call: the call.
            event: the event.

        Raises:
            CallRefusedError: the stream ends here.
        """
        return None


class AttemptTrace(Protocol):
    """What a tracer knows of one attempt. No method awaits."""

    headers: Mapping[str, str]
    """Headers to send, such as ``traceparent``."""

    def active(self) -> AbstractContextManager[Any]:
        """Holds while the HTTP library works."""
        ...

    def chunk(self) -> None:
        """Content of a stream has come."""
        ...

    def ended(self, attempt: Attempt | None, reply: Response | None) -> None:
        """The attempt is settled; None where nothing was sent."""
        ...


class CallTrace(Protocol):
    """What a tracer knows of one call. No method awaits."""

    def attempt(self, target: HookTarget, request: Request) -> AttemptTrace:
        """An attempt begins."""
        ...

    def ended(self, reply: Any, error: BaseException | None) -> None:
        """The call is over. The reply is a `Response`, or what another operation gives."""
        ...


class RunTrace(Protocol):
    """What a tracer knows of one run of the tool loop. No method awaits."""

    def active(self) -> AbstractContextManager[Any]:
        """Holds while the run works."""
        ...

    def tool(self, call: ToolCall) -> AbstractContextManager[Callable[[ToolResult], None]]:
        """A tool works inside the block; what the block is given takes its result."""
        ...

    def ended(self, error: BaseException | None) -> None:
        """The run is over."""
        ...


class TracingHook(Hook):
    """The base of hooks that trace: told at once, in the moment in which things happen."""

    def trace_call(self, call: HookCall) -> CallTrace:
        """A call begins."""
        raise NotImplementedError

    def trace_run(self, agent: str | None) -> RunTrace:
        """A run of `Client.run` begins."""
        raise NotImplementedError


_POINTS = ("before_call", "before_attempt", "after_attempt", "after_call", "after_operation", "on_event")
_GUARDS = frozenset({"before_call", "before_attempt"})
Point = Callable[..., Any]
Points = Mapping[str, tuple[tuple[Hook, Point], ...]]


class Hooks:
    """The hooks of a client, sorted by the points that they care for.

    Args:
        hooks: in their order.

    Raises:
        ConfigurationError: one of them is no `Hook`.
    """

    __slots__ = ("by_operation", "tracers")

    def __init__(self, hooks: Sequence[Hook]) -> None:
        for hook in hooks:
            if not isinstance(hook, Hook):
                name = getattr(hook, "__name__", type(hook).__name__)
                raise ConfigurationError(
                    f"hooks must hold objects whose class derives from asyncllm.Hook; {name} is none (give an object, "
                    "not the class)"
                )
        self.tracers: tuple[TracingHook, ...] = tuple([hook for hook in hooks if isinstance(hook, TracingHook)])
        if len(self.tracers) > 1:
            raise ConfigurationError("hooks hold two tracers; a call has one trace, so give one of them")
        for hook in hooks:
            if isinstance(hook.operations, str) or not {*hook.operations} <= {"chat", *HOOKED}:
                raise ConfigurationError(
                    f"the hook {_name(hook)} has operations {hook.operations!r}; give a list of chat, embed, rerank, "
                    "batch and file"
                )
        self.by_operation: Mapping[str, Points] = {
            operation: {point: _defined(hooks, point, operation) for point in _POINTS}
            for operation in ("chat", *HOOKED)
        }

    def trace_run(self, agent: str | None) -> Callable[[], RunTrace] | None:
        """Begins to trace a run, when it is called; None without a tracer."""
        return partial(self.tracers[0].trace_run, agent) if self.tracers else None

    async def line(
        self, request: Request, target: Target, new_id: Callable[[str], str], whose: Mapping[str, Any]
    ) -> Request:
        """The request of one line of a batch for a target, as hooks have left it; ``whose`` it is they may read.

        Raises:
            CallRefusedError: a hook refused this line.
            HookError: a hook failed.
        """
        view = HookCall(
            id=new_id("call_"),
            request=_shown(request),
            provider=target.provider.name,
            model=target.model,
            operation="batch",
            **whose,
        )
        for hook, method in self.by_operation["batch"]["before_call"]:
            said = await run_hook(hook, "before_call", method, view)
            if said is not None:
                request = _taken(hook, said, request)
                view = replace(view, request=_shown(request))
        return request

    def begin(self, call: Call, user: str | None, agent: str | None, tags: Mapping[str, str] | None) -> CallHooks:
        """The hooks of one call.

        Args:
            call: the call.
            user: for whom it is made.
            agent: what made it.
            tags: its tags.
        """
        first = call.targets[0]
        view = HookCall(
            id=call.engine.new_id("call_"),
            request=_shown(call.request),
            provider=first.provider.name,
            model=first.model,
            operation=call.operation,
            user=user,
            agent=agent,
            tags=tags,
        )
        return CallHooks(self, call, view)


class CallHooks:
    """The hooks of one call, on its way.

    Attributes:
        view: the call as hooks see it.
    """

    __slots__ = ("_call", "_ended", "_events", "_hooks", "_over", "_settled", "_traces", "view")

    def __init__(self, hooks: Hooks, call: Call, view: HookCall) -> None:
        self.view: HookCall = view
        self._hooks = hooks.by_operation[view.operation]
        self._call = call
        self._events = bool(self._hooks["on_event"])
        self._settled: list[Attempt] = []
        self._ended = self._over = False
        self._traces: list[CallTrace] = [tracer.trace_call(view) for tracer in hooks.tracers]

    # The points.

    async def before_call(self) -> Response | None:
        """Lets hooks change the request; gives the answer of the one that has one.

        Raises:
            CallRefusedError: a hook refused.
            HookError: a hook failed.
        """
        for hook, method in self._hooks["before_call"]:
            said = await run_hook(hook, "before_call", method, self.view)
            if isinstance(said, Response):
                return replace(said, requested_model=said.requested_model or self._call.request.model)
            if said is not None:
                self._call.change(_taken(hook, said, self._call.request))
                self.view = replace(self.view, request=_shown(self._call.request))
        return None

    async def before_attempt(self, target: Target, url: str) -> tuple[Request | None, list[AttemptTrace]]:
        """Lets hooks change what is sent to one target; tells the tracers that it begins.

        Args:
            target: where it goes.
            url: the address that is asked.

        Raises:
            CallRefusedError: a hook refused.
            HookError: a hook failed.
        """
        call, view, about = self._call, self.view, self._about(target, url)
        changed: Request | None = None
        for hook, method in self._hooks["before_attempt"]:
            said = await run_hook(hook, "before_attempt", method, view, about)
            if said is not None:
                changed = _taken(hook, said, changed or call.request)
                view = replace(view, request=_shown(changed))
        return changed, [trace.attempt(about, changed or call.request) for trace in self._traces]

    def again(self, target: Target, url: str, request: Request) -> list[AttemptTrace]:
        """An attempt follows another one at once, on a fresh connection: only tracers are told."""
        about = self._about(target, url)
        return [trace.attempt(about, request) for trace in self._traces]

    def _about(self, target: Target, url: str) -> HookTarget:
        place = urlsplit(url)
        return HookTarget(
            provider=target.provider.name,
            kind=target.provider.kind,
            model=target.model,
            number=len(self._call.records) + 1,
            server_address=place.hostname,
            server_port=place.port,
        )

    def settled(self, attempt: HTTPAttempt, record: Attempt | None, reply: Response | None) -> None:
        """An attempt is settled: tracers learn it now, hooks when the call goes on. Never awaits."""
        for trace in attempt.traces:
            trace.ended(record, reply)
        attempt.traces = []
        if record is not None and self._hooks["after_attempt"]:
            self._settled.append(record)
            if self._over:  # nobody goes on with this call: a hedge that lost, a stream that was left
                self._call.engine.background.spawn(self.drain)

    async def drain(self) -> None:
        """Runs what is due after attempts.

        Raises:
            CallRefusedError: a hook refused.
            HookError: a hook failed.
        """
        while self._settled:
            record = self._settled.pop(0)
            for hook, method in self._hooks["after_attempt"]:
                await run_hook(hook, "after_attempt", method, self.view, record)

    async def on_event(self, event: Event) -> None:
        """Shows an event of a stream.

        Raises:
            CallRefusedError: a hook refused.
            HookError: a hook failed.
        """
        if self._events:
            for hook, method in self._hooks["on_event"]:
                await run_hook(hook, "on_event", method, self.view, event)

    def traced(self, reply: Any, error: BaseException | None) -> None:
        """The call is over: tracers learn it now. Never awaits; only the first call counts."""
        if not self._over:
            self._over = True
            for trace in self._traces:
                trace.ended(reply, error)

    async def after_call(self, reply: Response | None, error: BaseException | None = None) -> Response | None:
        """Shows what the call ends with; gives the reply that the caller gets. Only the first call counts.

        Raises:
            CallRefusedError: a hook refused to hand the reply over.
            HookError: a hook failed.
        """
        if self._ended:
            return reply
        self._ended = True
        try:
            await self.drain()
            for hook, method in self._hooks["after_call"]:
                said = await run_hook(hook, "after_call", method, self.view, reply, error)
                if said is not None:
                    if not isinstance(said, Response) or reply is None:
                        raise HookError(f"the hook {_name(hook)} gave a {type(said).__name__} after the call")
                    reply = said
        except AsyncLLMError as failure:
            self.traced(None, failure)
            raise self._call.ended(failure)  # noqa: B904  # the same error
        self.traced(reply, error)
        return reply

    async def after_operation(self, result: Any, error: BaseException | None = None) -> None:
        """Shows what a call ends with whose answer is no reply in words. Only the first call counts.

        Raises:
            CallRefusedError: a hook refused to hand the result over.
            HookError: a hook failed.
        """
        if self._ended:
            return
        self._ended = True
        try:
            await self.drain()
            for hook, method in self._hooks["after_operation"]:
                await run_hook(hook, "after_operation", method, self.view, result, error)
        except AsyncLLMError as failure:
            self.traced(None, failure)
            raise self._call.ended(failure)  # noqa: B904  # the same error
        self.traced(result, error)

    async def cut(self) -> None:
        """The caller has cancelled the call: hooks have a second to note it."""
        self.traced(None, None)
        over = self.after_call if self.view.operation == "chat" else self.after_operation
        if self._ended or not (self._settled or self._hooks[over.__name__]):
            return
        with anyio.move_on_after(_LAST_SECONDS, shield=True):
            try:
                await over(None)
            except AsyncLLMError as error:
                _log.warning("%s", error, extra={"event": "hook"})

    def left(self, reply: Response | None) -> None:
        """Nobody holds the stream any more; may be called from a finaliser."""
        if not self._ended:
            background = self._call.engine.background
            ended = self.cut if reply is None else partial(self._late, reply)
            background.call_soon(partial(background.spawn, ended))

    async def _late(self, reply: Response) -> None:
        await self.after_call(reply)


async def run_hook(hook: Hook, point: str, method: Point, view: HookCall, *about: Any) -> Any:
    """What a method of a hook says, under its policy for errors.

    Raises:
        CallRefusedError: it refused.
        HookError: it failed, and its policy is to raise.
    """
    try:
        said = method(view, *about)
        return await said if inspect.isawaitable(said) else said
    except CallRefusedError as refusal:
        refusal.about(provider=view.provider, model=view.model)
        raise
    except Exception as error:
        policy = hook.on_error or ("raise" if point in _GUARDS else "log")
        sentence = f"the hook {_name(hook)} failed in {point}: {type(error).__name__}: {error}"
        if policy == "raise":
            raise HookError(sentence) from error
        _log.warning("%s; the call goes on", HookError(sentence).message, exc_info=error, extra={"event": "hook"})
        return None


def _defined(hooks: Sequence[Hook], point: str, operation: str) -> tuple[tuple[Hook, Point], ...]:
    """The hooks that see an operation and define a point."""
    own = [hook for hook in hooks if operation in hook.operations]
    return tuple([(one, getattr(one, point)) for one in own if getattr(type(one), point) is not getattr(Hook, point)])


def _name(hook: Hook) -> str:
    return type(hook).__qualname__


def _shown(request: Request) -> Request:
    """The request without what may hold a key."""
    return request if request.extra_headers is None else replace(request, extra_headers=None)


def _taken(hook: Hook, said: Any, before: Request) -> Request:
    """The request that a hook gave, with what it does not see.

    Raises:
        HookError: it is none, or for another model.
    """
    if not isinstance(said, Request):
        raise HookError(
            f"the hook {_name(hook)} gave a {type(said).__name__}; give a Request (dataclasses.replace(call.request, "
            "...)), a Response before the call, or None"
        )
    if type(said) is not type(before) or any(
        len(getattr(said, name)) != len(getattr(before, name))
        for name in ("texts", "documents")
        if hasattr(before, name)
    ):
        raise HookError(f"the hook {_name(hook)} may not change the kind of a request, or how many texts it holds")
    if said.model != before.model or said.stream != before.stream:
        raise HookError(f"the hook {_name(hook)} may not change the model of a call, or whether it is a stream")
    headers = (
        before.extra_headers if said.extra_headers is None else {**(before.extra_headers or {}), **said.extra_headers}
    )
    return replace(said, extra_headers=headers)
