"""What is asked of a provider besides replies in words: vectors, lists of models, counts of tokens, proofs.

They are attempts like all others (`attempt`): booked, concealed, retried and refreshed in the same way. `ask` makes
them; `Questions` asks what the catalog of models wants to know, of one target each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import anyio

from .._models.asker import Way, Write
from .._protocols.codec import Verb, WireProtocol, WireRequest
from .._providers.provider import Provider
from .._schema.request import GENERATING, HOOKED, Operation, Request
from .._schema.response import Response
from ..errors import AsyncLLMError, HookError, UnsupportedByProviderError
from .attempt import Engine, HTTPAttempt
from .call import Call, Patience, Payer, Question
from .sending import Answer, Line, Run, answer, send_with_fallback
from .target import Target

if TYPE_CHECKING:
    from .hooks import CallHooks


class Questions:
    """Asks providers; the `asyncllm._models.asker.Asker` of a client's catalog.

    Args:
        engine: gives the engine of the running loop.
        target: gives a target by the name of its provider and the model.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        engine: Callable[[], Awaitable[Engine]],
        target: Callable[[Provider, str], Target],
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._target = target
        self.now = now

    async def ask(
        self, provider: Provider, write: Write, *, operation: Operation, model: str = "", base_url: str | None = None
    ) -> Any:
        """Sends a request and returns the JSON of the reply.

        Args:
            provider: who is asked.
            write: makes the request.
            operation: what it is for.
            model: what it is about; ``""`` for no model.
            base_url: in the place of the provider's own; None for that.

        Raises:
            AsyncLLMError: the network failed, the provider refused, or the reply is no JSON.
        """
        question = Question(write=write, base_url=base_url)
        request = Request(model=model, messages=())
        return await self._send(provider, request, operation, _read_json, question)

    async def speak(self, provider: Provider, request: Request, *, operation: Operation) -> Response:
        """Sends a request to a model and returns its reply.

        Raises:
            AsyncLLMError: as a call to it does.
        """
        return await self._send(provider, request, operation, answer, None)

    async def _send(
        self, provider: Provider, request: Request, operation: Operation, run: Run[Answer], question: Question | None
    ) -> Answer:
        target = self._target(provider, request.model)
        engine, patience = await self._engine(), Patience(total=target.timeouts.total)
        return await ask(Call(engine, (target,), request, patience, operation=operation, question=question), run)


async def ask(call: Call, run: Run[Answer]) -> Answer:
    """The answer of the first target of a call that gives one, within its deadline.

    Args:
        call: the call.
        run: makes the most of an attempt.

    Raises:
        DeadlineExceededError: the deadline passed.
        AsyncLLMError: as `send_with_fallback` raises it.
    """
    hooks = call.engine.hooks
    if hooks is not None and call.operation in HOOKED:
        payer = call.payer or Payer()
        call.hooks = hooks.begin(call, payer.user, payer.agent, payer.tags)
        return await _ask_hooked(call, call.hooks, run)
    return await _ask(call, run)


async def _ask_hooked(call: Call, hooks: CallHooks, run: Run[Answer]) -> Answer:
    try:
        if call.operation in GENERATING and await hooks.before_call() is not None:
            raise HookError(f"a hook gave a Response before {call.operation}; it may only change or refuse it")
        found = await _ask(call, run)
    except AsyncLLMError as error:
        await hooks.after_operation(None, call.ended(error))
        raise
    except BaseException:
        await hooks.cut()
        raise
    await hooks.after_operation({} if found is None else found)
    return found


async def _ask(call: Call, run: Run[Answer]) -> Answer:
    total = call.patience.total
    found: list[Answer] = []
    try:
        with anyio.move_on_after(total):
            found.append(await send_with_fallback(call, run, Line()))
    except AsyncLLMError as error:
        raise call.ended(error)  # noqa: B904  # the same error
    if not found:
        raise call.out_of_time(f"{call.targets[0].provider.name} did not answer within {total:g} s")
    return found[0]


def verb_of(protocol: WireProtocol, operation: Operation, provider: str) -> tuple[Verb[Any], Any]:
    """How a wire says one more thing than chat, and the dialect to say it in.

    Args:
        protocol: the wire.
        operation: what is to be said.
        provider: whose wire it is, for the sentence of the error.

    Raises:
        UnsupportedByProviderError: it does not say it.
    """
    verb = getattr(protocol, "operations", {}).get(operation)
    if verb is None:
        raise UnsupportedByProviderError(
            f"{provider} has no API for {_DOING[operation]}; ask another provider", provider=provider
        )
    return verb, getattr(protocol, "dialect", None)


async def use_verb(call: Call, check: Callable[[Any], None]) -> Any:
    """Makes a call of an operation that is a `Verb` of its wires, and returns what the wire reads.

    Args:
        call: with ``question=Question(write=write_verb, free=False)``.
        check: raises `ProtocolError` for an answer that does not fit the request.

    Raises:
        AsyncLLMError: as `ask` raises it.
    """

    async def read(attempt: HTTPAttempt) -> Any:
        reply = await attempt.send()
        verb, dialect = verb_of(attempt.route.protocol, call.operation, attempt.context.provider)
        value = verb.read(reply.status, reply.headers, reply.body, attempt.context, dialect)
        attempt.answered(value.request_id, value.rate_limits)
        check(value)
        call.warnings = attempt.warnings
        attempt.settle("ok", usage=value.usage)
        return value

    return await ask(call, read)


def write_verb(way: Way) -> WireRequest:
    """The request of a call of an operation that is a `Verb`, for the model of this attempt."""
    call = way.call  # type: ignore[attr-defined]  # only attempts of the engine come here
    verb, dialect = verb_of(way.route.protocol, call.operation, way.context.provider)
    return verb.write(replace(way.asked, model=way.context.model), way.context, dialect)  # type: ignore[attr-defined]


_DOING: Mapping[str, str] = MappingProxyType({"embed": "embedding texts", "rerank": "ranking documents"})


async def _read_json(attempt: HTTPAttempt) -> Any:
    reply = await attempt.send()
    value = attempt.call.engine.json.loads(reply.body)
    attempt.settle("ok")
    return value
