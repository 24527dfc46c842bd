"""One content part -> one item of a ``content`` list, or the sentence why the host cannot take it.

`ChatWriter` is what writing one request needs: the host, its dialect, and the warnings that end on the response.

Spoken output: whole in a message, or in deltas whose ``data`` are base64 each on their own.

Reasoning in the two structured forms of the chat format: OpenRouter's details and Mistral's thinking chunks.

Both are kept whole in `Reasoning.extra`, so that they go back as they came: under ``reasoning_details`` the list of
entries, under ``chunk`` the thinking chunk. Streams cut them into deltas; merged again they are what the unary answer
would have held. Entries of text and summary are continued by entries of the same type and index (a signature may
come alone); every other kind arrives whole.

What a message and a delta have in common: calls, citations, pictures, tools the host ran.

Read with care, since hosts differ: arguments as text, as an object or null; ids missing, empty or the word ``"null"``;
annotations nested (OpenAI) or flat (Xiaomi); sources beside the choices (Perplexity, xAI).
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ..._schema.content import (
    Audio,
    CacheMark,
    Citation,
    Document,
    Image,
    Json,
    Origin,
    Part,
    ProviderToolCall,
    Reasoning,
    Text,
    ToolCall,
    Unknown,
    Video,
    parse_arguments,
)
from ..._schema.events import Event, PartEnd, PartStart, ToolCallDelta
from ..codec import Context
from ..openai_api import OpenAIWriter
from ..parts import as_dict
from .dialect import ChatDialect

_AUDIO_FORMATS: Mapping[str, str] = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
# How long a marked prompt is kept, in OpenAI's words; chat answers 400 to the third, 12h, which only Responses has.
_BREAKPOINT_TTL = "30m"


class ChatWriter(OpenAIWriter[ChatDialect]):
    """Writes the parts of one request, by the host's dialect, and collects warnings."""

    __slots__ = ()

    def call_id(self, ident: str) -> str:
        """Returns the id of a call in the form that the host accepts."""
        rule = self.dialect.tool_call_id
        return ident if rule is None else rule(ident)

    def mark(self, item: dict[str, Any], cache: CacheMark | None) -> dict[str, Any]:
        """Adds the prompt-cache mark to an item, if there is one and the host knows marks."""
        if cache is None:
            return item
        if self.dialect.cache_marks == "cache_control":
            ttl = {} if cache.ttl is None else {"ttl": cache.ttl}
            item["cache_control"] = {"type": "ephemeral", **ttl}
        elif self.dialect.cache_marks == "breakpoint" and self.context.facts.cache_marks is not False:
            item["prompt_cache_breakpoint"] = {"mode": "explicit"}
            if cache.ttl == _BREAKPOINT_TTL:
                item["prompt_cache_breakpoint"]["ttl"] = cache.ttl
            elif cache.ttl is not None:
                self.warn(
                    f"the cache lifetime {cache.ttl!r} was left out: chat completions takes {_BREAKPOINT_TTL!r} only"
                )
        else:
            self.unmarked(cache)
        return item

    def part(self, part: Part | Json) -> dict[str, Any]:
        """Writes the item for a part of a system, user or tool message.

        Raises:
            UnsupportedContentError: the host has no place for it.
        """
        write = _WRITERS.get(type(part))
        if write is None:
            raise self.cannot_take(
                f"a {type(part).__name__} part in this message", "it belongs in an assistant message"
            )
        item = write(self, part)
        return self.mark(item, None if isinstance(part, Json) else part.cache)


def _text(writer: ChatWriter, part: Text) -> dict[str, Any]:
    drop_foreign(writer, part)
    return {"type": "text", "text": part.text}


def drop_foreign(writer: ChatWriter, part: Text) -> None:
    """Warns about fields of a text from another wire that this wire does not have."""
    if part.signature is not None and writer.is_foreign(part.origin):
        writer.warn("a signature of another provider on a text was left out")
    writer.drop_extra(part)
    if part.citations and not writer.is_own(part.origin):
        writer.warn("the citations of a text were left out: this wire has no place for them")


