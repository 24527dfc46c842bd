"""One content part -> one item of a ``content`` list, or the sentence why the host cannot take it.

`Writer` is what writing one request needs: the host, its dialect, and the warnings that end on the response.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from ..._schema.content import (
    Audio,
    CacheMark,
    Document,
    Image,
    Json,
    Part,
    Text,
    Unknown,
    Video,
)
from ..base import Context
from .dialect import ChatDialect
from .part_writer import PartWriter

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


class Writer(PartWriter):
    """What writing one request needs: the host, its dialect and the warnings."""

    __slots__ = ("dialect",)

    api = "chat completions"

    def __init__(self, context: Context, dialect: ChatDialect) -> None:
        super().__init__(context)
        self.dialect = dialect

    def call_id(self, ident: str) -> str:
        """The id of a call in the form that the host accepts."""
        rule = self.dialect.tool_call_id
        return ident if rule is None else rule(ident)

    def mark(self, item: dict[str, Any], cache: CacheMark | None) -> dict[str, Any]:
        """The item with its prompt-cache mark, where it has one and the host knows marks."""
        if cache is None:
            return item
        if self.dialect.cache_marks == "cache_control":
            ttl = {} if cache.ttl is None else {"ttl": cache.ttl}
            item["cache_control"] = {"type": "ephemeral", **ttl}
        elif self.dialect.cache_marks == "breakpoint":
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
        """The item for a part of a system, user or tool message.

        Raises:
            UnsupportedContentError: the host has no place for it.
        """
        write = _WRITERS.get(type(part))
        if write is None:
            raise self.unsupported(
                f"a {type(part).__name__} part in this message", "it belongs in an assistant message"
            )
        item = write(self, part)
        return self.mark(item, None if isinstance(part, Json) else part.cache)


def _text(writer: Writer, part: Text) -> dict[str, Any]:
    drop_foreign(writer, part)
    return {"type": "text", "text": part.text}


def drop_foreign(writer: Writer, part: Text) -> None:
    """Warns about what a text brings from elsewhere and this wire cannot say."""
    if part.signature is not None and writer.is_foreign(part.origin):
        writer.warn("a signature of another provider on a text was left out")
    writer.drop_extra(part)
    if part.citations and not writer.is_own(part.origin):
        writer.warn("the citations of a text were left out: this wire has no place for them")


def _json(writer: Writer, part: Json) -> dict[str, Any]:
    return {"type": "text", "text": writer.context.json.dumps(part.value).decode()}


def _image(writer: Writer, part: Image) -> dict[str, Any]:
    image: dict[str, Any] = {"url": _address(writer, part)}
    if part.detail is not None:
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


def _address(writer: Writer, part: Image | Video) -> str:
    address, kind = writer.address(part), type(part).__name__
    if address is not None:
        return address
    if part.file_id is not None:
        raise writer.unsupported(f"{kind}(file_id=...)", "give data with a media_type, or a url")
    raise writer.bad(f"this {kind} is empty: give data with a media_type, or a url")


def _video(writer: Writer, part: Video) -> dict[str, Any]:
    if not writer.dialect.video_urls:
        raise writer.unsupported("a Video part", "send frames of it as Image parts, or use a provider that takes video")
    return {"type": "video_url", "video_url": {"url": _address(writer, part)}}


def _audio(writer: Writer, part: Audio) -> dict[str, Any]:
    if not writer.dialect.audio_parts:
        raise writer.unsupported("an Audio part", "send a transcript as text, or use a provider that takes audio")
    if part.data is None:
        raise writer.unsupported(
            "an Audio part without data", "give its bytes as Audio(data=..., media_type='audio/wav')"
        )
    kind = _AUDIO_FORMATS.get((part.media_type or "").lower())
    if kind is None:
        raise writer.unsupported(f"audio of type {part.media_type!r}", "convert it to audio/wav or audio/mpeg")
    return {"type": "input_audio", "input_audio": {"data": b64encode(part.data).decode(), "format": kind}}


def _document(writer: Writer, part: Document) -> dict[str, Any]:
    if part.citations:
        writer.warn("citations from a document cannot be asked for here")
    if part.url is not None and writer.dialect.file_urls == "document_url":
        named = {} if part.name is None else {"document_name": part.name}
        return {"type": "document_url", "document_url": part.url, **named}
    if not writer.dialect.file_parts:
        raise writer.unsupported("a Document part", "send its text as a Text part, or use a provider that takes files")
    if part.file_id is not None:
        return {"type": "file", "file": {"file_id": part.file_id}}
    if part.url is not None:
        if writer.dialect.file_urls != "file":
            raise writer.unsupported(
                "Document(url=...)", "fetch it and give its bytes as Document(data=..., media_type=...)"
            )
        return {"type": "file", "file": {"file_data": part.url, "filename": part.name or _url_name(part.url)}}
    return {"type": "file", "file": writer.file(part)}


def _url_name(url: str) -> str:
    return url.split("?")[0].rstrip("/").rpartition("/")[2] or "document"


_WRITERS: Mapping[type, Callable[[Writer, Any], dict[str, Any]]] = {
    Text: _text,
    Json: _json,
    Image: _image,
    Video: _video,
    Audio: _audio,
    Document: _document,
    Unknown: Writer.raw,
}
