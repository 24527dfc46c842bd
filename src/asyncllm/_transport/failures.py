"""Translates the exceptions of HTTP libraries, by the tables in ``httpx_internals`` and ``aiohttp_internals``.

Rules:

* The HTTP libraries are known by the names of their exceptions only (httpx and httpx2 have the same ones), so nothing
  is imported. The most specific name in the exception's ancestry wins.
* The exception is read, never kept: its frames hold headers. The caller raises what `translate` returned after its
  ``except`` block has ended, so that nothing foreign becomes its context.
* The sentence names the host, never a URL. Of the foreign text only an operating system's or a TLS library's reason
  is kept.
* What is no failure of the network (a bug, an assertion in somebody's mock) is not disguised as one: `translate`
  gives None.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from types import TracebackType

from ..errors import (
    AsyncLLMError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    IdleTimeoutError,
    ProtocolError,
)
from . import aiohttp_internals, httpx_internals
from .anyio_internals import RUNTIMES
from .httpx_internals import Row

_FOREIGN = (*httpx_internals.PACKAGES, *RUNTIMES, "aiohttp")
_DEEPEST = 12  # exceptions in a chain
_logger = logging.getLogger("asyncllm.transport")


def translate(error: BaseException, host: str) -> AsyncLLMError | None:
    """Returns our error for a library's exception, or None if it is no network failure (a cancellation, a bug)."""
    if isinstance(error, AsyncLLMError):
        return error
    if not isinstance(error, Exception):
        return None
    chain = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain):
        return ConnectError(f"The certificate of {host} was refused{_reason(chain)}.", certificate=True)
    row = next((row for cause in chain if (row := _aiohttp_row(cause))), None) or _httpx_row(error)
    if row is None:
        return _other(error, host, chain)
    kind, sentence = row
    if kind is ProtocolError and any(word in str(error) for word in httpx_internals.CLOSED_WORDS):
        kind, sentence = httpx_internals.ROWS["NetworkError"]
    return kind(sentence.format(host=host, reason=_reason(chain)))


def stuck(host: str) -> AsyncLLMError:
    """Returns the error for a request whose body could not be written in time."""
    kind, sentence = httpx_internals.ROWS["WriteTimeout"]
    return kind(sentence.format(host=host))


def surfaced(error: BaseException, host: str) -> BaseException:
    """Returns the exception to raise: our error or, for a cancellation or a bug, the same exception without the
    library's frames.

    To be raised after the ``except`` block has ended.
    """
    return translate(error, host) or error.with_traceback(None)


class Closing:
    """A block that closes something. It ignores network failures and logs any other exception.

    The library's reason to fail is no reason to fail the call that is over, nor the task that closes its connection.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if translate(error, "the host") is None and not isinstance(error, (RuntimeError, ValueError)):
            _logger.warning("closing a connection failed: %s", type(error).__name__)
        return True


def _other(error: Exception, host: str, chain: list[BaseException]) -> AsyncLLMError | None:
    """Returns our error for exceptions that passed through the library unchanged."""
    if isinstance(error, UnicodeError):
        return ConfigurationError(f"The address of {host} is not a legal host name.")
    if isinstance(error, TimeoutError):
        return IdleTimeoutError(f"{host} was silent for too long.")
    if isinstance(error, (OSError, EOFError)) or _package(error) in RUNTIMES:
        return ConnectionLostError(f"The connection to {host} was lost{_reason(chain)}.")
    return None


def _httpx_row(error: BaseException) -> Row | None:
    for kind in type(error).__mro__:
        if kind.__module__.split(".")[0] in httpx_internals.PACKAGES and (
            row := httpx_internals.ROWS.get(kind.__name__)
        ):
            return row
    return None


def _aiohttp_row(error: BaseException) -> Row | None:
    for kind in type(error).__mro__:
        if kind.__module__.split(".")[0] == "aiohttp" and (row := aiohttp_internals.ROWS.get(kind.__name__)):
            return row
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it was raised from, outermost first.

    httpcore cuts its causes off (``from None``), so that the libraries' contexts count too; anybody else's may be what
    the caller was just handling.
    """
    seen: BaseException | None = error
    for _ in range(_DEEPEST):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or (seen.__context__ if _package(seen) in _FOREIGN else None)


def _package(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


def _reason(chain: list[BaseException]) -> str:
    for cause in reversed(chain):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f": {cause.verify_message}"
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return f": TLS says {cause.reason}"
        if isinstance(cause, OSError) and cause.strerror:
            return f": {cause.strerror}"
    return ""
