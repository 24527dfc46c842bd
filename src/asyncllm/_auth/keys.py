"""A key in a header: what most providers ask for.

The key stays wrapped until the header is built, and the header is never part of a repr
(`asyncllm._transport.base.Headers`).
"""

from __future__ import annotations

from typing import Protocol

from .._transport.base import Headers
from ..errors import ConfigurationError


class Secret(Protocol):
    """A value that does not show itself, such as ``pydantic.SecretStr``."""

    def get_secret_value(self) -> str:
        """The value itself."""
        ...


class HeaderKey:
    """Sends a key in one header.

    Args:
        key: the key; None for servers that need none.
        header: the header's name.
        prefix: what stands before the key (``"Bearer "``).
        where: where the key came from (``"OPENAI_API_KEY"``), for the sentence about a bad one.

    Raises:
        ConfigurationError: the key is empty or holds characters that no header can carry.
    """

    __slots__ = ("_header", "_key", "_prefix")

    def __init__(
        self, key: Secret | None, header: str = "authorization", prefix: str = "Bearer ", *, where: str = "api_key"
    ) -> None:
        if key is not None:
            _check(key.get_secret_value(), where)
        self._key = key
        self._header = header
        self._prefix = prefix

    async def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers:
        """The headers with the key; any header of that name is replaced."""
        if self._key is None:
            return headers
        kept = [pair for pair in headers if pair[0] != self._header]
        return Headers([*kept, (self._header, self._prefix + self._key.get_secret_value())])

    async def refresh(self) -> bool:
        """A key cannot be refreshed."""
        return False


def _check(value: str, where: str) -> None:
    if not value:
        raise ConfigurationError(f"{where} is empty; set it to your key")
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ConfigurationError(
            f"{where} holds characters that no header can carry (white space, line ends or letters outside ASCII); "
            "copy the key again"
        )
