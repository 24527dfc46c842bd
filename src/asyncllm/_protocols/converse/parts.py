"""Media types <-> the format words of Converse, and the names of documents.

Source: botocore 1.44.5, bedrock-runtime (``ImageFormat`` and its like, ``DocumentBlock``).

Parts -> content blocks.

Rules:

* What only its maker can read (signatures, redacted reasoning, blocks of tools the model's host ran, citations, unknown
  content, ``extra``) is written for the same origin only; elsewhere it is left out, and a warning says so.
* Only Claude signs its reasoning and takes signatures back; to other models reasoning goes without.
* Media stand in the user's turns, and where this host made them; the API refuses others in the assistant's. What a
  model said aloud is sent as its transcript, and a refusal in the words of another host as text, each with a warning.
* A cache mark is a block of its own, ``cachePoint``, after the block it belongs to.
* Converse fetches no URLs: media are bytes, or stand in S3 (``s3://bucket/key`` as ``url`` or ``file_id``).
* An empty text is refused by the API: beside other content it is skipped, alone it is written, for the API to judge.
* Ids of tool calls have 1 to 64 characters out of ``[a-zA-Z0-9_.:-]``. Others are replaced by a hash of themselves: the
  same id always becomes the same one, so calls and results still match.

Source: botocore 1.44.5, bedrock-runtime ``ContentBlock``, ``ToolUseId``.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from ..._schema.content import (
    Audio,
    CacheMark,
    Document,
    Image,
    Json,
    Origin,
    Part,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Refusal,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    Video,
)
from ..blocks import Block, BlockWriter
from ..codec import Context
from .dialect import ConverseDialect

IMAGES: Mapping[str, str] = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
DOCUMENTS: Mapping[str, str] = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
VIDEOS: Mapping[str, str] = {
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
SOUNDS: Mapping[str, str] = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/opus": "opus",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/aac": "aac",
    "audio/x-aac": "x-aac",
    "audio/flac": "flac",
    "audio/mp4": "mp4",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/ogg": "ogg",
    "audio/x-matroska": "mka",
    "audio/pcm": "pcm",
    "audio/webm": "webm",
}
# What the end of an S3 address or a file name says, where no media type does.
EXTENSIONS: Mapping[str, str] = {"jpg": "jpeg", "htm": "html", "markdown": "md", "3gp": "three_gp", "mpg": "mpeg"}

_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,8})$")


def format_of(media_type: str | None, known: Mapping[str, str], *names: str | None) -> str | None:
    """Returns the format word: from the media type, else from the ending of the first of these names that has one;
    None for neither.
    """
    kind = (media_type or "").partition(";")[0].strip().lower()
    if kind in known:
        return known[kind]
    if kind:
        return None
    for name in names:
        found = _EXTENSION.search(name or "")
        if found:
            word = found[1].lower()
            word = EXTENSIONS.get(word, word)
            return word if word in known.values() else None
    return None


def media_type_of(word: object, known: Mapping[str, str]) -> str | None:
    """Returns the media type of a format word; None for one that is not known."""
    return next((kind for kind, found in known.items() if found == word), None)


_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_LONGEST_NAME = 200


class DocumentNames:
    """Gives the documents of one request names: each at most once, in the characters that every model takes.

    Those are letters, digits, single spaces, hyphens, parentheses and square brackets, 200 of them at most.
    """

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def give(self, wanted: str | None) -> str:
        """Returns a name that no other document of the request has."""
        plain = _NOT_IN_NAMES.sub(" ", wanted or "").strip()[:_LONGEST_NAME].strip()
        name, number = plain or "Document 1", 1
        while name in self._taken:
            number += 1
            ending = f" ({number})"
            name = f"{plain[: _LONGEST_NAME - len(ending)]}{ending}" if plain else f"Document {number}"
        self._taken.add(name)
        return name


_LIFETIMES = frozenset({"5m", "1h"})
_TOOL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_IN_RESULTS = (Text, Image, Document, Video, Unknown)


def tool_id(call_id: str) -> str:
    """Returns the id as Converse takes it; one with other characters, or too long, becomes its digest."""
    if _TOOL_ID.fullmatch(call_id):
        return call_id
    return "call_" + sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


CLAUDE = "claude"
"""The family of the Claude models: they have their own thinking and their own ``tool_choice`` beside Converse's."""


_NO_OUTPUT: Mapping[str, str] = {"text": "(no output)"}


def _is_blank(part: ResultPart) -> bool:
    return type(part) is Text and not part.text.strip()


