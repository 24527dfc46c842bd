"""One content part -> one item of a ``content`` list, or the sentence why the host cannot take it.

`Writer` is what writing one request needs: the host, its dialect, and the warnings that end on the response.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import BadRequestError, UnsupportedContentError
from ...schema.content import (
    Audio,
    CacheMark,
    Document,
    Image,
    Json,
    Origin,
    Part,
    Refusal,
    Text,
    ToolCall,
    Unknown,
    Video,
)
from ..base import Context
from .dialect import ChatDialect

_AUDIO_FORMATS: Mapping[str, str] = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
_SUFFIXES: Mapping[str, str] = {
    "application/pdf": ".pdf",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
}
# How long a marked prompt is kept, in OpenAI's words; chat answers 400 to the third, 12h, which only Responses has.
_BREAKPOINT_TTL = "30m"


@dataclass(slots=True)
class Writer:
    """What writing one request needs; ``warnings`` keeps each sentence once, in order."""

    context: Context
    dialect: ChatDialect
    warnings: dict[str, None] = field(default_factory=dict)

    def warn(self, sentence: str) -> None:
        """Adds a warning, with the host before it."""
        self.warnings[f"{self.context.provider}: {sentence}"] = None

    def unsupported(self, what: str, advice: str) -> UnsupportedContentError:
        """The exception for a part that the host has no place for."""
        context = self.context
        return UnsupportedContentError(
            f"{context.provider} (chat completions) cannot take {what}; {advice}",
            provider=context.provider,
            model=context.model,
        )

    def bad(self, sentence: str) -> BadRequestError:
        """The exception for a part that no wire could carry."""
        return BadRequestError(sentence, provider=self.context.provider, model=self.context.model)

    def is_own(self, origin: Origin | None) -> bool:
        """Whether a part came from this host by this wire."""
        return origin == self.context.origin

    def is_foreign(self, origin: Origin | None) -> bool:
        """Whether a part came from another host or wire; what the caller made is not foreign."""
        return origin is not None and origin != self.context.origin

    def drop_extra(self, part: Text | ToolCall | Refusal) -> None:
        """Warns about fields of a part that only the wire it came from understands."""
        if part.extra and not self.is_own(part.origin):
            self.warn("data that belongs to another provider was left out of the history")

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

    def unmarked(self, cache: CacheMark | None) -> None:
        """Warns about a mark on something that cannot carry one here."""
        if cache is not None:
            self.warn("a prompt-cache mark was left out: there is no place for it")

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


def data_url(data: bytes, media_type: str) -> str:
    """A ``data:`` URL."""
    return f"data:{media_type};base64,{b64encode(data).decode()}"


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
    image: dict[str, Any] = {"url": _address(writer, part, "Image")}
    if part.detail is not None:
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


def _address(writer: Writer, part: Image | Video, kind: str) -> str:
    if part.url is not None:
        return part.url
    if part.data is not None:
        if not part.media_type:
            raise writer.bad(f"{kind}(data=...) needs its media_type, such as {kind.lower()}/{_EXAMPLES[kind]}")
        return data_url(part.data, part.media_type)
    if part.file_id is not None:
        raise writer.unsupported(f"{kind}(file_id=...)", "give data with a media_type, or a url")
    raise writer.bad(f"this {kind} is empty: give data with a media_type, or a url")


_EXAMPLES: Mapping[str, str] = {"Image": "png", "Video": "mp4"}


def _video(writer: Writer, part: Video) -> dict[str, Any]:
    if not writer.dialect.video_urls:
        raise writer.unsupported("a Video part", "send frames of it as Image parts, or use a provider that takes video")
    return {"type": "video_url", "video_url": {"url": _address(writer, part, "Video")}}


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
    if part.text is not None:
        media_type, data = part.media_type or "text/plain", part.text.encode()
    elif part.data is not None and part.media_type:
        media_type, data = part.media_type, part.data
    else:
        raise writer.bad(
            "a Document needs text, a url, a file_id, or data with its media_type, such as application/pdf"
        )
    name = part.name or f"document{_SUFFIXES.get(media_type, '')}"
    return {"type": "file", "file": {"filename": name, "file_data": data_url(data, media_type)}}


def _url_name(url: str) -> str:
    return url.split("?")[0].rstrip("/").rpartition("/")[2] or "document"


def _unknown(writer: Writer, part: Unknown) -> dict[str, Any]:
    if writer.is_foreign(part.origin) or not isinstance(part.raw, Mapping):
        raise writer.unsupported(f"content of type {part.type!r} from another provider", "leave it out of the messages")
    return dict(part.raw)


_WRITERS: Mapping[type, Callable[[Writer, Any], dict[str, Any]]] = {
    Text: _text,
    Json: _json,
    Image: _image,
    Video: _video,
    Audio: _audio,
    Document: _document,
    Unknown: _unknown,
}
