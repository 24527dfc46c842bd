"""A call that is answered in one piece."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import anyio

from ..errors import AsyncLLMError, DeadlineExceededError
from ..schema.request import Request
from ..schema.response import Response
from .attempts import Attempts
from .exchange import Engine, attribute, judge, prepare
from .fallback import with_fallback
from .router import Target

Parse = Callable[[Response], Any]
"""Reads the answer's text as the type the caller asked for; raises `StructuredOutputError` where it does not fit."""

log = logging.getLogger("asyncllm")


async def send(
    engine: Engine, targets: Sequence[Target], request: Request, *, total: float | None, parse: Parse | None
) -> Response:
    """The whole answer of the first target that gives one, within ``total`` seconds for everything.

    Raises:
        DeadlineExceededError: ``total`` passed.
        AsyncLLMError: as `with_fallback` and ``parse`` raise.
    """
    attempts = Attempts(engine.background.clock)
    response: Response | None = None
    with anyio.move_on_after(total):
        response = await with_fallback(targets, attempts, lambda target: _ask(engine, target, request, attempts))
    if response is None:
        raise DeadlineExceededError(
            f"no answer within the total deadline of {total:g} s; allow more with timeout=, or stream",
            provider=targets[0].provider.name,
            model=targets[0].model,
            attempts=attempts.all(),
        )
    if parse is not None:
        response = replace(response, parsed=parse(response))
    return response


async def _ask(engine: Engine, target: Target, request: Request, attempts: Attempts) -> Response:
    """One HTTP attempt on one target, settled whatever happens."""
    prepared = await prepare(engine, target, request, attempts)
    attempts.open(target)
    try:
        reply = await engine.transport.send(prepared.request)
        if not 200 <= reply.status < 300:
            raise judge(prepared, reply.status, reply.headers, reply.body)
        response = prepared.route.protocol.decode(reply.status, reply.headers, reply.body, prepared.context)
    except AsyncLLMError as error:
        attribute(error, target)
        attempts.settle("error", error=error)
        raise
    except BaseException as error:
        attempts.settle("unknown" if isinstance(error, Exception) else "cancelled")
        raise
    attempts.settle("ok", status=reply.status, usage=response.usage, request_id=response.request_id)
    response = replace(
        response,
        provider=target.provider.name,
        requested_model=request.model,
        warnings=(*prepared.warnings, *response.warnings),
        attempts=attempts.all(),
    )
    log_call(response)
    return response


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
