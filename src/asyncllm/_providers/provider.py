"""A host: its URL, its wire formats and its credential.

A host knows no JSON. What differs between hosts of one wire format is in the codec it was built with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .._auth.signing import Auth
from .._framing.framer import Framer
from .._framing.sse import SSEFramer
from .._protocols.codec import WireProtocol
from .._schema.request import Operation, Request
from .._schema.values import dataclass
from .counting import Counting
from .listings import Listing

if TYPE_CHECKING:
    from .._protocols.batching import Batching
    from .._protocols.filing import Filing


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The wire format of one call, and its path and query (None keeps those of the codec)."""

    protocol: WireProtocol
    path: str | None = None
    query: str | None = None
    framing: Callable[[], Framer] = SSEFramer


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A configured host.

    Attributes:
        name: what the configuration calls it.
        kind: what sort of host it is; the provenance of what it says.
        base_url: without a trailing slash and without a query.
        resolve: (operation, model, request) -> `Route`: how one request travels. The request is None where there is
            none (lists, error texts). Raises `UnsupportedParameterError` for what the host cannot carry at all.
        headers: sent with every request.
        secret_headers: which of them the configuration has set, in lower case: a gateway's key may be among them.
        max_request_bytes: bodies above this are refused before sending; None for no known limit.
        origin: whose words its parts are (`asyncllm._schema.content.Origin.provider`); ``""`` for the kind. Two
            servers of one kind that cannot read each other's signatures need two of them.
        listing: how it lists its models; None where it does not.
        counting: model -> how it counts the tokens of a request; None where it does not.
        query: goes with every request, such as ``api-version=2026-01-01``; ``""`` for none.
        place: where it serves requests, as its address says (a region, ``"eu"``); ``""`` where that is not said.
        batching: model -> how jobs of many requests are made; None where there are none.
        storage: makes the host of buckets of the caller's, for batches; None where there is none.
        filing: how it stores files; None where it stores none.
        urls: where operations are asked that have a host of their own.
        find_out: awaited before each request is written, for what only the network can tell, such as the project of a
            machine; None where nothing is to be found out. Raises `ConfigurationError` or `ConnectError`.
        settings: options of the entry that only its own file reads.
        deployment: which key, region or endpoint of its entry it is; None where the entry has only one.
        account: what its parts name as `asyncllm._schema.content.Origin.account`.
    """

    name: str
    kind: str
    base_url: str
    auth: Auth
    resolve: Callable[[Operation, str, Request | None], Route]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_headers: frozenset[str] = frozenset()
    max_request_bytes: int | None = None
    origin: str = ""
    listing: Listing | None = None
    counting: Callable[[str], Counting | None] | None = None
    query: str = ""
    place: str = ""
    batching: Callable[[str], Batching | None] | None = None
    storage: Callable[[], Provider] | None = None
    filing: Callable[[], Filing] | None = None
    urls: Mapping[Operation, str] = field(default_factory=dict)
    find_out: Callable[[], Awaitable[None]] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    deployment: str | None = None
    account: str = ""

    @property
    def label(self) -> str:
        """The name in messages and prices: that of the entry, with that of the deployment if it has several."""
        return self.name if self.deployment is None else f"{self.name}/{self.deployment}"

    def told(self) -> str:
        """Returns a sentence about the credential, for an error about it. Not every `Auth` has one."""
        told: Callable[[], str] | None = getattr(self.auth, "told", None)
        return "" if told is None else told()


def path_escape(segment: str) -> str:
    """Returns a model id as one segment of a path."""
    return quote(segment, safe="-._~")
