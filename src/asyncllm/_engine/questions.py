"""What is asked of a provider besides calls: lists of models, counts of tokens, proofs that a model is usable.

They are attempts like all others (`attempt`): booked, concealed, retried and refreshed in the same way. Each is a call
of one target.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from .._models.asker import Write
from .._providers.provider import Provider
from .._schema.request import Operation, Request
from .._schema.response import Response
from ..errors import AsyncLLMError
from .attempt import Engine, HTTPAttempt, Question
from .call import Call, Patience
from .sending import Answer, Line, Run, answer, send_with_fallback
from .target import Target


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
        """The JSON of a successful reply.

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
        """The reply of a model that has to speak.

        Raises:
            AsyncLLMError: as a call to it does.
        """
        return await self._send(provider, request, operation, answer, None)

    async def _send(
        self, provider: Provider, request: Request, operation: Operation, run: Run[Answer], question: Question | None
    ) -> Answer:
        target = self._target(provider, request.model)
        total = target.timeouts.total
        engine = await self._engine()
        call = Call(engine, (target,), request, Patience(total=total), operation=operation, question=question)
        found: list[Answer] = []
        try:
            with anyio.move_on_after(total):
                found.append(await send_with_fallback(call, run, Line()))
        except AsyncLLMError as error:
            raise call.ended(error)  # noqa: B904  # the same error
        if not found:
            raise call.out_of_time(f"{provider.name} did not answer within {total:g} s")
        return found[0]


async def _read_json(attempt: HTTPAttempt) -> Any:
    reply = await attempt.send()
    value = attempt.call.engine.json.loads(reply.body)
    attempt.settle("ok")
    return value
