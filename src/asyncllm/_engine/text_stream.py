"""The text of a stream alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from .._schema.response import Parsed, Response

if TYPE_CHECKING:
    from .stream import Stream


class TextStream(Generic[Parsed]):
    """The text of a stream, as strings that are never empty."""

    def __init__(self, stream: Stream[Parsed]) -> None:
        self._stream = stream

    def __aiter__(self) -> TextStream[Parsed]:
        return self

    async def __anext__(self) -> str:
        while True:
            text = (await self._stream.__anext__()).text
            if text:
                return text

    async def __aenter__(self) -> TextStream[Parsed]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()

    async def aclose(self) -> None:
        """Closes the stream."""
        await self._stream.aclose()

    @property
    def response(self) -> Response[Parsed]:
        """As `Stream.response`."""
        return self._stream.response