def _json(writer: ChatWriter, part: Json) -> dict[str, Any]:
    return {"type": "text", "text": writer.json(part.value)}


def _image(writer: ChatWriter, part: Image) -> dict[str, Any]:
    image: dict[str, Any] = {"url": _address(writer, part)}
    if part.detail is not None:
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


def _address(writer: ChatWriter, part: Image | Video) -> str:
    address, kind = writer.address(part), type(part).__name__
    if address is not None:
        return address
    if part.file_id is not None:
        raise writer.cannot_take(f"{kind}(file_id=...)", "give data with a media_type, or a url")
    raise writer.bad(f"this {kind} is empty: give data with a media_type, or a url")


def _video(writer: ChatWriter, part: Video) -> dict[str, Any]:
    if not writer.dialect.video_urls:
        raise writer.cannot_take("a Video part", "send frames of it as Image parts, or use a provider that takes video")
    return {"type": "video_url", "video_url": {"url": _address(writer, part)}}


def _audio(writer: ChatWriter, part: Audio) -> dict[str, Any]:
    if not writer.dialect.audio_parts:
        raise writer.cannot_take("an Audio part", "send a transcript as text, or use a provider that takes audio")
    if part.data is None:
        raise writer.cannot_take(
            "an Audio part without data", "give its bytes as Audio(data=..., media_type='audio/wav')"
        )
    kind = _AUDIO_FORMATS.get((part.media_type or "").lower())
    if kind is None:
        raise writer.cannot_take(f"audio of type {part.media_type!r}", "convert it to audio/wav or audio/mpeg")
    return {"type": "input_audio", "input_audio": {"data": b64encode(part.data).decode(), "format": kind}}


def _document(writer: ChatWriter, part: Document) -> dict[str, Any]:
    if part.citations:
        writer.warn("citations from a document cannot be asked for here")
    if part.url is not None and writer.dialect.file_urls == "document_url":
        named = {} if part.name is None else {"document_name": part.name}
        return {"type": "document_url", "document_url": part.url, **named}
    if not writer.dialect.file_parts:
        raise writer.cannot_take("a Document part", "send its text as a Text part, or use a provider that takes files")
    if part.file_id is not None:
        writer.check_stored(part)
        return {"type": "file", "file": {"file_id": part.file_id}}
    if part.url is not None:
        if writer.dialect.file_urls != "file":
            raise writer.cannot_take(
                "Document(url=...)", "fetch it and give its bytes as Document(data=..., media_type=...)"
            )
        return {"type": "file", "file": {"file_data": part.url, "filename": part.name or _url_name(part.url)}}
    return {"type": "file", "file": writer.file(part)}


def _url_name(url: str) -> str:
    return url.split("?")[0].rstrip("/").rpartition("/")[2] or "document"


_WRITERS: Mapping[type, Callable[[ChatWriter, Any], dict[str, Any]]] = {
    Text: _text,
    Json: _json,
    Image: _image,
    Video: _video,
    Audio: _audio,
    Document: _document,
    Unknown: ChatWriter.raw,
}


def decode_base64(text: str) -> bytes | None:
    """Decodes base64; returns None if the text is none."""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


class AudioTrack:
    """Puts one spoken answer together."""

    __slots__ = ("_expires", "_id", "_sound", "_words")

    def __init__(self) -> None:
        self._id: str | None = None
        self._expires: object = None
        self._sound: list[str] = []
        self._words: list[str] = []

    def feed(self, raw: Mapping[str, Any]) -> AudioTrack:
        """Takes the ``audio`` object of a message or delta, and gives itself."""
        ident, sound, words = raw.get("id"), raw.get("data"), raw.get("transcript")
        if isinstance(ident, str) and ident:
            self._id = ident
        if isinstance(sound, str) and sound:
            self._sound.append(sound)
        if isinstance(words, str) and words:
            self._words.append(words)
        self._expires = raw.get("expires_at") or self._expires
        return self

    def part(self, origin: Origin) -> Audio | None:
        """Makes the part with its id (to refer back to), sound and transcript; None if there is nothing in it."""
        if not (self._id or self._sound or self._words):
            return None
        pieces = [decode_base64(piece) for piece in self._sound]
        data = b"".join([piece for piece in pieces if piece is not None])
        if any(piece is None for piece in pieces):  # cut in the middle of a group of four
            data = decode_base64("".join(self._sound)) or b""
        return Audio(
            data=data or None,
            file_id=self._id,
            transcript="".join(self._words) or None,
            origin=origin,
            extra={"expires_at": self._expires} if self._expires else None,
        )


