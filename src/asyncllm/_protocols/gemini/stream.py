"""Chunks of a stream -> events.

Every chunk is a partial ``GenerateContentResponse``. Theory and rules:

* Text of one kind (answer, thought) is one part for as long as it goes on; a part of another kind ends it. A part
  with a signature, also an empty one, is a part by itself: Google asks not to merge it with others.
* Everything else arrives whole. The end of a call is told only when something that is no call follows, or at the
  close: a ``functionResponse`` that answers it may follow, and then the provider has run it.
* On Vertex a call may come in pieces (``partialArgs``, ``willContinue``); its arguments are told in one delta when
  whole.
* The last ``usageMetadata`` with counts and the last ``finishReason`` hold: chunks may follow a finish reason, and
  old models name one in every chunk. So ``done`` is false until the close; a stream whose bytes end after a finish
  reason is whole, one that never named any was truncated.
* A prompt that is blocked before anything came is a `ContentBlockedError` at the close.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..._framing.framer import Frame
from ..._schema.accumulate import Accumulator
from ..._schema.content import Citation, Part, ProviderToolResult, Reasoning, Text, ToolCall
from ..._schema.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    TextDelta,
    ToolCallDelta,
)
from ..._schema.response import RateLimits, Response
from ..._schema.usage import Usage
from ...errors import AsyncLLMError, ProtocolError, StreamTruncatedError
from ..charges import later_usage
from ..classify import snippet
from ..codec import Context, Halves, is_keepalive, no_such_stream
from ..finish import Said, check_reply, finish_reason
from ..parts import CallIds, as_dict, renamed
from .dialect import GeminiDialect
from .errors import error_object, read_inner_error
from .parts import OpenCalls, PartialArguments, PartReader
from .response import (
    continuation,
    continued_by,
    not_this_protocol,
    prompt_blocked,
    read_body,
    read_citations,
    read_searches,
    read_whole,
    reason_word,
    remarks_on,
)
from .usage import read_usage

# What a candidate says besides its parts and its end, and nothing else has a place for.
_BESIDES = frozenset(
    {
        *("continuationToken", "logprobsResult", "avgLogprobs", "urlContextMetadata", "groundingMetadata"),
        *("safetyRatings",),
    }
)


class GeminiStreamDecoder:
    """Decodes one stream.

    Attributes:
        done: always False before `close`: any chunk may be followed by another.
        request_id: the answer's own id: the hosts send no request id, and this one is what their support asks for.
        rate_limits: None, the hosts send no such headers.
        continuation_token: what the last chunk that had one gave to go on with; None for none.
    """

    __slots__ = (
        "_blocked",
        "_call_ids",
        "_calls",
        "_citations",
        "_cited_already",
        "_context",
        "_count",
        "_halves",
        "_has_calls",
        "_loads",
        "_more",
        "_odd",
        "_open",
        "_partial",
        "_pieces",
        "_reader",
        "_reason",
        "_remark",
        "_searches",
        "_silent",
        "_started",
        "_status",
        "_usage",
        "continuation_token",
        "done",
        "rate_limits",
        "request_id",
    )

    def __init__(self, headers: Mapping[str, str], context: Context, dialect: GeminiDialect) -> None:
        self.done = False
        self.request_id: str | None = None
        self.rate_limits: RateLimits | None = None
        self.continuation_token: str | None = None
        self._context = context
        self._loads = context.json.loads
        self._reader = PartReader(context)
        self._started = False
        self._count = 0  # parts begun so far
        self._silent = 0  # how many of them are thoughts or empty
        self._open: type[Text | Reasoning] | None = None  # the kind of the last part, while it goes on
        self._pieces: list[str] = []
        self._citations: list[Citation] = []
        self._cited_already: set[tuple[object, ...]] = set()
        self._calls = OpenCalls()  # begun, their end not told
        self._call_ids = CallIds()
        self._has_calls = False
        self._partial: tuple[dict[str, Any], PartialArguments] | None = None
        self._usage: dict[str, Any] | None = None
        self._searches: dict[str, set[str]] = {}
        self._reason: str | None = None
        self._remark: Any = None
        self._status: Any = None
        self._more: dict[int, dict[str, Any]] = {}  # what candidates say besides the reply, by their index
        self._halves = Halves()
        self._odd = ""  # what was not of this protocol
        self._blocked: dict[str, Any] | None = None

    @property
    def usage(self) -> Usage:
        """Returns what the stream has said of its usage so far: nearly every chunk has a count."""
        return read_usage(self._usage, self._searches)

    def feed(self, frames: Sequence[Frame]) -> list[Event]:
        """Takes frames in order; raises as `StreamDecoder.feed` says."""
        if self._halves.waiting:
            frames = self._halves.mended(frames)
        events: list[Event] = []
        try:
            for frame in frames:
                try:
                    body = self._loads(frame.data)
                except ProtocolError as broken:
                    if frame.data.lstrip()[:1] != b"{" and not frame.data.lstrip().startswith((b"[{", b"[ {")):
                        continue  # a keepalive, whatever form the server gave it
                    events += self.feed(self._halves.recover(broken, frame, frames))
                    break
                if type(body) is not dict:
                    self._odd_chunk(body, frame.data, events)
                else:
                    self._chunk(body, events)
        except AsyncLLMError as error:
            error.events = [*events, *error.events]
            raise
        return events

    def feed_bodies(self, bodies: Iterable[Any]) -> list[Event]:
        """Takes chunks that are parsed already."""
        events: list[Event] = []
        for body in bodies:
            if not isinstance(body, dict):
                raise not_this_protocol("a chunk of the answer is not a JSON object", self._context)
            self._chunk(body, events)
        return events

    def close(self) -> list[Event]:
        """Ends the stream; raises as `StreamDecoder.close` says, and `ContentBlockedError` for a blocked prompt."""
        if self.done:
            return []
        events = self.feed(self._halves.rest())
        self.done = True
        usage = self.usage
        if self._blocked is not None and not self._count:
            raise prompt_blocked(self._blocked, usage, self._context)
        if self._reason is None and self._blocked is None:
            if self._odd and not self._started:
                raise no_such_stream(self._odd, self._context, self.request_id)
            raise StreamTruncatedError(
                "the stream ended without a finish reason", provider=self._context.provider, model=self._context.model
            )
        self._end_partial(events)
        self._end_calls(events)
        self._end_text(events)
        if self._citations:
            cited = Text("", citations=tuple(self._citations), origin=self._context.origin)
            self._whole(cited, None, events)
        if self._blocked is None:
            check_reply(
                self._reason,
                said=Said(self._count > 0, self._count > self._silent),
                context=self._context,
                calls=self._has_calls,
                usage=usage,
                remark=self._remark,
            )
        reason, raw = finish_reason(self._reason, calls=self._has_calls), self._reason
        if self._blocked is not None:
            reason, raw = "content_filter", reason_word(self._blocked.get("blockReason"))
        remarks = remarks_on({"modelStatus": self._status}, {"finishMessage": self._remark}, self._reason)
        events.append(
            ResponseEnd(
                reason,
                raw_finish_reason=raw,
                usage=usage,
                warnings=(*self._halves.warnings, *remarks),
                continuation=continued_by(self.continuation_token) if reason == "pause" else None,
                raw={"candidates": [self._more[at] for at in sorted(self._more)]} if self._more else None,
            )
        )
        return events

    # -- chunks -----------------------------------------------------------------------------------------------------

    def _odd_chunk(self, body: Any, data: bytes, events: list[Event]) -> None:
        error = error_object(body)
        if error is not None:
            raise read_inner_error(error, self._context)
        if is_keepalive(body):
            self._odd = snippet(data, 100)
            return
        if not isinstance(body, list):
            raise not_this_protocol(f"a chunk of the stream is not a JSON object: {snippet(data)}", self._context)
        events += self.feed_bodies(body)

    def _chunk(self, body: dict[str, Any], events: list[Event]) -> None:
        candidates = body.get("candidates")
        if type(candidates) is not list:
            if not self._no_candidates(body):
                return
            candidates = ()
        if not self._started:
            self._start(body, events)
        usage = body.get("usageMetadata")
        if type(usage) is dict:
            self._usage = later_usage(self._usage, usage)
        if "modelStatus" in body:
            self._status = body["modelStatus"]
        if "promptFeedback" in body:
            feedback = as_dict(body["promptFeedback"])
            self._blocked = feedback if feedback.get("blockReason") else self._blocked
        for candidate in candidates:
            if type(candidate) is not dict:
                raise not_this_protocol("a candidate of the stream is not a JSON object", self._context)
            if candidate.get("index"):  # candidate 0 is the reply
                self._other_candidate(candidate)
                continue
            if len(candidate) > 1 or "content" not in candidate:
                self._note(candidate)
            content = candidate.get("content")
            parts = content.get("parts") if type(content) is dict else None
            if type(parts) is not list:
                continue
            for part in parts:
                # By far the most common part: nothing but text, of the answer that is going on.
                if type(part) is dict and len(part) == 1 and self._open is Text and type(part.get("text")) is str:
                    text = part["text"]
                    if text:
                        self._pieces.append(text)
                        events.append(TextDelta(text, self._count - 1))
                else:
                    self._part(part, events)

    def _no_candidates(self, body: dict[str, Any]) -> bool:
        """Whether a chunk without candidates says anything; raises the error that it is."""
        error = error_object(body)
        if error is not None:
            raise read_inner_error(error, self._context)
        if body.keys() & _CHUNK_FIELDS:
            return True
        self._odd = snippet(self._context.json.dumps(body), 100)
        return False

    def _start(self, body: dict[str, Any], events: list[Event]) -> None:
        self._started = True
        model, response_id = body.get("modelVersion"), body.get("responseId")
        self.request_id = response_id if isinstance(response_id, str) else None
        events.append(
            ResponseStart(
                id=self.request_id,
                model=model if isinstance(model, str) and model else self._context.model,
            )
        )

    def _note(self, candidate: dict[str, Any]) -> None:
        """Takes what a candidate says besides its content."""
        reason = candidate.get("finishReason")
        if reason:
            self._reason = reason_word(reason) or self._reason
            self._remark = candidate.get("finishMessage")
        if candidate.get("groundingMetadata") or candidate.get("citationMetadata"):
            for found in read_citations(candidate):
                key = found.url, found.title, found.cited_text, found.start, found.end
                if key not in self._cited_already:  # some hosts repeat in every chunk what they have named so far
                    self._cited_already.add(key)
                    self._citations.append(found)
            for tool, queries in read_searches(candidate).items():
                self._searches.setdefault(tool, set()).update(queries)
        more = {name: value for name, value in candidate.items() if name in _BESIDES}
        if more:
            self._more.setdefault(0, {"index": 0}).update(more)
        if "continuationToken" in candidate:
            self.continuation_token = continuation({"candidates": [candidate]}) or self.continuation_token

    def _other_candidate(self, candidate: dict[str, Any]) -> None:
        """Gathers a further candidate in the shape of a whole one; its parts stay as they came."""
        at = candidate["index"] if type(candidate["index"]) is int else -1
        known = self._more.setdefault(at, {"index": candidate["index"], "content": {"parts": []}})
        parts = as_dict(candidate.get("content")).get("parts")
        known["content"]["parts"] += parts if isinstance(parts, list) else []
        known.update({name: value for name, value in candidate.items() if name not in ("index", "content")})

    # -- parts ------------------------------------------------------------------------------------------------------

    def _part(self, part: Any, events: list[Event]) -> None:
        if type(part) is dict and type(part.get("text")) is str:
            self._text(part, events)
            return
        call = part.get("functionCall") if type(part) is dict else None
        if type(call) is dict and (self._partial is not None or call.get("willContinue") is True):
            self._partial_call(part, call, events)
            return
        whole = self._reader.read(part)
        if type(whole) is ToolCall:
            self._call(whole, part, events)
        elif whole is not None:
            self._whole(whole, part, events)

    def _text(self, part: dict[str, Any], events: list[Event]) -> None:
        kind: type[Text | Reasoning] = Reasoning if part.get("thought") is True else Text
        text = part["text"]
        if len(part) == (2 if kind is Reasoning else 1):
            if text:
                if self._open is not kind:
                    self._begin(kind, events)
                self._delta(text, events)
            return
        whole = self._reader.text(part)
        if whole is not None:
            self._begin(kind, events)
            if text:
                self._delta(text, events)
            elif kind is Text:
                self._silent += 1
            self._open = None
            events.append(PartEnd(self._count - 1, self._cited(whole)))

    def _delta(self, text: str, events: list[Event]) -> None:
        self._pieces.append(text)
        index = self._count - 1
        events.append(TextDelta(text, index) if self._open is Text else ReasoningDelta(text, index))

    def _begin(self, kind: type[Text | Reasoning], events: list[Event]) -> None:
        self._end_calls(events)
        self._end_text(events)
        self._open = kind
        self._pieces = []
        events.append(PartStart(self._count, kind("", origin=self._context.origin)))
        self._count += 1
        self._silent += kind is Reasoning

    def _end_text(self, events: list[Event]) -> None:
        if self._open is not None:
            whole = self._open("".join(self._pieces), origin=self._context.origin)
            self._open = None
            events.append(PartEnd(self._count - 1, self._cited(whole)))

    def _cited(self, part: Text | Reasoning) -> Text | Reasoning:
        """Returns the part with the citations that came by now, if it is text that they can stand on."""
        if not self._citations or not isinstance(part, Text) or not part.text:
            return part
        citations, self._citations = tuple(self._citations), []
        return Text(part.text, citations=citations, signature=part.signature, origin=part.origin, extra=part.extra)

    def _whole(self, part: Part, wire: Any, events: list[Event]) -> None:
        if type(part) is ProviderToolResult and "functionResponse" in wire:
            self._answer(part, events)
        else:
            self._end_calls(events)
        self._end_text(events)
        events += (PartStart(self._count, part), PartEnd(self._count, part))
        self._count += 1

    # -- calls ------------------------------------------------------------------------------------------------------

    def _call(self, call: ToolCall, wire: dict[str, Any], events: list[Event]) -> None:
        self._end_text(events)
        ident = self._call_ids.unique(call.id, self._context)
        call = call if ident == call.id else renamed(call, ident)
        index = self._count
        self._count += 1
        self._calls.add(index, call, wire)
        begun = ToolCall(
            call.id, call.name, raw_arguments="", signature=call.signature, origin=call.origin, extra=call.extra
        )
        events += (PartStart(index, begun), ToolCallDelta(call.raw_arguments, index))

    def _partial_call(self, part: dict[str, Any], call: dict[str, Any], events: list[Event]) -> None:
        if call.get("name"):
            self._end_partial(events)
        if self._partial is None:
            if not call.get("name") or not isinstance(call["name"], str):
                self._whole(self._reader.unknown(part), part, events)  # a piece of a call that never began
                return
            self._partial = (part, PartialArguments(self._context))
        self._partial[1].feed(call.get("partialArgs"))
        if call.get("willContinue") is not True:
            self._end_partial(events)

    def _end_partial(self, events: list[Event]) -> None:
        if self._partial is not None:
            (part, arguments), self._partial = self._partial, None
            whole = self._reader.make_call(part, arguments.close())
            self._call(whole, part, events)

    def _answer(self, result: ProviderToolResult, events: list[Event]) -> None:
        """Tells that the provider has answered a call itself, so that the caller does not run it."""
        answered = self._calls.answer(result)
        if answered is not None:
            events.append(PartEnd(*answered))

    def _end_calls(self, events: list[Event]) -> None:
        if self._calls:
            events += [PartEnd(index, call) for index, call in self._calls.close()]
            self._has_calls = True


_CHUNK_FIELDS = frozenset(
    {"candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId", "createTime", "modelStatus"}
)


def read_chunks(chunks: list[Any], context: Context, dialect: GeminiDialect) -> Response:
    """Reads the `Response` of a stream that came as one JSON array; ``raw`` holds the array as ``{"chunks": [...]}``.

    Raises:
        ProtocolError: it is not this protocol's, or it ends without a finish reason.
        ContentBlockedError: the prompt was blocked.
    """
    decoder, accumulator = GeminiStreamDecoder({}, context, dialect), Accumulator()
    accumulator.feed(decoder.feed_bodies(chunks))
    try:
        accumulator.feed(decoder.close())
    except StreamTruncatedError:
        raise not_this_protocol("the answer is an array of chunks without a finish reason", context) from None
    found = accumulator.response()
    return replace(
        found,
        provider=context.provider,
        requested_model=context.model,
        request_id=found.id,
        raw={"chunks": chunks},
    )


def read_response(
    status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: GeminiDialect
) -> Response:
    """Reads a whole body, an array of chunks too; raises what `WireProtocol.decode` says."""
    value, warnings = read_body(body, context)
    if isinstance(value, list):
        found = read_chunks(value, context, dialect)
        return replace(found, warnings=(*warnings, *found.warnings))
    return read_whole(value, context, warnings)
