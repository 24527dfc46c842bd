"""A call that is answered in one piece."""

from __future__ import annotations

import logging
from dataclasses import replace

import anyio

from .._schema.messages import Message
from .._schema.response import Response
from ..errors import AsyncLLMError, StructuredOutputError
from . import hedge
from .attempts import Attempts
from .call import Call
from .exchange import attribute, judge, prepare
from .fallback import with_fallback
from .formats import WITHOUT_ANSWER, Parse
from .router import Target

log = logging.getLogger("asyncllm")


async def send(call: Call, *, parse: Parse | None, reasks: int = 0) -> Response:
    """The whole answer of the first target that gives one, within the call's deadline for everything.

    Args:
        call: the call.
        parse: reads the answer as the type the caller asked for.
        reasks: how often the model is told what does not fit, and asked again.

    Raises:
        DeadlineExceededError: the deadline passed.
        AsyncLLMError: as `with_fallback` and ``parse`` raise.
    """
    response: Response | None = None
    with anyio.move_on_after(call.patience.total):
        response = await _fitting(call, parse, reasks)
    if response is None:
        raise call.out_of_time(
            f"no answer within the total deadline of {call.patience.total:g} s; allow more with timeout=, or stream"
        )
    return response


async def _fitting(call: Call, parse: Parse | None, reasks: int) -> Response:
    """An answer of the type that was asked for; one that does not fit goes back to the model with the reasons."""
    while True:
        response = await _answer(call)
        log_call(response)
        if parse is None:
            return response
        try:
            return replace(response, parsed=parse(response))
        except StructuredOutputError as error:
            if reasks < 1 or error.finish_reason in WITHOUT_ANSWER:
                raise
            problems = "; ".join(error.problems)
        reasks -= 1
        call.continue_with(
            response.message,
            Message.user(
                f"That does not fit the schema: {problems}. Answer again, with the whole JSON and nothing else."
            ),
        )


async def _answer(call: Call) -> Response:
    seconds = hedge.delay(call)
    if seconds is None:
        return await with_fallback(call, lambda target, attempts: _ask(call, target, attempts))
    return await _hedged(call, seconds)


async def _hedged(call: Call, seconds: float) -> Response:
    response = await hedge.with_hedge(
        call, lambda target, attempts: _ask(call, target, attempts), seconds, discard=lambda late: None
    )
    used = response.attempts[-1]
    others = [attempt for attempt in call.attempts.all() if attempt is not used]
    return replace(response, attempts=(*others, used))


async def _ask(call: Call, target: Target, attempts: Attempts) -> Response:
    """One HTTP attempt on one target, settled whatever happens."""
    engine, request = call.engine, call.request
    prepared = await prepare(engine, target, request, attempts)
    await attempts.open(target, *call.expected)
    try:
        reply = await engine.transport.send(prepared.request)
        if not 200 <= reply.status < 300:
            raise judge(prepared, reply.status, reply.headers, reply.body)
        response = prepared.route.protocol.decode(reply.status, reply.headers, reply.body, prepared.context)
    except AsyncLLMError as error:
        attribute(error, target)
        prepared.conceal(error)
        attempts.settle("error", error=error)
        raise
    except BaseException as error:
        attempts.settle("unknown" if isinstance(error, Exception) else "cancelled")
        raise
    cost = attempts.settle(
        "ok",
        status=reply.status,
        usage=response.usage,
        request_id=response.request_id,
        rate_limits=response.rate_limits,
    )
    return replace(
        response,
        cost=cost,
        provider=target.provider.name,
        requested_model=request.model,
        warnings=(*prepared.warnings, *response.warnings),
        attempts=attempts.all(),
    )


def log_call(response: Response) -> None:
    """The one INFO line of a call: no content, no key."""
    if log.isEnabledFor(logging.INFO):
        log.info(
            "%s/%s answered: %s in, %s out, %s, %.3f s, request id %s",
            response.provider,
            response.model,
            response.usage.input_tokens,
            response.usage.output_tokens,
            response.finish_reason,
            response.attempts[-1].latency or 0.0,
            response.request_id,
        )
