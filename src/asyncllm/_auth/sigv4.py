"""AWS Signature Version 4: signs each request with a secret key that is never sent itself.

What is signed: the method, the path (percent-encoded once more than it is on the wire), the sorted query, the headers
and the SHA-256 of the body, bound to a time, a region and a service. The key of a day, region and service is derived
from the secret and kept until the day or the secret changes; what follows from a URL alone is kept as well. Nothing
else is: a retry is signed anew, because the time is part of it.

Headers that proxies and HTTP libraries add or drop are left out of the signature; any other header is in it, so nothing
may be changed after `SigV4.sign`. Source: AWS "Signature Version 4", botocore 1.44 (auth.py), November 2026.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import sha256
from typing import NamedTuple, Protocol
from urllib.parse import quote, urlsplit

from .._transport.base import Headers

UNSIGNED = frozenset(
    {
        "authorization",
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)
"""Headers that are not part of the signature."""

_REPLACED = frozenset({"authorization", "x-amz-date", "x-amz-security-token", "date"})
_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
_MOST_URLS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class AWSKeys:
    """Holds one set of credentials; the repr shows none of it.

    Attributes:
        access_key: the id of the key, which travels with every request.
        secret_key: what is signed with.
        token: the session token of temporary credentials.
    """

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class AWSCredentials(Protocol):
    """Gives keys, which may change between two requests."""

    async def get(self) -> AWSKeys:
        """Returns the keys to sign with now.

        Raises:
            AuthenticationError: there are none, or they cannot be had.
        """
        ...

    async def refresh(self) -> bool:
        """Looks for other keys after these were refused. Returns False if there are none."""
        ...


class SigV4:
    """Signs requests; a value of `asyncllm._auth.signing.Auth`.

    Args:
        credentials: where the keys come from.
        region: the region of the endpoint (``"us-east-1"``).
        service: the name that the service signs under, which need not be that of its host.
        clock: seconds since the epoch.
    """

    __slots__ = ("_clock", "_credentials", "_key", "_region", "_service", "_stamp", "_urls")

    def __init__(
        self,
        credentials: AWSCredentials,
        *,
        region: str,
        service: str = "bedrock",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._region = region
        self._service = service
        self._clock = clock
        self._key: _DayKey | None = None
        self._stamp = (0, "")
        self._urls: dict[str, _Address] = {}

    async def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers:
        """Returns the headers with date, session token and signature. Headers of the same names are replaced.

        Raises:
            AuthenticationError: there are no keys, or they cannot be had.
        """
        keys = await self._credentials.get()
        second = int(self._clock())
        stamp = self._at(second)
        plain = [(name.lower(), value) for name, value in headers]
        sent = [pair for pair in plain if pair[0] not in _REPLACED]
        # A request that came with a Date header says its time there.
        dated = any(name == "date" for name, _ in plain)
        sent.append(("date", formatdate(second)) if dated else ("x-amz-date", stamp))
        if keys.token:
            sent.append(("x-amz-security-token", keys.token))
        address = self._address(url)
        names, lines = _canonical_headers(sent, address.host)
        digest = next((value for name, value in plain if name == "x-amz-content-sha256"), None)
        canonical = (
            f"{method.upper()}\n{address.path}\n{address.query}\n{lines}\n\n{names}\n"
            f"{digest if digest is not None else sha256(body).hexdigest()}"
        )
        key = self._day_key(keys, stamp[:8])
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{key.scope}\n{sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(key.key, text.encode(), "sha256").hex()
        sent.append(("authorization", f"{key.credential}, SignedHeaders={names}, Signature={signature}"))
        return Headers(sent)

    def told(self) -> str:
        """Returns a sentence about which key signed: the end of its id, which is no secret, and the region."""
        if self._key is None:
            return ""
        return (
            f"The request was signed with the AWS access key that ends in {self._key.keys.access_key[-4:]!r}, "
            f"for the region {self._region}."
        )

    async def refresh(self) -> bool:
        """Looks for other keys; False when the same ones were found again."""
        return await self._credentials.refresh()

    def __repr__(self) -> str:
        return f"SigV4({self._service} in {self._region})"

    def _at(self, second: int) -> str:
        """Returns a time in the form that AWS wants. The last one is kept, as a busy client asks for the same second
        many times.
        """
        if self._stamp[0] != second:
            self._stamp = (second, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second)))
        return self._stamp[1]

    def _address(self, url: str) -> _Address:
        address = self._urls.get(url)
        if address is None:
            if len(self._urls) >= _MOST_URLS:  # models come from callers: the memory of their URLs is bounded
                self._urls.clear()
            address = self._urls[url] = _read_address(url)
        return address

    def _day_key(self, keys: AWSKeys, day: str) -> _DayKey:
        held = self._key
        if held is None or held.day != day or held.keys is not keys:
            held = self._key = _derive(keys, day, self._region, self._service)
        return held


class _Address(NamedTuple):
    """Holds the parts of a URL that are signed."""

    host: str
    path: str
    query: str


class _DayKey(NamedTuple):
    """Holds the signing key of one day, and whose it is."""

    keys: AWSKeys
    day: str
    key: bytes
    scope: str
    credential: str


def _derive(keys: AWSKeys, day: str, region: str, service: str) -> _DayKey:
    key = f"AWS4{keys.secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    scope = f"{day}/{region}/{service}/aws4_request"
    return _DayKey(keys, day, key, scope, f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}")


def _read_address(url: str) -> _Address:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port is not None and parts.port != _PORTS.get(parts.scheme):
        host = f"{host}:{parts.port}"
    pairs = sorted(pair.partition("=")[::2] for pair in parts.query.split("&")) if parts.query else []
    query = "&".join([f"{name}={value}" for name, value in pairs])
    return _Address(host, quote(_plain_path(parts.path), safe="/~"), query)


def _plain_path(path: str) -> str:
    """Returns the path without dot segments and doubled slashes."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment and segment != ".":
            kept.append(segment)
    plain = "/".join(kept)
    return ("/" if path.startswith("/") or not path else "") + plain + ("/" if path.endswith("/") and kept else "")


def _canonical_headers(headers: Iterable[tuple[str, str]], host: str) -> tuple[str, str]:
    """The names that are signed, and the lines that are signed."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name not in UNSIGNED:
            value = " ".join(value.split())
            found[name] = f"{found[name]},{value}" if name in found else value
    found.setdefault("host", host)
    names = sorted(found)
    return ";".join(names), "\n".join([f"{name}:{found[name]}" for name in names])