_TEXT_KEYS: Mapping[str, str] = {"reasoning.text": "text", "reasoning.summary": "summary"}


def merge_details(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Joins the deltas of entries, in the order in which each entry began."""
    merged: list[dict[str, Any]] = []
    places: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        kind = entry.get("type")
        text_key = _TEXT_KEYS.get(kind) if isinstance(kind, str) else None
        if text_key is None:
            merged.append(dict(entry))
            continue
        place = (str(kind), str(entry.get("index")))
        known = places.get(place)
        if known is None:
            known = places[place] = dict(entry)
            merged.append(known)
            continue
        for name, value in entry.items():
            if name == text_key and isinstance(value, str) and isinstance(known.get(name), str):
                known[name] += value
            elif value is not None:
                known[name] = value
    return merged


def details_text(entries: Iterable[Mapping[str, Any]]) -> str:
    """Returns the readable text of the entries."""
    found = [entry.get(_TEXT_KEYS.get(str(entry.get("type")), "")) for entry in entries]
    return "".join([text for text in found if isinstance(text, str)])


def details_part(text: str, entries: list[dict[str, Any]], origin: Origin) -> Reasoning:
    """Makes the part for a run of reasoning with merged details."""
    signature = next((entry["signature"] for entry in entries if isinstance(entry.get("signature"), str)), None)
    encrypted = next((entry["data"] for entry in entries if isinstance(entry.get("data"), str)), None)
    ident = next((entry["id"] for entry in entries if isinstance(entry.get("id"), str)), None)
    extra = {"reasoning_details": entries} if entries else None
    return Reasoning(text, signature=signature, encrypted=encrypted, id=ident, origin=origin, extra=extra)


def is_thinking(chunk: object) -> bool:
    """Whether an item of a content list is Mistral's thinking chunk."""
    return isinstance(chunk, dict) and chunk.get("type") == "thinking"


def thinking_text(chunk: Mapping[str, Any]) -> str:
    """Returns the readable text of a thinking chunk, whose ``thinking`` is a list of items or a string."""
    thinking = chunk.get("thinking")
    if isinstance(thinking, str):
        return thinking
    items = thinking if isinstance(thinking, list) else []
    found = [item.get("text") for item in items if isinstance(item, dict) and item.get("type") == "text"]
    return "".join([text for text in found if isinstance(text, str)])


def merge_thinking(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Joins the deltas of a run to one thinking chunk: texts are joined, others stay in order, later fields win."""
    if len(chunks) == 1:
        return chunks[0]
    whole: dict[str, Any] = {}
    items: list[Any] = []
    for chunk in chunks:
        whole.update({name: value for name, value in chunk.items() if value is not None})
        thinking = chunk.get("thinking")
        fresh = [{"type": "text", "text": thinking}] if isinstance(thinking, str) else thinking
        for item in fresh if isinstance(fresh, list) else []:
            if _is_text(item) and items and _is_text(items[-1]):
                items[-1] = {**items[-1], "text": items[-1]["text"] + item["text"]}
            else:
                items.append(item)
    return {**whole, "thinking": items}


def _is_text(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") == "text" and isinstance(item.get("text"), str)


def thinking_part(chunk: dict[str, Any], origin: Origin) -> Reasoning:
    """Makes the part for a whole thinking chunk."""
    signature = chunk.get("signature")
    return Reasoning(
        thinking_text(chunk),
        signature=signature if isinstance(signature, str) else None,
        origin=origin,
        extra={"chunk": chunk},
    )


_CALL_FIELDS = frozenset({"id", "index", "type", "function", "custom"})


class CallPiece(NamedTuple):
    """Holds a tool call, or a delta of one; ``id``, ``name`` and ``arguments`` are ``""`` where the wire has none."""

    id: str
    kind: str
    name: str
    arguments: str
    extra: dict[str, Any]


def read_call(raw: dict[str, Any], context: Context) -> CallPiece:
    """Reads an item of ``tool_calls``; fields that only this wire knows are kept in ``extra``."""
    custom = raw.get("type") == "custom" or (raw.get("type") is None and "function" not in raw and "custom" in raw)
    body = as_dict(raw.get("custom" if custom else "function"))
    ident = raw.get("id")
    extra = {name: value for name, value in raw.items() if name not in _CALL_FIELDS and value is not None}
    return CallPiece(
        ident if isinstance(ident, str) and ident != "null" else "",
        "custom" if custom else "function",
        _word(body.get("name")),
        _argument_text(body.get("input" if custom else "arguments"), context),
        extra,
    )


def read_function_call(raw: dict[str, Any], context: Context) -> CallPiece:
    """Reads the legacy ``function_call``."""
    return CallPiece("", "function", _word(raw.get("name")), _argument_text(raw.get("arguments"), context), {})


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _argument_text(value: object, context: Context) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else context.json.dumps(value).decode()


def read_citations(annotations: object) -> list[Citation]:
    """Reads the ``annotations`` of a message or delta."""
    found = []
    for annotation in annotations if isinstance(annotations, list) else []:
        if isinstance(annotation, dict):
            inner = annotation.get("url_citation")
            source = inner if isinstance(inner, dict) else annotation
            found.append(_citation(source, annotation))
    return found


def read_sources(body: Mapping[str, Any]) -> list[Citation]:
    """Reads the sources of the whole answer that stand beside the choices: ``search_results``, or ``citations`` as bare
    URLs.
    """
    results = body.get("search_results")
    if isinstance(results, list) and results:
        return [_citation(result, result) for result in results if isinstance(result, dict)]
    urls = body.get("citations")
    return [Citation(url=url) for url in urls if isinstance(url, str)] if isinstance(urls, list) else []


def _citation(source: dict[str, Any], raw: dict[str, Any]) -> Citation:
    def text(name: str) -> str | None:
        value = source.get(name)
        return value if isinstance(value, str) else None

    def number(name: str) -> int | None:
        value = source.get(name)
        return value if type(value) is int else None

    return Citation(
        url=text("url"),
        title=text("title"),
        cited_text=text("content"),
        start=number("start_index"),
        end=number("end_index"),
        raw=raw,
    )


def read_image(raw: object, origin: Origin) -> Image | None:
    """Reads a generated picture: OpenRouter's ``images`` holds ``image_url`` parts."""
    url = as_dict(as_dict(raw).get("image_url")).get("url")
    if not isinstance(url, str) or not url:
        return None
    extra = {"image": raw}
    head, comma, payload = url.partition(",")
    if head.startswith("data:") and head.endswith(";base64") and comma:
        data = decode_base64(payload)
        if data is not None:
            return Image(data=data, media_type=head[5:-7], origin=origin, extra=extra)
    return Image(url=url, origin=origin, extra=extra)


def read_executed_tool(raw: dict[str, Any], context: Context) -> ProviderToolCall:
    """Reads a tool that Groq ran, with arguments and output in one object."""
    name = _word(raw.get("name")) or _word(raw.get("type"))
    arguments = _argument_text(raw.get("arguments"), context)
    ident = _word(raw.get("id")) or f"{name}:{raw.get('index', 0)}"
    return ProviderToolCall(id=ident, name=name, raw_arguments=arguments, raw=raw, origin=context.origin)


class OpenCall:
    """Holds one call while its pieces arrive."""

    __slots__ = ("arguments", "empty", "extra", "id", "index", "kind", "name", "waiting", "wire_id")

    def __init__(self) -> None:
        self.index = -1
        self.id = ""
        self.wire_id = ""
        self.name = ""
        self.kind = "function"
        self.arguments: list[str] = []
        self.waiting: list[str] = []
        self.empty = False  # an empty object came, and nothing yet behind it
        self.extra: dict[str, Any] = {}

    def part(self, context: Context) -> ToolCall:
        """Makes the call with all arguments so far."""
        return ToolCall(
            self.id,
            self.name,
            raw_arguments="".join(self.arguments),
            kind=self.kind,
            origin=context.origin,
            extra=self.extra or None,
        )


def _is_another(known: OpenCall, piece: CallPiece) -> bool:
    """Whether a piece under a number that is taken begins another call: another id, or another name and no id."""
    if piece.id and known.wire_id:
        return piece.id != known.wire_id
    if not known.arguments and not known.empty:
        return False
    if piece.name != known.name:
        return True
    return piece.arguments.lstrip().startswith("{") and bool(parse_arguments("".join(known.arguments)))


class CallTable:
    """Puts together all calls of one stream that arrive in pieces: it knows which piece belongs to which call.

    A piece names its call by ``index``; its position in the list says nothing. Where a host leaves the index out, the
    id tells calls apart, and a piece with neither continues the call before it. An index or id used again begins a new
    call where the piece has another id and a name (hosts that number every call 0), or another name and no id. A call
    is announced when its name is known; arguments that came earlier wait for it. Arguments that are told whole again
    are told once, and an empty object before the real arguments is none.
    """

    __slots__ = ("_by_key", "_context", "_ids", "_last", "_open")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._by_key: dict[object, OpenCall] = {}
        self._open: list[OpenCall] = []
        self._ids: set[str] = set()
        self._last: OpenCall | None = None

    def __len__(self) -> int:
        return len(self._open)

    def _find(self, index: object, piece: CallPiece) -> OpenCall:
        if type(index) is int:
            known = self._by_key.get(index)
            renewed = known is not None and piece.name and _is_another(known, piece)
            if known is not None and not renewed:
                return known
            key: object = index
        else:
            known = self._last if not piece.id and not piece.name else None
            if piece.id:
                known = next((call for call in reversed(self._open) if call.wire_id == piece.id), None)
            if known is not None and not (piece.name and known.name and piece.name != known.name):
                return known
            key = object()
        call = self._by_key[key] = OpenCall()
        self._open.append(call)
        return call

    def feed(self, index: object, piece: CallPiece, next_index: int, events: list[Event]) -> int:
        """Takes a piece; gives the number of the next part."""
        call = self._last = self._find(index, piece)
        call.wire_id = call.wire_id or piece.id
        call.name = call.name or piece.name
        if piece.extra:
            call.extra.update(piece.extra)
        if call.index < 0:
            call.kind = piece.kind
            if not call.name:
                if piece.arguments:
                    call.waiting.append(piece.arguments)
                return next_index
            next_index = self._start(call, next_index, events)
        self._argue(call, piece.arguments, events)
        return next_index

    def _argue(self, call: OpenCall, text: str, events: list[Event]) -> None:
        """Adds to the arguments of a call that is announced; what repeats them whole adds nothing."""
        if not text:
            return
        if text == "{}" and not call.arguments:
            call.empty = True  # some hosts begin every call with it
            return
        if call.empty:
            call.empty = False
            text = text if text.lstrip().startswith("{") else "{}" + text
        if text[:1] == "{" and call.arguments and text == "".join(call.arguments) and parse_arguments(text):
            return
        call.arguments.append(text)
        events.append(ToolCallDelta(text, call.index))

    def _start(self, call: OpenCall, index: int, events: list[Event]) -> int:
        call.index = index
        call.id = call.wire_id if call.wire_id and call.wire_id not in self._ids else self._context.new_id("call_")
        self._ids.add(call.id)
        events.append(PartStart(index, call.part(self._context)))
        self._argue(call, "".join(call.waiting), events)
        return index + 1

    def end(self, next_index: int, events: list[Event]) -> list[PartEnd]:
        """Announces what never got a name, and returns the ends of all calls."""
        for call in self._open:
            if call.index < 0 and (call.waiting or call.wire_id):
                next_index = self._start(call, next_index, events)
            if call.empty:
                call.arguments.append("{}")
                events.append(ToolCallDelta("{}", call.index))
        self._open = [call for call in self._open if call.index >= 0]
        return [PartEnd(call.index, call.part(self._context)) for call in self._open]
