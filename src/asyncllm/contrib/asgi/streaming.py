"""A stream or a run as the body of an HTTP response.

::

    @app.post("/chat")
    async def chat(question: Question) -> Response:
        return await sse(client.stream(question.text))

`sse` writes server-sent events with JSON. `ui_messages` writes the UI message stream of the AI SDK (version 1, read in
the npm package ``ai`` 6.0.326, ``uiMessageChunkSchema``), so that its React, Vue and Svelte hooks work as they are.

The rules of both:

* The response begins when the first content is there. What fails before is a JSON response with a status that fits
  (`status_of`) and ``Retry-After`` where the provider gave one. What fails later is an event: the status has been sent.
* When the reader hangs up, the call is closed: the provider stops generating, and the ledger books what came.
* No text of an exception reaches the reader unless it is of this library; these texts never hold a key.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Union

from starlette.responses import JSONResponse, Response, StreamingResponse

from ... import errors
from ..._schema.content import (
    Image,
    Json,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    parse_arguments,
)
from ..._schema.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    Restart,
    TextDelta,
    ToolCallDelta,
    ToolEnd,
    ToolStart,
)
from ...errors import AsyncLLMError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from ..._engine.stream import Stream
    from ..._run_stream import RunStream
    from ..._schema.response import FinishReason

    Source = Union[Stream[Any], RunStream[Any]]

# The words of the AI SDK.
_REASONS: Mapping[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool-calls",
    "content_filter": "content-filter",
    "refusal": "content-filter",
    "pause": "other",
    "other": "other",
}
# The first class that fits counts.
_STATUSES: tuple[tuple[type[AsyncLLMError], int], ...] = (
    (errors.BudgetExceededError, 402),
    (errors.RateLimitError, 429),
    (errors.QuotaExhaustedError, 429),
    (errors.CircuitOpenError, 503),
    (errors.LimitTimeoutError, 503),
    (errors.OverloadedError, 503),
    (errors.DeadlineExceededError, 504),
    (errors.ProviderTimeoutError, 504),
    (errors.FirstTokenTimeoutError, 504),
    (errors.IdleTimeoutError, 504),
    (errors.NoContentTimeoutError, 504),
    (errors.RequestTooLargeError, 413),
    (errors.ContextWindowExceededError, 413),
    (errors.ContentBlockedError, 422),
    (errors.UnsupportedError, 422),
    (errors.BadRequestError, 400),
    (errors.ConfigurationError, 500),
    (errors.ClientStateError, 500),
    (errors.LedgerError, 500),
    (errors.StructuredOutputError, 502),
    (errors.TransportError, 502),
    (errors.ProviderError, 502),
)


def status_of(error: BaseException) -> int:
    """The HTTP status for an error of a call.

    A refused key or an empty account is the application's trouble and not its user's: 502. When a whole chain failed,
    the last failure counts.
    """
    if isinstance(error, errors.AllFallbacksFailedError) and isinstance(error.__cause__, AsyncLLMError):
        return status_of(error.__cause__)
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def error_response(error: AsyncLLMError) -> Response:
    """A JSON response for an error: ``{"error": {"type", "message"}}``, with ``Retry-After`` where there is one."""
    headers = {}
    cause = error.__cause__
    seconds = cause.retry_after if error.retry_after is None and isinstance(cause, AsyncLLMError) else error.retry_after
    if seconds is not None:
        headers["retry-after"] = str(max(1, math.ceil(seconds)))
    return JSONResponse({"error": _error(error)}, status_code=status_of(error), headers=headers)


async def sse(source: Source) -> Response:
    """The events of a stream or a run as server-sent events.

    Each event is ``data: {"type": ..., ...}``: ``start``, ``text``, ``reasoning``, ``tool_call``, ``tool_start``,
    ``tool_end``, ``provider_tool_call``, ``provider_tool_result``, ``image``, ``refusal``, ``restart``, ``end`` (with
    ``finish_reason`` and ``usage``), ``error``. The last one is ``data: [DONE]``.

    Args:
        source: from `Client.stream` or `Client.run_stream`; not begun yet.

    Returns:
        The response; a JSON response with a status where the call failed before its first content.
    """
    return await _respond(source, _PlainChunks(source), {})


async def ui_messages(source: Source, *, message_id: str | None = None) -> Response:
    """The events of a stream or a run as the UI message stream of the AI SDK.

    Args:
        source: from `Client.stream` or `Client.run_stream`; not begun yet.
        message_id: the id of the message that the front end makes; the provider's id by default.

    Returns:
        The response; a JSON response with a status where the call failed before its first content.
    """
    return await _respond(source, _UIChunks(source, message_id), {"x-vercel-ai-ui-message-stream": "v1"})


async def _respond(source: Source, chunks: AsyncIterator[Mapping[str, Any]], headers: dict[str, str]) -> Response:
    try:
        await source.started()
    except AsyncLLMError as error:
        await source.aclose()
        return error_response(error)
    except BaseException:
        await source.aclose()
        raise
    return _Streaming(source, chunks, headers)


class _Streaming(StreamingResponse):
    """A response that closes the call whatever ends it."""

    def __init__(self, source: Source, chunks: AsyncIterator[Mapping[str, Any]], headers: dict[str, str]) -> None:
        whole = {"cache-control": "no-cache", "x-accel-buffering": "no", **headers}
        super().__init__(_Lines(chunks), media_type="text/event-stream", headers=whole)
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._source.aclose()


class _Lines:
    """JSON values as the lines of server-sent events. A class, because a generator cannot be closed for certain."""

    def __init__(self, chunks: AsyncIterator[Mapping[str, Any]]) -> None:
        self._chunks = chunks
        self._over = False

    def __aiter__(self) -> _Lines:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        try:
            chunk = await self._chunks.__anext__()
        except StopAsyncIteration:
            self._over = True
            return b"data: [DONE]\n\n"
        return b"data: " + json.dumps(chunk, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n\n"


class _Written:
    """Writes the events of a source, each as a list of JSON values."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ready: list[Mapping[str, Any]] = []
        self._over = False
        self._failure: Exception | None = None

    def __aiter__(self) -> _Written:
        return self

    async def __anext__(self) -> Mapping[str, Any]:
        while not self._ready:
            if self._over:
                raise StopAsyncIteration if self._failure is None else self._failure
            try:
                event = await self._source.__anext__()
            except StopAsyncIteration:
                self._over = True
                self._ready += self.end()
            except AsyncLLMError as error:
                self._over = True
                self._ready += self.failed(_error(error))
            except Exception as error:  # noqa: BLE001  # of a tool: told without its words, then raised for the server's log
                self._over, self._failure = True, error
                self._ready += self.failed({"error": "Error", "message": "The application failed."})
            else:
                self._ready += self.write(event)
        return self._ready.pop(0)

    def write(self, event: Event) -> Iterable[Mapping[str, Any]]:
        """Returns the values for one event."""
        return ()

    def end(self) -> Iterable[Mapping[str, Any]]:
        """Returns the values at the end."""
        return ()

    def failed(self, error: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        """Returns the values for a failure."""
        return ({"type": "error", **error},)


class _PlainChunks(_Written):
    def write(self, event: Event) -> Iterable[Mapping[str, Any]]:
        match event:
            case TextDelta():
                yield {"type": "text", "text": event.text}
            case ReasoningDelta():
                yield {"type": "reasoning", "text": event.reasoning}
            case PartEnd(part=Refusal() as refused):
                yield {"type": "refusal", "text": refused.text}
            case PartEnd(part=Image(data=data, url=url)) if data or url:
                yield {"type": "image", "url": _address(event.part)}
            case PartEnd(part=ProviderToolCall() as ran):
                yield {"type": "provider_tool_call", "id": ran.id, "name": ran.name, "arguments": _arguments(ran)}
            case PartEnd(part=ProviderToolResult() as gave):
                told = {"type": "provider_tool_result", "id": gave.call_id, "name": gave.name}
                yield {**told, "is_error": gave.is_error}
            case PartEnd(part=ToolCall() as call):
                yield {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}
            case ToolStart(call):
                yield {"type": "tool_start", "id": call.id, "name": call.name}
            case ToolEnd(call, result):
                found = {"type": "tool_end", "id": call.id, "name": call.name, "result": _output(result)}
                yield {**found, "is_error": result.is_error, "seconds": round(event.seconds, 3)}
            case Restart():
                yield {"type": "restart"}
            case ResponseStart():
                yield {"type": "start", "model": event.model}
            case ResponseEnd():
                usage = {"input_tokens": event.usage.input_tokens, "output_tokens": event.usage.output_tokens}
                yield {"type": "end", "finish_reason": event.finish_reason, "usage": usage}
            case _:
                return


class _UIChunks(_Written):
    """Parts of several replies of a run are parts of one message there; a number keeps their ids apart."""

    def __init__(self, source: Source, message_id: str | None) -> None:
        super().__init__(source)
        self._message_id = message_id
        self._begun = False
        self._step = 0
        self._calls: dict[int, str] = {}
        self._told: set[str] = set()
        self._reason: FinishReason | None = None

    def write(self, event: Event) -> Iterable[Mapping[str, Any]]:
        match event:
            case ResponseStart():
                self._step += 1
                yield from self._begin(event.id)
                yield {"type": "start-step"}
            case PartStart(index, part) | PartEnd(index, part):
                yield from self._part(index, part, begins=isinstance(event, PartStart))
            case TextDelta():
                yield {"type": "text-delta", "id": self._id(event.index), "delta": event.text}
            case ReasoningDelta():
                yield {"type": "reasoning-delta", "id": self._id(event.index), "delta": event.reasoning}
            case ToolCallDelta():
                call = self._calls.get(event.index)
                if call is not None:
                    yield {"type": "tool-input-delta", "toolCallId": call, "inputTextDelta": event.arguments}
            case ToolStart(call):
                if call.id not in self._told:  # of an earlier reply: a run that goes on
                    yield from self._begin("")
                    yield self._input(call)
            case ToolEnd(call, result):
                output = _output(result)
                if result.is_error:
                    yield {"type": "tool-output-error", "toolCallId": call.id, "errorText": str(output)}
                else:
                    yield {"type": "tool-output-available", "toolCallId": call.id, "output": output}
            case ResponseEnd():
                self._reason = event.finish_reason
                yield {"type": "finish-step"}
            case _:
                return

    def _begin(self, ident: str | None) -> Iterable[Mapping[str, Any]]:
        if not self._begun:
            self._begun = True
            ident = self._message_id or ident
            yield {"type": "start", **({"messageId": ident} if ident else {})}

    def _part(self, index: int, part: Any, *, begins: bool) -> Iterable[Mapping[str, Any]]:
        ident = self._id(index)
        match part:
            case Text() | Reasoning():
                word = "text" if isinstance(part, Text) else "reasoning"
                yield {"type": f"{word}-{'start' if begins else 'end'}", "id": ident}
                for number, source in enumerate(part.citations if isinstance(part, Text) and not begins else ()):
                    if source.url:
                        found = {"type": "source-url", "sourceId": f"{ident}-{number}", "url": source.url}
                        yield {**found, **({"title": source.title} if source.title else {})}
            case ToolCall() if begins:
                self._calls[index] = part.id
                yield {"type": "tool-input-start", "toolCallId": part.id, "toolName": part.name}
            case ToolCall():
                yield self._input(part)
            case Refusal() if not begins:
                yield {"type": "text-start", "id": ident}
                yield {"type": "text-delta", "id": ident, "delta": part.text}
                yield {"type": "text-end", "id": ident}
            case Image(data=data, url=url) if (data or url) and not begins:
                yield {"type": "file", "url": _address(part), "mediaType": part.media_type or "image/*"}
            case ProviderToolCall() if not begins:
                yield {**self._input(part), "providerExecuted": True}
            case ProviderToolResult() if not begins and part.call_id in self._told:
                answered = {"toolCallId": part.call_id, "providerExecuted": True}
                if part.is_error:
                    yield {"type": "tool-output-error", **answered, "errorText": f"{part.name} failed"}
                else:
                    yield {"type": "tool-output-available", **answered, "output": part.raw}
            case _:
                return

    def _input(self, call: ToolCall | ProviderToolCall) -> Mapping[str, Any]:
        self._told.add(call.id)
        given = _arguments(call)
        return {"type": "tool-input-available", "toolCallId": call.id, "toolName": call.name, "input": given}

    def _id(self, index: int) -> str:
        return f"{self._step}-{index}"

    def end(self) -> Iterable[Mapping[str, Any]]:
        yield {"type": "finish", **({} if self._reason is None else {"finishReason": _REASONS[self._reason]})}

    def failed(self, error: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        yield {"type": "error", "errorText": error["message"]}


def _arguments(call: ToolCall | ProviderToolCall) -> Any:
    """The arguments as JSON; as text where they are no object."""
    given = call.arguments if isinstance(call, ToolCall) else parse_arguments(call.raw_arguments)
    return call.raw_arguments if given is None else given


def _address(part: Any) -> str:
    """The address of a picture; one that holds its bytes where it has no other."""
    if part.url:
        return str(part.url)
    return f"data:{part.media_type or 'image/png'};base64,{b64encode(part.data).decode()}"


def _error(error: AsyncLLMError) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": error.message}


def _output(result: ToolResult) -> Any:
    """A tool's result as JSON: one value as it is, several as a list."""
    values = [
        part.text if isinstance(part, Text) else part.value if isinstance(part, Json) else f"[{type(part).__name__}]"
        for part in result.content
    ]
    return values[0] if len(values) == 1 else values
