"""What a proxy says, told apart from what the provider behind it says.

Where a proxy is used, every failure to connect is the proxy's: nobody else is connected to. A tunnel (``https``) is
refused by the status of the answer to CONNECT, which the HTTP libraries put into an exception. A forwarded request
(``http``) is answered by either of the two; only the status 407 and the headers of `_OWN_HEADERS` are the proxy's own.
The sentences name the proxy's host and port, never its user name or password.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from ..errors import AsyncLLMError, ConnectError, ConnectTimeoutError

WANTS_CREDENTIALS = 407
_OWN_HEADERS = ("proxy-authenticate", "proxy-status", "x-squid-error")
_STATUS = re.compile(r"^(\d{3})\b")
_DEEPEST = 12


def of_proxy(error: BaseException, failure: AsyncLLMError, *, proxy: str, name: str, host: str) -> AsyncLLMError:
    """Returns the failure in the proxy's name, where it is the proxy's; else as it is.

    Args:
        error: what the HTTP library raised.
        failure: our error for it.
        proxy: the proxy's URL.
        name: the key or the variable that names it.
        host: the provider's host.
    """
    if not isinstance(failure, ConnectError) or failure.certificate:
        return failure
    where = _where(proxy, name)
    status = _status(error)
    if status is not None:
        return refusal(status, proxy=proxy, name=name, host=host)
    encrypted = any(isinstance(cause, ssl.SSLError) for cause in _chain(error))
    if encrypted and not proxy.startswith("https"):
        return failure  # the handshake with the provider, through the tunnel
    if isinstance(failure, ConnectTimeoutError):
        return ConnectTimeoutError(f"{host} was not reached through the proxy {where} in time.")
    if encrypted:
        return ConnectError(
            f"The proxy {where} does not speak TLS; its URL begins with https://, and most proxies want http:// there.",
            should_retry=False,
        )
    reason = next(
        (f": {cause.strerror}" for cause in _chain(error) if isinstance(cause, OSError) and cause.strerror), ""
    )
    return ConnectError(f"Could not connect to the proxy {where}, through which {host} is reached{reason}.")


def spoken_by_proxy(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the answer to a forwarded request is the proxy's own."""
    return status == WANTS_CREDENTIALS or (status >= 400 and any(name in headers for name in _OWN_HEADERS))


def refusal(status: int, *, proxy: str, name: str, host: str) -> ConnectError:
    """Returns the error for a proxy that answered with this status instead of connecting.

    Args:
        status: of its answer.
        proxy: its URL.
        name: the key or the variable that names it.
        host: the provider's host.
    """
    where = _where(proxy, name)
    if status == WANTS_CREDENTIALS:
        if urlsplit(proxy).username is None:
            told = "wants a user name and a password; write them into its URL: http://user:password@host:port"
        else:
            told = "refused the user name and the password in its URL"
        return ConnectError(f"The proxy {where} {told} (status 407).", should_retry=False)
    if status < 500:
        return ConnectError(
            f"The proxy {where} does not allow connections to {host} (status {status}); ask whoever runs it, or name "
            "the host in no_proxy if it can be reached directly.",
            should_retry=False,
        )
    return ConnectError(f"The proxy {where} could not connect to {host} (status {status}).")


def _where(proxy: str, name: str) -> str:
    return f"{urlsplit(proxy).netloc.rpartition('@')[2]} (from {name})"


def _status(error: BaseException) -> int | None:
    """The status that refused a tunnel: in the text of httpx's ProxyError, or an attribute of aiohttp's."""
    for cause in _chain(error):
        if "ProxyError" in type(cause).__name__:
            found = getattr(cause, "status", None) or ((text := _STATUS.match(str(cause))) and int(text[1]))
            if found:
                return int(found)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(_DEEPEST):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__
