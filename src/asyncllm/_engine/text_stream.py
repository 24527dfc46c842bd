"""The text of a stream alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._schema.response import Response

if TYPE_CHECKING:
    from .stream import Stream


class TextStream:
    """The text of a stream, as strings that are never empty."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __aiter__(self) -> TextStream:
        return self

    async def __anext__(self) -> str:
        while True:
            text = (await self._stream.__anext__()).text
            if text:
                return text

    async def __aenter__(self) -> TextStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()

    async def aclose(self) -> None:
        """Closes the stream."""
        await self._stream.aclose()

    @property
    def response(self) -> Response:
        """As `Stream.response`."""
        return self._stream.response
