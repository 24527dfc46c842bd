"""One content part -> one ``input_*`` item of a message or a tool's output, or the sentence why it cannot go.

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
from .dialect import ResponsesDialect

_TTLS = ("30m", "12h")
_SUFFIXES: Mapping[str, str] = {
    "application/pdf": ".pdf",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
}


@dataclass(slots=True)
class Writer:
    """What writing one request needs; ``warnings`` keeps each sentence once, in order."""

    context: Context
    dialect: ResponsesDialect
    warnings: dict[str, None] = field(default_factory=dict)

    def warn(self, sentence: str) -> None:
        """Adds a warning, with the host before it."""
        self.warnings[f"{self.context.provider}: {sentence}"] = None

    def unsupported(self, what: str, advice: str) -> UnsupportedContentError:
        """The exception for a part that the wire has no place for."""
        context = self.context
        return UnsupportedContentError(
            f"{context.provider} (responses) cannot take {what}; {advice}",
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

    def mark(self, item: dict[str, Any], cache: CacheMark | None) -> dict[str, Any]:
        """The item with its prompt-cache mark, where it has one and the host knows marks."""
        if cache is None:
            return item
        if not self.dialect.cache_marks:
            self.unmarked(cache)
            return item
        breakpoint_: dict[str, Any] = {"mode": "explicit"}
        if cache.ttl in _TTLS:
            breakpoint_["ttl"] = cache.ttl
        elif cache.ttl is not None:
            self.warn(f"the cache lifetime {cache.ttl!r} was left out: it can be {' or '.join(map(repr, _TTLS))}")
        item["prompt_cache_breakpoint"] = breakpoint_
        return item

    def unmarked(self, cache: CacheMark | None) -> None:
        """Warns about a mark on something that cannot carry one here."""
        if cache is not None:
            self.warn("a prompt-cache mark was left out: there is no place for it")

    def content(self, part: Part | Json) -> dict[str, Any]:
        """The item for a part of a system or user message, or of a tool's output.

        Raises:
            UnsupportedContentError: the wire has no place for it.
        """
        write = _WRITERS.get(type(part))
        if write is None:
            raise self.unsupported(
                f"a {type(part).__name__} part in this message", "it belongs in an assistant message"
            )
        item = write(self, part)
        return self.mark(item, None if isinstance(part, Json) else part.cache)

    def drop_extra(self, part: Text | ToolCall | Refusal) -> None:
        """Warns about fields of a part that only the wire it came from understands."""
        if part.extra and not self.is_own(part.origin):
            self.warn("data that belongs to another provider was left out of the history")

    def drop_foreign(self, part: Text) -> None:
        """Warns about what a text brings from elsewhere and this wire cannot say."""
        if part.signature is not None:
            self.warn("a signature of another provider on a text was left out")
        if part.citations:
            self.warn("the citations of a text were left out: they can only go back to where they came from")


def data_url(data: bytes, media_type: str) -> str:
    """A ``data:`` URL."""
    return f"data:{media_type};base64,{b64encode(data).decode()}"


def _text(writer: Writer, part: Text) -> dict[str, Any]:
    writer.drop_foreign(part)
    return {"type": "input_text", "text": part.text}


def _json(writer: Writer, part: Json) -> dict[str, Any]:
    return {"type": "input_text", "text": writer.context.json.dumps(part.value).decode()}


def image_source(writer: Writer, part: Image) -> dict[str, Any]:
    """Where a picture is: ``image_url`` or ``file_id``."""
    if part.file_id is not None and not writer.is_foreign(part.origin):
        return {"file_id": part.file_id}
    if part.url is not None:
        return {"image_url": part.url}
    if part.data is not None:
        if not part.media_type:
            raise writer.bad("Image(data=...) needs its media_type, such as image/png")
        return {"image_url": data_url(part.data, part.media_type)}
    if part.file_id is not None:
        raise writer.unsupported("an image that another provider stores", "give data with a media_type, or a url")
    raise writer.bad("this Image is empty: give data with a media_type, a url, or a file_id")


def _image(writer: Writer, part: Image) -> dict[str, Any]:
    return {"type": "input_image", "detail": part.detail or "auto", **image_source(writer, part)}


def _document(writer: Writer, part: Document) -> dict[str, Any]:
    if part.citations:
        writer.warn("citations from a document cannot be asked for here")
    named = {} if part.name is None else {"filename": part.name}
    if part.file_id is not None:
        if writer.is_foreign(part.origin):
            raise writer.unsupported("a document that another provider stores", "give its data with a media_type")
        return {"type": "input_file", "file_id": part.file_id}
    if part.url is not None:
        return {"type": "input_file", "file_url": part.url, **named}
    if part.text is not None:
        media_type, data = part.media_type or "text/plain", part.text.encode()
    elif part.data is not None and part.media_type:
        media_type, data = part.media_type, part.data
    else:
        raise writer.bad(
            "a Document needs text, a url, a file_id, or data with its media_type, such as application/pdf"
        )
    name = part.name or f"document{_SUFFIXES.get(media_type, '')}"
    return {"type": "input_file", "filename": name, "file_data": data_url(data, media_type)}


def _audio(writer: Writer, part: Audio) -> dict[str, Any]:
    raise writer.unsupported("an Audio part", "send a transcript as text, or use chat completions with an audio model")


def _video(writer: Writer, part: Video) -> dict[str, Any]:
    raise writer.unsupported("a Video part", "send frames of it as Image parts, or use a provider that takes video")


def _unknown(writer: Writer, part: Unknown) -> dict[str, Any]:
    return raw_of(writer, part)


def raw_of(writer: Writer, part: Unknown) -> dict[str, Any]:
    """What an `Unknown` part holds, if it may go to this host."""
    if writer.is_foreign(part.origin) or not isinstance(part.raw, Mapping):
        raise writer.unsupported(f"content of type {part.type!r} from another provider", "leave it out of the messages")
    return dict(part.raw)


_WRITERS: Mapping[type, Callable[[Writer, Any], dict[str, Any]]] = {
    Text: _text,
    Json: _json,
    Image: _image,
    Document: _document,
    Audio: _audio,
    Video: _video,
    Unknown: _unknown,
}
