"""The interface of a credential: it signs one request at a time and can be asked to refresh."""

from __future__ import annotations

from typing import Protocol

from .._transport.base import Headers


class Auth(Protocol):
    """Adds the credential to a request."""

    async def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers:
        """Returns the headers to send, with the credential.

        Raises:
            AuthenticationError: there is no credential, or it cannot be refreshed.
        """
        ...

    async def refresh(self) -> bool:
        """Gets a new credential after the old one was refused. Returns False if there is none."""
        ...
