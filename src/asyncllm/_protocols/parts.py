"""A value from the wire if it has the shape that is wanted, else nothing: what a host sends is never taken on trust.

Arguments of tool calls where the wire wants an object and the model, or another host, gave text that is none.

Ids of tool calls that a host refuses for their length: replaced by a hash of themselves, so that the same id always
becomes the same one and calls still match their results.

What writing one request needs in both of OpenAI's formats: the host, the warnings that end on the response, the
sentences of refusals, and media as ``data:`` URLs.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, ClassVar

from .._schema.content import (
    CacheMark,
    Document,
    Image,
    Origin,
    Refusal,
    Text,
    ToolCall,
    Unknown,
    Video,
    parse_arguments,
)
from ..errors import BadRequestError, UnsupportedContentError, UnsupportedParameterError
from .codec import Context


def as_dict(value: Any) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: Any) -> str | None:
    """The value if it is a string, else None."""
    return value if isinstance(value, str) else None


def objects(value: Any) -> list[dict[str, Any]]:
    """The JSON objects of a list; none of anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


INVALID_JSON = "INVALID_JSON"
"""The key under which argument text that is no JSON object is sent."""


def as_object(raw: str) -> dict[str, Any]:
    """The arguments that a text says, or the text itself under `INVALID_JSON`."""
    parsed = parse_arguments(raw)
    return {INVALID_JSON: raw} if parsed is None else parsed


LONGEST = 64
"""Characters of ``tool_calls[].id`` and ``call_id`` at OpenAI: "string too long. Expected a string with maximum length
64" (chat completions took 40 until 2026; its own ids have 29)."""


def bounded(ident: str) -> str:
    """The id itself, or one of 45 characters in its place where it is too long."""
    if len(ident) <= LONGEST:
        return ident
    return "call_" + sha256(ident.encode("utf-8", "surrogatepass")).hexdigest()[:40]


_SUFFIXES: Mapping[str, str] = {
    "application/pdf": ".pdf",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
}


class PartWriter:
    """The host of one request; ``warnings`` keeps each sentence once, in order."""

    __slots__ = ("context", "warnings")

    api: ClassVar[str]
    """What refusals call the format."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.warnings: dict[str, None] = {}

    def warn(self, sentence: str) -> None:
        """Adds a warning, with the host before it."""
        self.warnings[f"{self.context.provider}: {sentence}"] = None

    def unsupported(self, what: str, advice: str) -> UnsupportedContentError:
        """The exception for a part that the host has no place for."""
        context = self.context
        return UnsupportedContentError(
            f"{context.provider} ({self.api}) cannot take {what}; {advice}",
            provider=context.provider,
            model=context.model,
        )

    def unsupported_parameter(self, name: str, sentence: str) -> UnsupportedParameterError:
        """The exception for a keyword that the host has no place for."""
        context = self.context
        return UnsupportedParameterError(
            f"{name}: {context.provider} ({self.api}) {sentence}", provider=context.provider, model=context.model
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

    def unmarked(self, cache: CacheMark | None) -> None:
        """Warns about a mark on something that cannot carry one here."""
        if cache is not None:
            self.warn("a prompt-cache mark was left out: there is no place for it")

    def raw(self, part: Unknown) -> dict[str, Any]:
        """What an `Unknown` part holds, if it may go to this host."""
        if self.is_foreign(part.origin) or not isinstance(part.raw, Mapping):
            raise self.unsupported(
                f"content of type {part.type!r} from another provider", "leave it out of the messages"
            )
        return dict(part.raw)

    def address(self, part: Image | Video) -> str | None:
        """The URL of a picture or film, or its bytes as one; None where it holds neither."""
        if part.url is not None or part.data is None:
            return part.url
        if not part.media_type:
            kind, example = ("Video", "video/mp4") if isinstance(part, Video) else ("Image", "image/png")
            raise self.bad(f"{kind}(data=...) needs its media_type, such as {example}")
        return _data_url(part.data, part.media_type)

    def file(self, part: Document) -> dict[str, str]:
        """The name and the content of a document that is given by its text or its bytes."""
        if part.text is not None:
            media_type, data = part.media_type or "text/plain", part.text.encode()
        elif part.data is not None and part.media_type:
            media_type, data = part.media_type, part.data
        else:
            raise self.bad(
                "a Document needs text, a url, a file_id, or data with its media_type, such as application/pdf"
            )
        name = part.name or f"document{_SUFFIXES.get(media_type, '')}"
        return {"filename": name, "file_data": _data_url(data, media_type)}


def _data_url(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode()}"
