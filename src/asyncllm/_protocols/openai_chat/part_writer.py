"""What writing one request needs in both of OpenAI's formats: the host, the warnings that end on the response, the
sentences of refusals, and media as ``data:`` URLs.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, ClassVar

from ..._schema.content import CacheMark, Document, Image, Origin, Refusal, Text, ToolCall, Unknown, Video
from ...errors import BadRequestError, UnsupportedContentError, UnsupportedParameterError
from ..base import Context

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
