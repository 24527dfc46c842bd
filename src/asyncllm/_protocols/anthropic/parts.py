"""Writes the parts of a request in the Messages format.

Parts -> content blocks.

Rules:

* What only its maker can read (signatures, encrypted reasoning, blocks of tools the provider ran, citations, unknown
  content, ``extra``) is written for the same origin only; elsewhere it is left out, and a warning says so.
* The API refuses text blocks of nothing but white space, so these are left out.
* Pictures and documents stand in the user's turns only: the API refuses them in the assistant's. What a model said
  aloud is sent as its transcript, and a refusal in the words of another host as text, each with a warning.
* A cache mark becomes ``cache_control`` on whatever block the part became, thinking aside, which cannot carry one.
* Ids of tool calls made by other providers are rewritten where Anthropic would not take their characters; the same id
  always becomes the same one, so calls and results still match.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
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
from .dialect import AnthropicDialect

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_LIFETIMES = frozenset({"5m", "1h"})
_BAD_ID = re.compile(r"[^a-zA-Z0-9_-]")


def plain_text(part: Part) -> str | None:
    """Returns the text of a part that is text and nothing else; None for any other part."""
    if type(part) is not Text or part.cache is not None or part.citations:
        return None
    return part.text if part.signature is None and part.extra is None else None


class MessagesWriter(BlockWriter[AnthropicDialect]):
    """Writes the parts of one request and collects its warnings."""

    __slots__ = ()

    def blocks(self, parts: tuple[Part, ...], role: str) -> list[Block]:
        """Writes the blocks of one message, in order."""
        written: list[Block] = []
        unanswered = self.unanswered(parts) if role == "assistant" else ()
        for part in parts:
            if type(part) is Text and not part.text.strip():
                if part.text and role != "assistant":
                    self.warn("a text of nothing but white space was left out: the API refuses it")
                if part.cache is not None and written:
                    self.mark(written[-1], part.cache)
                continue
            if type(part) is ProviderToolCall and part.id in unanswered:
                self.warn(f"the call of the provider's own tool {part.name} was left out: it has no result")
                continue
            block = self._block(part, role)
            if block is not None:
                if part.cache is not None:
                    self.mark(block, part.cache)
                written.append(block)
        return written

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
            case Image() | Document() if role == "assistant":
                raise self.refuse(
                    f"{self.context.provider} takes no {type(part).__name__} part in an assistant message; "
                    "put it into a user message"
                )
            case Image():
                return self._image(part)
            case Document():
                return self._document(part)
            case ProviderToolCall() | ProviderToolResult():
                return self.provider_tool(part)
            case Unknown():
                return self.unknown(part)
            case Refusal():
                if not self.is_own(part.origin):
                    self.warn("a refusal of another host was sent as text")
                return {"type": "text", "text": part.text}
            case Audio() if role == "assistant" and part.transcript:
                self.warn("what the model said in audio was sent back as its transcript")
                return {"type": "text", "text": part.transcript}
            case Audio() | Video():
                kind = type(part).__name__.lower()
                raise self.refuse(f"{kind} cannot be sent to {self.context.provider}: Claude reads text, images, PDF")

    def mark(self, block: Block, cache: CacheMark) -> None:
        """Writes a cache mark on a block, in place."""
        if block.get("type") in ("thinking", "redacted_thinking"):
            return self.warn("a cache mark on reasoning was left out: put it on the part after it")
        if self.context.facts.cache_marks is False:
            return self.warn(f"a cache mark was left out: {self.context.model} takes none")
        control = {"type": "ephemeral"}
        if cache.ttl in _LIFETIMES:
            control["ttl"] = str(cache.ttl)
        elif cache.ttl is not None:
            self.warn(f"the cache lifetime {cache.ttl!r} was left out: Anthropic's are 5m and 1h")
        block["cache_control"] = control
        return None

    def _extend(self, block: Block, extra: Mapping[str, Any] | None, origin: Origin | None) -> Block:
        """Adds the wire's own further fields to a block."""
        if extra:
            if self.is_own(origin):
                for name, value in extra.items():
                    block.setdefault(name, value)
            else:
                self.drop(f"what else a {block['type']} part held ({', '.join(extra)})", origin)
        return block

    def _text(self, part: Text, role: str) -> Block:
        block: Block = {"type": "text", "text": part.text}
        if part.citations:
            raw = [dict(citation.raw) for citation in part.citations if citation.raw is not None]
            if role == "assistant" and self.is_own(part.origin) and len(raw) == len(part.citations):
                block["citations"] = raw
            elif role == "assistant":
                self.drop("a citation", part.origin)
            else:
                self.warn("citations outside of the assistant's turns were left out: the API refuses them")
        if part.signature is not None:
            self.drop("a signature on text", part.origin)
        return self._extend(block, part.extra, part.origin)

    def _source(self, part: Image | Document) -> Block | None:
        """Writes the source of a URL or a stored file; None where the part holds its bytes."""
        kind = "an image" if isinstance(part, Image) else "a document"
        if part.url is not None:
            if not part.url.startswith(("https://", "http://")):
                raise self.refuse(f"{kind} has a URL that Anthropic cannot fetch; give its bytes as data instead")
            return {"type": "url", "url": part.url}
        if part.file_id is not None:
            self.check_stored(part)
            if not self.dialect.file_ids:
                raise self.refuse(f"{kind} names a stored file, and this host stores none; give its bytes as data")
            return {"type": "file", "file_id": part.file_id}
        return None

    def _image(self, part: Image) -> Block:
        source = self._source(part)
        if source is None:
            if part.data is None or part.media_type not in _IMAGES:
                raise self.refuse(
                    "an image needs data with a media_type of image/jpeg, image/png, image/gif or image/webp, "
                    f"a url or a file_id; this one has media_type {part.media_type!r}"
                )
            source = _base64(part.media_type, part.data)
        if part.detail not in (None, "auto"):
            self.warn(f"an image's detail={part.detail!r} was left out: Anthropic has no such setting")
        if part.signature is not None:
            self.drop("a signature on an image", part.origin)
        return self._extend({"type": "image", "source": source}, part.extra, part.origin)

    def _document(self, part: Document) -> Block:
        block: Block = {"type": "document", "source": self._source(part) or self._document_source(part)}
        if part.name is not None:
            block["title"] = part.name
        if part.context is not None:
            block["context"] = part.context
        if part.citations:
            block["citations"] = {"enabled": True}
        return self._extend(block, part.extra, part.origin)

    def _document_source(self, part: Document) -> Block:
        if part.text is not None:
            return {"type": "text", "media_type": "text/plain", "data": part.text}
        kind = (part.media_type or "").partition(";")[0].strip().lower()
        if part.data is not None and kind == "application/pdf":
            return _base64(kind, part.data)
        if part.data is not None and kind.startswith("text/"):
            try:
                return {"type": "text", "media_type": "text/plain", "data": part.data.decode()}
            except UnicodeDecodeError:
                pass
            raise self.refuse(f"a document of type {kind} is not UTF-8; decode it and give it as text")
        raise self.refuse(
            "a document needs text, a url, a file_id, or data with a media_type of application/pdf or text/*; "
            f"this one has media_type {part.media_type!r}"
        )

    def _reasoning(self, part: Reasoning) -> Block | None:
        if not self.is_own(part.origin):
            self.drop("reasoning", part.origin)
            return None
        if part.encrypted is not None:
            return self._extend({"type": "redacted_thinking", "data": part.encrypted}, part.extra, part.origin)
        if part.signature is None:
            self.warn("reasoning without a signature was left out: the API takes only what it signed")
            return None
        block = {"type": "thinking", "thinking": part.text, "signature": part.signature}
        return self._extend(block, part.extra, part.origin)

    def _tool_call(self, part: ToolCall) -> Block:
        arguments = self.arguments(part)
        if part.signature is not None:
            self.drop("a signature on a tool call", part.origin)
        block = {"type": "tool_use", "id": _tool_id(part.id), "name": part.name, "input": arguments}
        return self._extend(block, part.extra, part.origin)

    def _tool_result(self, part: ToolResult) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": _tool_id(part.call_id)}
        parts = tuple([self._in_result(item) for item in part.content])
        text = plain_text(parts[0]) if len(parts) == 1 else None
        if text is not None and text.strip():
            block["content"] = text
        elif content := self.blocks(parts, "user"):
            block["content"] = content
        if part.is_error:
            block["is_error"] = True
        return self._extend(block, part.extra, part.origin)

    def _in_result(self, part: ResultPart) -> Part:
        if isinstance(part, Json):
            return Text(self.json(part.value))
        if not isinstance(part, _IN_RESULTS):
            raise self.refuse(f"a tool result cannot hold {type(part).__name__} on {self.context.provider}")
        return part


_IN_RESULTS = (Text, Image, Document, Audio, Video, Unknown)


def _base64(media_type: str, data: bytes) -> Block:
    return {"type": "base64", "media_type": media_type, "data": b64encode(data).decode()}


def _tool_id(call_id: str) -> str:
    """Returns the id in the characters that the API takes (``^[a-zA-Z0-9_-]+$``)."""
    if _BAD_ID.search(call_id) is None:
        return call_id
    return _BAD_ID.sub(lambda found: f"_{ord(found[0]):x}_", call_id)
