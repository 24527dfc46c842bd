"""``chat.completion.chunk`` frames -> events.

Theory. Text, reasoning and refusal share one open run: a delta of another kind closes it, and the same kind later opens
a new part. Calls and audio stay open until the end, since pieces of several may alternate. The end is ``[DONE]``, or
the end of the bytes after a finish reason; a finish reason alone is not the end, because usage follows it (in a chunk
with ``choices: []``, in ``x_groq``, or repeated in every chunk: the last one counts). An ``error`` in a chunk, in a
choice, or as the event's name ends the stream with that error.

The path of a plain text delta is written out in `ChatStream.feed`: it is most of every stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, NoReturn

from ..._framing.framer import Frame
from ..._schema.content import Audio, Citation, Part, Reasoning, Refusal, Text
from ..._schema.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    TextDelta,
)
from ..._schema.usage import Usage
from ...errors import AsyncLLMError, ProtocolError, StreamTruncatedError
from ..charges import later_usage
from ..classify import snippet
from ..codec import Context, Halves, complete, is_keepalive, no_such_stream
from ..finish import Said, check_reply, finish_reason
from ..openai_api import failure_error, rate_limits, read_failure, request_id
from ..parts import objects
from .dialect import ChatDialect
from .parts import (
    AudioTrack,
    CallTable,
    details_part,
    details_text,
    is_thinking,
    merge_details,
    merge_thinking,
    read_call,
    read_citations,
    read_executed_tool,
    read_function_call,
    read_image,
    read_sources,
    thinking_part,
    thinking_text,
)
from .response import TEXTS, MoreChoices, is_chunks, read_usage, reasoning_text, unknown_item, usage_of

_TEXT, _REASONING, _REFUSAL = "text", "reasoning", "refusal"
# Fields of a delta that need more than the content; the others (role, channel, token ids) say nothing to a caller.
_RARE = frozenset(
    {
        *("refusal", "tool_calls", "function_call", "audio", "images", "annotations", "executed_tools"),
        *("reasoning_details", "extra_content"),
    }
)
_USUAL = frozenset({"id", "object", "created", "model", "choices", "usage"})
_EMPTY_CHOICE = frozenset({"index", "finish_reason", "logprobs", "content_filter_results", "stop_reason"})
_SAYING = ("text", "summary", "data", "signature")


class ChatStream:
    """Decodes one stream; see `asyncllm._protocols.codec.StreamDecoder`."""

    __slots__ = (
        "_audio",
        "_beside",
        "_buffer",
        "_calls",
        "_chunks",
        "_citations",
        "_context",
        "_details",
        "_dialect",
        "_executed",
        "_extra",
        "_finish",
        "_finished",
        "_halves",
        "_headers",
        "_index",
        "_loads",
        "_more",
        "_next",
        "_odd",
        "_rare",
        "_refused",
        "_run",
        "_sources",
        "_spoken",
        "_started",
        "_stopped",
        "_thoughts",
        "_tier",
        "_usage",
        "done",
        "rate_limits",
        "request_id",
    )

    def __init__(self, headers: Mapping[str, str], context: Context, dialect: ChatDialect) -> None:
        self.done = False
        self.request_id = request_id(headers)
        self.rate_limits = rate_limits(headers)
        self._headers = headers
        self._context = context
        self._dialect = dialect
        self._loads = context.json.loads
        self._rare = _RARE | set(dialect.reasoning_fields)
        self._started = False
        self._next = 0  # the number of the next part
        self._run: str | None = None  # the kind of the open run, and below what it holds
        self._index = -1
        self._buffer: list[str] = []
        self._details: list[dict[str, Any]] = []
        self._chunks: list[dict[str, Any]] = []
        self._citations: list[Citation] = []
        self._sources: list[Citation] = []
        self._calls = CallTable(context)
        self._executed: dict[object, dict[str, Any]] = {}
        self._extra: dict[str, Any] | None = None  # Gemini's compatible surface: the thought signature of a text
        self._audio: AudioTrack | None = None
        self._spoken = -1
        self._thoughts = 0  # how many of the parts are reasoning
        self._refused = False
        self._finish: str | None = None
        self._finished = False
        self._stopped: str | None = None
        self._usage: object = None
        self._beside: Mapping[str, Any] | None = None  # the chunk that held it
        self._tier: object = None
        self._halves = Halves()
        self._odd = ""  # what came that is no chunk
        self._more = MoreChoices()

    @property
    def usage(self) -> Usage:
        """Returns what the stream has said of its usage so far; some hosts say it in every chunk or beside an error."""
        return read_usage(self._usage, self._tier, self._beside)

    def feed(self, frames: Sequence[Frame]) -> list[Event]:
        """Takes frames in order; see `asyncllm._protocols.codec.StreamDecoder.feed`."""
        if self._halves.waiting:
            frames = self._halves.mended(frames)
        events: list[Event] = []
        loads, buffer = self._loads, self._buffer
        following = iter(frames)
        try:
            for frame in following:
                if self.done:
                    break
                data = frame[1]
                if data.startswith(b"[DONE]"):
                    self._end(events)
                    break
                try:
                    chunk = loads(data) if data[:1] == b"{" and not frame[0] else self._load(frame)
                except ProtocolError as broken:
                    events += self.feed(self._halves.recover(broken, frame, frames))
                    break
                if chunk is None:
                    continue
                if self._run is _TEXT:
                    choices = chunk.get("choices")
                    if type(choices) is list and len(choices) == 1:
                        choice = choices[0]
                        if type(choice) is dict and not choice.get("index") and choice.get("finish_reason") is None:
                            delta = choice.get("delta")
                            if type(delta) is dict and len(delta) == 1:
                                text = delta.get("content")
                                if type(text) is str and text and not chunk.get("usage") and "error" not in chunk:
                                    buffer.append(text)
                                    events.append(TextDelta(text, self._index))
                                    continue
                self._chunk(chunk, events)
        except AsyncLLMError as error:
            self._count_on(following)
            complete(error, events, self._context, self.request_id)
            raise
        return events

    def _count_on(self, frames: Iterable[Frame]) -> None:
        """Takes the usage that follows an error in the same read (OpenRouter)."""
        for frame in frames:
            with suppress(ProtocolError):
                chunk = self._loads(frame.data)
                if isinstance(chunk, dict) and (usage := usage_of(chunk)):
                    self._usage, self._beside = later_usage(self._usage, usage), chunk

    def close(self) -> list[Event]:
        """Ends the bytes. See `asyncllm._protocols.codec.StreamDecoder.close`."""
        events = self.feed(self._halves.rest())
        if self.done:
            return events
        if not self._finished and not (self._dialect.null_finish and self._started):
            told = f"; it said: {self._odd}" if self._odd else ""
            raise StreamTruncatedError(
                f"the stream ended without a finish reason and without [DONE]{told}",
                provider=self._context.provider,
                model=self._context.model,
                request_id=self.request_id,
                events=events,
            )
        try:
            self._end(events)
        except AsyncLLMError as error:
            complete(error, events, self._context, self.request_id)
            raise
        return events

    def _load(self, frame: Frame) -> dict[str, Any] | None:
        """Reads the chunk of an unusual frame: named, or not beginning with a brace; None for one that says nothing."""
        data = frame.data.strip()
        if frame.event == "error":
            self._fail(self._parsed(data), data)
        try:
            chunk = self._loads(data)
        except ProtocolError:
            if data[:1] == b"{":
                raise
            self._odd = snippet(data, 100) or self._odd
            return None  # a keepalive, whatever form the server gave it
        if isinstance(chunk, dict):
            return chunk
        if isinstance(chunk, list) and chunk and isinstance(chunk[0], dict) and chunk[0].get("error"):
            self._fail(chunk, data)  # Google
        if not is_keepalive(chunk):
            raise ProtocolError(f"a chunk of the stream is not an object: {snippet(data, 100)}")
        self._odd = snippet(data, 100) or self._odd
        return None

    def _parsed(self, data: bytes) -> Any:
        try:
            return self._loads(data)
        except ProtocolError:
            return None

    def _fail(self, body: Any, data: bytes = b"") -> NoReturn:
        failure = read_failure({"message": body} if isinstance(body, str) else body)
        if not failure.message:
            failure = failure._replace(message=f"the provider reported an error in the stream: {snippet(data, 100)}")
        raise failure_error(failure, None, self._headers, self._context, self._dialect)

    def _chunk(self, chunk: dict[str, Any], events: list[Event]) -> None:
        """Reads any chunk that is not a plain text delta."""
        choices, usage = chunk.get("choices"), usage_of(chunk)
        if usage:
            self._usage = usage if self._usage is None else later_usage(self._usage, usage)
        if usage or chunk.get("cost"):
            self._beside = chunk
        if chunk.get("error") or chunk.get("object") == "error" or (choices is None and "detail" in chunk):
            self._fail(chunk)
        if not self._started and (choices or chunk.get("id")):
            self._start(chunk, events)
        if not _USUAL.issuperset(chunk):
            self._more.note(chunk)
        if chunk.get("service_tier"):
            self._tier = chunk["service_tier"]
        if "search_results" in chunk or "citations" in chunk:
            self._sources = read_sources(chunk) or self._sources
        if not choices:
            if not usage and choices is None and not self._started:
                self._odd = snippet(self._context.json.dumps(chunk), 100)
            return
        if type(choices) is not list:
            raise ProtocolError("the choices of a chunk are not a list")
        for choice in choices:
            if type(choice) is not dict:
                raise ProtocolError("a choice of a chunk is not an object")
            if choice.get("index"):
                self._more.take(choice)
            else:
                self._choice(choice, events)

    def _start(self, chunk: Mapping[str, Any], events: list[Event]) -> None:
        self._started = True
        ident, model = chunk.get("id"), chunk.get("model")
        events.append(
            ResponseStart(
                id=ident if isinstance(ident, str) and ident else None, model=model if isinstance(model, str) else ""
            )
        )

    def _choice(self, choice: dict[str, Any], events: list[Event]) -> None:
        if choice.get("error"):
            self._fail(choice)
        delta = choice.get("delta")
        if choice.get("logprobs") or len(choice) > 3:  # more than its number, delta and finish reason
            self._more.note_choice(choice)
        if type(delta) is not dict:
            delta = self._other_shape(choice)
        if delta:
            self._delta(delta, events)
        word = choice.get("finish_reason")
        if isinstance(word, str):
            self._finish = word or self._finish or ""
            self._finished = self._finished or bool(word) or len(self._calls) > 0
            stopped = choice.get("stop_reason")
            self._stopped = stopped if isinstance(stopped, str) and stopped != word else self._stopped

    def _other_shape(self, choice: dict[str, Any]) -> dict[str, Any] | None:
        """Returns what a choice without ``delta`` says: a ``message``, also one that grows, or ``text`` of old
        completions.
        """
        message, text = choice.get("message"), choice.get("text")
        if isinstance(message, dict):
            said, text = "".join(self._buffer), message.get("content")
            if self._run is _TEXT and isinstance(text, str) and text.startswith(said):
                return {**message, "content": text[len(said) :]}
            return message
        if isinstance(text, str):
            return {"content": text}
        if choice.get("finish_reason") is None and "delta" not in choice and len(choice.keys() - _EMPTY_CHOICE) > 0:
            raise ProtocolError("a choice of the stream holds neither delta, message nor text")
        return None

    def _delta(self, delta: dict[str, Any], events: list[Event]) -> None:
        rare = not self._rare.isdisjoint(delta)
        if rare:
            self._reasoning(delta, events)
        content = delta.get("content")
        if type(content) is str:
            if content:
                if self._run is not _TEXT:
                    self._open(_TEXT, Text("", origin=self._context.origin), events)
                self._buffer.append(content)
                events.append(TextDelta(content, self._index))
        elif content:
            self._list(content, events)
        if rare:
            self._others(delta, events)

    def _reasoning(self, delta: dict[str, Any], events: list[Event]) -> None:
        text = reasoning_text(delta, self._dialect)
        found = delta.get("reasoning_details")
        entries = [entry for entry in found if isinstance(entry, dict)] if found and isinstance(found, list) else []
        text = text or details_text(entries)
        if text:
            self._think(text, events)
        elif entries and self._run is not _REASONING and any(entry.get(name) for entry in entries for name in _SAYING):
            self._open(_REASONING, Reasoning(origin=self._context.origin), events)
        if self._run is _REASONING:
            self._details += entries

    def _think(self, text: str, events: list[Event]) -> None:
        if self._run is not _REASONING:
            self._open(_REASONING, Reasoning(origin=self._context.origin), events)
        self._buffer.append(text)
        events.append(ReasoningDelta(text, self._index))

    def _list(self, content: object, events: list[Event]) -> None:
        """Reads content that is a list of chunks (Mistral), or the JSON value itself."""
        if not isinstance(content, list) or not is_chunks(content):
            self._delta({"content": self._context.json.dumps(content).decode()}, events)
            return
        for item in content:
            if is_thinking(item):
                if self._run is not _REASONING:
                    self._open(_REASONING, Reasoning(origin=self._context.origin), events)
                self._chunks.append(item)
                text = thinking_text(item)
                if text:
                    self._think(text, events)
            elif isinstance(item, str):
                self._delta({"content": item}, events)
            elif isinstance(item, dict) and item.get("type") in TEXTS and isinstance(item.get("text"), str):
                self._delta({"content": item["text"]}, events)
            elif isinstance(item, dict) and item.get("type") == "image_url":
                picture = read_image(item, self._context.origin)
                self._whole(picture or unknown_item(item, self._context.origin), events)
            else:
                self._whole(unknown_item(item, self._context.origin), events)

    def _others(self, delta: dict[str, Any], events: list[Event]) -> None:
        refusal, audio, legacy = delta.get("refusal"), delta.get("audio"), delta.get("function_call")
        if isinstance(refusal, str) and refusal:
            if self._run is not _REFUSAL:
                self._open(_REFUSAL, Refusal("", origin=self._context.origin), events)
            self._refused = True
            self._buffer.append(refusal)
        for image in objects(delta.get("images")):
            picture = read_image(image, self._context.origin)
            if picture is not None:
                self._whole(picture, events)
        for raw in objects(delta.get("executed_tools")):
            self._executed[raw.get("index") if type(raw.get("index")) is int else len(self._executed)] = raw
        if isinstance(delta.get("extra_content"), dict):
            self._extra = delta["extra_content"]
        if delta.get("annotations"):
            self._citations += read_citations(delta["annotations"])
        if isinstance(audio, dict):
            self._hear(audio, events)
        for raw in objects(delta.get("tool_calls")):
            self._shut(events)
            self._next = self._calls.feed(raw.get("index"), read_call(raw, self._context), self._next, events)
        if isinstance(legacy, dict):
            piece = read_function_call(legacy, self._context)
            if piece.name or piece.arguments:
                self._shut(events)
                self._next = self._calls.feed(-1, piece, self._next, events)

    def _hear(self, audio: dict[str, Any], events: list[Event]) -> None:
        if self._audio is None:
            self._shut(events)
            self._audio, self._spoken, self._next = AudioTrack(), self._next, self._next + 1
            events.append(PartStart(self._spoken, Audio(origin=self._context.origin)))
        self._audio.feed(audio)

    def _open(self, kind: str, part: Part, events: list[Event]) -> None:
        self._shut(events)
        if kind is _TEXT and self._executed:
            self._flush_executed(events)
        self._run, self._index, self._next = kind, self._next, self._next + 1
        self._thoughts += kind is _REASONING
        events.append(PartStart(self._index, part))

    def _shut(self, events: list[Event]) -> None:
        """Closes the open run, where there is one."""
        if self._run is not None:
            events.append(PartEnd(self._index, self._run_part()))
            self._run = None
            self._buffer.clear()
            self._details, self._chunks = [], []

    def _run_part(self) -> Part:
        text, origin = "".join(self._buffer), self._context.origin
        if self._run is _TEXT:
            citations, self._citations = tuple(self._citations), []
            extra, self._extra = None if self._extra is None else {"extra_content": self._extra}, None
            return Text(text, citations=citations, origin=origin, extra=extra)
        if self._run is _REFUSAL:
            return Refusal(text, origin=origin)
        if self._chunks:
            return thinking_part(merge_thinking(self._chunks), origin)
        return details_part(text, merge_details(self._details), origin)

    def _whole(self, part: Part, events: list[Event]) -> None:
        """Tells a part that comes in one piece."""
        self._shut(events)
        events += (PartStart(self._next, part), PartEnd(self._next, part))
        self._next += 1

    def _flush_executed(self, events: list[Event]) -> None:
        for raw in self._executed.values():
            self._whole(read_executed_tool(raw, self._context), events)
        self._executed = {}

    def _end(self, events: list[Event]) -> None:
        """Tells the closing events, once."""
        if self._odd and not self._started:
            raise no_such_stream(self._odd, self._context, self.request_id)
        if not self._started:
            self._start({}, events)
        if not self._citations:
            self._citations = self._sources if self._run is _TEXT or not self._next else []
        self._shut(events)
        self._flush_executed(events)
        if self._citations:
            self._whole(Text("", citations=tuple(self._citations), origin=self._context.origin), events)
        ends = self._calls.end(self._next, events)
        if self._audio is not None:
            spoken = self._audio.part(self._context.origin) or Audio(origin=self._context.origin)
            ends.append(PartEnd(self._spoken, spoken))
        ends.sort(key=attrgetter("index"))
        events += ends
        usage = read_usage(self._usage, self._tier, self._beside)
        calls = len(self._calls) > 0
        check_reply(
            self._finish,
            said=Said(self._next > 0, self._next > self._thoughts),
            context=self._context,
            calls=calls,
            request_id=self.request_id,
            usage=usage,
        )
        reason = finish_reason(self._finish, calls=calls, refused=self._refused)
        events.append(
            ResponseEnd(
                reason,
                raw_finish_reason=self._finish,
                stop_sequence=self._stopped if reason == "stop" else None,
                usage=usage,
                warnings=self._halves.warnings,
                raw=self._more.body(),
            )
        )
        self.done = True