class ConverseWriter(BlockWriter[ConverseDialect]):
    """Writes the parts of one request, and collects what has to be said about it."""

    __slots__ = ("_facts", "_names")

    def __init__(self, context: Context, dialect: ConverseDialect) -> None:
        super().__init__(context, dialect, "Converse")
        self._facts = context.facts
        self._names = DocumentNames()

    @property
    def claude(self) -> bool:
        """Whether the parts are for a Claude model."""
        return self._facts.family == CLAUDE

    def blocks(self, parts: Iterable[Part], role: str) -> list[Block]:
        """Writes the blocks of one message, in order."""
        parts = tuple(parts)
        written: list[Block] = []
        unanswered = self.unanswered(parts) if role == "assistant" else ()
        for part in parts:
            if type(part) is Text and not part.text.strip() and part.extra is None:
                if part.text and role != "assistant":
                    self.warn("a text of nothing but white space was left out: Bedrock refuses it")
                if part.cache is not None and written:
                    self._mark(written, part.cache)
                continue
            if type(part) is ProviderToolCall and part.id in unanswered:
                self.warn(f"the call of the provider's own tool {part.name} was left out: it has no result")
                continue
            block = self._block(part, role)
            if block is not None:
                written.append(block)
                if part.cache is not None:
                    self._mark(written, part.cache)
        return written

    def cache_point(self, cache: CacheMark) -> Block:
        """Writes the block of a cache mark, as it stands in messages, in ``system`` and among tools."""
        point = {"type": "default"}
        if cache.ttl in _LIFETIMES:
            point["ttl"] = str(cache.ttl)
        elif cache.ttl is not None:
            self.warn(f"the cache lifetime {cache.ttl!r} was left out: Bedrock's are 5m and 1h")
        return {"cachePoint": point}

    def _mark(self, written: list[Block], cache: CacheMark) -> None:
        if "reasoningContent" in written[-1]:
            return self.warn("a cache mark on reasoning was left out: put it on the part after it")
        if self._facts.cache_marks is False:
            return self.warn(f"a cache mark was left out: {self.context.model} takes none")
        written.append(self.cache_point(cache))
        return None

    def _block(self, part: Part, role: str) -> Block | None:
        """Writes the block of one part; None for one that is left out."""
        match part:
            case Text():
                return self._text(part, role)
            case ToolCall():
                return self._tool_call(part)
            case ToolResult():
                return self._tool_result(part)
            case Reasoning():
                return self._reasoning(part)
            case Audio() if role == "assistant" and part.transcript and not self.is_own(part.origin):
                self.warn("what the model said in audio was sent back as its transcript")
                return {"text": part.transcript}
            case Image() | Document() | Video() | Audio() if role == "assistant" and not self.is_own(part.origin):
                raise self.refuse(
                    f"{self.context.provider} takes no {type(part).__name__} part of another host in an assistant "
                    "message; put it into a user message"
                )
            case Image():
                return self._image(part)
            case Document():
                return self._document(part)
            case Video():
                return self._medium("video", part, VIDEOS)
            case Audio():
                return self._medium("audio", part, SOUNDS)
            case ProviderToolCall() | ProviderToolResult():
                return self.provider_tool(part)
            case Unknown():
                return self.unknown(part)
            case Refusal():
                if not self.is_own(part.origin):
                    self.warn("a refusal of another host was sent as text")
                return {"text": part.text}

    def _extend(self, kind: str, body: Block, extra: Mapping[str, Any] | None, origin: Origin | None) -> Block:
        """Writes a block with the wire's own further fields, where they came from this host."""
        if extra:
            if self.is_own(origin):
                body = {**extra, **body}
            else:
                self.drop(f"what else a {kind} part held ({', '.join(extra)})", origin)
        return {kind: body}

    def _text(self, part: Text, role: str) -> Block:
        if part.signature is not None:
            self.drop("a signature on text", part.origin)
        if part.extra is not None:
            if self.is_own(part.origin) and role == "assistant":
                return dict(part.extra)
            self.drop(f"what else a text part held ({', '.join(part.extra)})", part.origin)
        if part.citations:
            raw = [dict(citation.raw) for citation in part.citations if citation.raw is not None]
            if role == "assistant" and self.is_own(part.origin) and len(raw) == len(part.citations):
                return {"citationsContent": {"content": [{"text": part.text}], "citations": raw}}
            self.drop("a citation", part.origin)
        return {"text": part.text}

    def _source(self, kind: str, part: Image | Document | Video | Audio) -> Block | None:
        """Writes the source of a part that lies in S3; None where the part holds its content."""
        address = part.url or part.file_id
        if address is None:
            return None
        if not address.startswith("s3://"):
            raise self.refuse(
                f"{kind} has an address that Bedrock cannot fetch; give its bytes as data, or an s3:// address"
            )
        return {"s3Location": {"uri": address}}

    def _bytes(self, kind: str, data: bytes | None) -> Block:
        if data is None:
            raise self.refuse(f"{kind} needs data with a media_type, or an s3:// address as its url")
        return {"bytes": b64encode(data).decode()}

    def _format(self, kind: str, part: Image | Document | Video | Audio, known: Mapping[str, str]) -> str:
        word = format_of(part.media_type, known, part.url or part.file_id, getattr(part, "name", None))
        if word is None:
            raise self.refuse(
                f"{kind} has media_type {part.media_type!r}, which Bedrock does not take; it takes {', '.join(known)}"
            )
        return word

    def _medium(self, kind: str, part: Image | Video | Audio, known: Mapping[str, str]) -> Block:
        body = {
            "format": self._format(kind, part, known),
            "source": self._source(kind, part) or self._bytes(kind, part.data),
        }
        return self._extend(kind, body, part.extra, part.origin)

    def _image(self, part: Image) -> Block:
        if part.detail not in (None, "auto"):
            self.warn(f"an image's detail={part.detail!r} was left out: Bedrock has no such setting")
        if part.signature is not None:
            self.drop("a signature on an image", part.origin)
        return self._medium("image", part, IMAGES)

    def _document(self, part: Document) -> Block:
        name = self._names.give(part.name)
        if part.name is not None and name != part.name:
            self.warn(f"the document {part.name!r} was sent under the name {name!r}: Bedrock restricts the characters")
        if part.text is not None:
            word = format_of(part.media_type, DOCUMENTS, part.name) or "txt"
            source = {"text": part.text} if part.citations else self._bytes("document", part.text.encode())
        else:
            word = self._format("document", part, DOCUMENTS)
            source = self._source("document", part) or self._document_bytes(part)
        body: Block = {"format": word, "name": name, "source": source}
        if part.context is not None:
            body["context"] = part.context
        if part.citations:
            body["citations"] = {"enabled": True}
        return self._extend("document", body, part.extra, part.origin)

    def _document_bytes(self, part: Document) -> Block:
        """Writes a document's content; text that is to be cited goes as text: the API cites only from that and from
        PDF.
        """
        if part.citations and part.data is not None and (part.media_type or "").startswith("text/"):
            try:
                return {"text": part.data.decode()}
            except UnicodeDecodeError:
                pass
        return self._bytes("document", part.data)

    def _reasoning(self, part: Reasoning) -> Block | None:
        if not self.is_own(part.origin):
            self.drop("reasoning", part.origin)
            return None
        if part.encrypted is not None:
            if self._facts.signatures is False:
                self.warn(f"redacted reasoning was left out: {self.context.model} would refuse it")
                return None
            return self._extend("reasoningContent", {"redactedContent": part.encrypted}, part.extra, part.origin)
        text: Block = {"text": part.text}
        if part.signature is None and self.claude:
            self.warn("reasoning without a signature was left out: Claude takes only what it signed")
            return None
        if part.signature is not None and self._facts.signatures is not False:
            text["signature"] = part.signature
        elif part.signature is not None:
            self.warn(f"a signature on reasoning was left out: {self.context.model} would refuse it")
        return self._extend("reasoningContent", {"reasoningText": text}, part.extra, part.origin)

    def _tool_call(self, part: ToolCall) -> Block:
        arguments = self.arguments(part)
        if part.signature is not None:
            self.drop("a signature on a tool call", part.origin)
        body = {"toolUseId": tool_id(part.id), "name": part.name, "input": arguments}
        return self._extend("toolUse", body, part.extra, part.origin)

    def _tool_result(self, part: ToolResult) -> Block:
        body: Block = {
            "toolUseId": tool_id(part.call_id),
            "content": [self._in_result(item) for item in part.content if not _is_blank(item)] or [_NO_OUTPUT],
        }
        if part.is_error and self._facts.result_status is not False:
            body["status"] = "error"
        elif part.is_error:
            self.warn(f"that a tool result is an error was left out: {self.context.model} has no place for it")
        return self._extend("toolResult", body, part.extra, part.origin)

    def _in_result(self, part: ResultPart) -> Block:
        if isinstance(part, Json):
            # A `json` block holds an object; every other value is said as text.
            if isinstance(part.value, Mapping):
                return {"json": dict(part.value)}
            return {"text": self.json(part.value)}
        block = self._block(part, "user") if isinstance(part, _IN_RESULTS) else None
        if block is None:
            raise self.refuse(f"a tool result cannot hold {type(part).__name__} on {self.context.provider}")
        if part.cache is not None:
            self.warn("a cache mark inside a tool result was left out: put it on the result")
        return block
