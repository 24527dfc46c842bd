"""One content part -> one ``input_*`` item of a message or a tool's output, or the sentence why it cannot go.

`Writer` is what writing one request needs: the host, its dialect, and the warnings that end on the response.
"""

from __future__ import annotations

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
from ..openai_chat.part_writer import PartWriter
from .dialect import ResponsesDialect

_TTLS = ("30m", "12h")


class Writer(PartWriter):
    """What writing one request needs: the host, its dialect and the warnings."""

    __slots__ = ("dialect",)

    api = "responses"

    def __init__(self, context: Context, dialect: ResponsesDialect) -> None:
        super().__init__(context)
        self.dialect = dialect

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

    def drop_foreign(self, part: Text) -> None:
        """Warns about what a text brings from elsewhere and this wire cannot say."""
        if part.signature is not None:
            self.warn("a signature of another provider on a text was left out")
        if part.citations:
            self.warn("the citations of a text were left out: they can only go back to where they came from")


def _text(writer: Writer, part: Text) -> dict[str, Any]:
    writer.drop_foreign(part)
    return {"type": "input_text", "text": part.text}


def _json(writer: Writer, part: Json) -> dict[str, Any]:
    return {"type": "input_text", "text": writer.context.json.dumps(part.value).decode()}


def image_source(writer: Writer, part: Image) -> dict[str, Any]:
    """Where a picture is: ``image_url`` or ``file_id``."""
    if part.file_id is not None and not writer.is_foreign(part.origin):
        return {"file_id": part.file_id}
    address = writer.address(part)
    if address is not None:
        return {"image_url": address}
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
    return {"type": "input_file", **writer.file(part)}


def _audio(writer: Writer, part: Audio) -> dict[str, Any]:
    raise writer.unsupported("an Audio part", "send a transcript as text, or use chat completions with an audio model")


def _video(writer: Writer, part: Video) -> dict[str, Any]:
    raise writer.unsupported("a Video part", "send frames of it as Image parts, or use a provider that takes video")


_WRITERS: Mapping[type, Callable[[Writer, Any], dict[str, Any]]] = {
    Text: _text,
    Json: _json,
    Image: _image,
    Document: _document,
    Audio: _audio,
    Video: _video,
    Unknown: Writer.raw,
}
