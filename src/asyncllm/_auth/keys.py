"""A key in a header, the sign-in of most providers.

The header is built once, and is never part of a repr (`asyncllm._transport.base.Headers`). The key may also come from
a function, which is asked for every request: a token of Entra ID, a vault. A function that is not async runs in a
worker thread, as it may have to ask a server.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, Union

import anyio.to_thread

from .._transport.base import Headers
from ..errors import Advice, AsyncLLMError, AuthenticationError, ConfigurationError


class Secret(Protocol):
    """Describes a value that does not show itself, such as ``pydantic.SecretStr``."""

    def get_secret_value(self) -> str:
        """Returns the value itself."""
        ...


KeyFunction = Callable[[], Union[str, Secret, Awaitable[Union[str, Secret]]]]
"""Gives the key of the moment; it may be async."""


_LONG_ENOUGH = 20  # of shorter keys no part is shown
_SHOWN = 4


class HeaderKey:
    """Sends a key in one header.

    Args:
        key: the key, or a function that gives it; None for servers that need none.
        header: the header's name.
        prefix: what stands before the key (``"Bearer "``).
        where: where the key came from (``"OPENAI_API_KEY"``), for the sentence about a bad one.

    Raises:
        ConfigurationError: the key is empty or holds characters that no header can carry.
    """

    __slots__ = ("_function", "_header", "_last", "_line", "_prefix", "_where")

    def __init__(
        self,
        key: Secret | KeyFunction | None,
        header: str = "authorization",
        prefix: str = "Bearer ",
        *,
        where: str = "api_key",
    ) -> None:
        self._function: KeyFunction | None = None
        self._header = header
        self._prefix = prefix
        self._where = where
        self._last = ""
        self._line: Headers | None = None  # which no repr shows
        if is_function(key):
            self._function = key  # type: ignore[assignment]  # that is what was asked
        elif key is not None:
            secret: Secret = key  # type: ignore[assignment]  # no function
            _check(secret.get_secret_value(), where)
            self._where = getattr(secret, "origin", "") or where
            self._line = Headers([(header, prefix + secret.get_secret_value())])

    async def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers:
        """Returns the headers with the key. A header of the same name is replaced.

        Raises:
            AuthenticationError: the function that gives the key failed.
        """
        line = self._line
        if line is None:
            if self._function is None:
                return headers
            self._last = await self._ask(self._function)
            line = Headers([(self._header, self._prefix + self._last)])
        return Headers([*[pair for pair in headers if pair[0] != self._header], *line])

    def told(self) -> str:
        """Returns a sentence about where the key came from, with its last four characters if it has 20 or more."""
        if self._function is not None:
            return f"The key came from the function {self._where}."
        if self._line is None:
            return "No key was sent, because none is configured: set api_key."
        key = self._line[0][1].removeprefix(self._prefix)
        ending = f" and ends in {key[-_SHOWN:]!r}" if len(key) >= _LONG_ENOUGH else ""
        return f"The key came from {self._where}{ending}. Check it, or set another one there."

    async def refresh(self) -> bool:
        """Asks again for a key that a function gives. Returns False if it is the same one, or if no function gives
        it.
        """
        if self._function is None:
            return False
        return self._last != await self._ask(self._function)

    def changed(self, key: Secret | KeyFunction) -> HeaderKey:
        """Returns the same header with another key."""
        return HeaderKey(key, self._header, self._prefix, where="api_key")

    async def _ask(self, function: KeyFunction) -> str:
        failure: AsyncLLMError
        try:
            given = function() if inspect.iscoroutinefunction(function) else await anyio.to_thread.run_sync(function)
            found: Any = await given if inspect.isawaitable(given) else given
            value = found.get_secret_value() if hasattr(found, "get_secret_value") else found
            if isinstance(value, str):
                _check(value, f"what the function {self._where} returned")
                return value
            failure = ConfigurationError(
                f"the function {self._where} must return the key as a string, not {type(value).__name__}"
            )
        except AsyncLLMError as error:
            failure = error
        except Exception as error:  # noqa: BLE001  # the user's own function; its text may hold a secret
            failure = AuthenticationError(
                f"the function {self._where} failed with {type(error).__name__}; call it by hand to see why",
                advice=Advice(provider="yes"),
            )
        raise failure


def with_key(auth: object, key: Secret | KeyFunction, name: str) -> HeaderKey:
    """Returns what signs with another key in the same header.

    Args:
        auth: what signs now.
        key: the other key.
        name: of the provider, for the error.

    Raises:
        ConfigurationError: it signs in another way than with a key.
    """
    if not isinstance(auth, HeaderKey):
        raise ConfigurationError(
            f"{name} does not sign in with a key, so that no other key can be given", provider=name
        )
    return auth.changed(key)


def is_function(key: Any) -> bool:
    """Whether a key is given as a function."""
    return callable(key) and not hasattr(key, "get_secret_value")


def _check(value: str, where: str) -> None:
    if not value:
        raise ConfigurationError(f"{where} is empty; set it to your key")
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ConfigurationError(
            f"{where} holds characters that no header can carry (white space, line ends or letters outside ASCII); "
            "copy the key again"
        )
