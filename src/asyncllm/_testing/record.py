"""What arrives at the simulator, and what it remembers of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .model import ModelRequest

CREDENTIALS = frozenset(
    {"authorization", "x-api-key", "api-key", "x-goog-api-key", "x-amz-security-token", "proxy-authorization", "cookie"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Holds one HTTP request, read to its end.

    Attributes:
        path: below the provider's base URL.
        headers: lower-case names.
        body: decoded; None when it is empty or not JSON.
        content: the body as it came; None when it was over the bound.
        target: the whole path and query, as sent.
        connection: the number of the connection it came on.
        continued: the history that the request names is in the body.
    """

    provider: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any
    content: bytes | None
    target: str
    connection: int
    continued: bool = False


@dataclass(slots=True, kw_only=True)
class Received:
    """Holds a request as the simulator remembers it.

    Attributes:
        number: counted from 1, in order of arrival.
        provider: the kind of host it was sent to.
        wire: the wire format; ``""`` when the path belongs to none.
        operation: ``"generate"``, ``"models"``, ``"model"``, ``"count_tokens"``, or ``"unknown"``.
        model: the model asked for; ``""`` when none was named.
        stream: a stream was asked for.
        path: as sent, without the query.
        headers: lower-case names, without credentials.
        authenticated: it brought credentials.
        body: the JSON sent; None when there was none.
        asked: the request in the same terms for every wire (``prompt``, ``tools``, ``max_tokens``); None unless a model
            was asked for a reply.
        connection: the number of the connection it came on.
        time: seconds since the epoch.
        status: the HTTP status answered; None when it was none.
        fault: the kind of the fault that happened to it.
        outcome: ``"sent"``, ``"broken off"`` (by a fault) or ``"abandoned"`` (the client left first); None while it is
            being answered.
        writes: how many writes of the body were made.
    """

    number: int
    provider: str
    wire: str
    operation: str
    model: str
    stream: bool
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    authenticated: bool
    body: Any
    connection: int
    time: float
    status: int | None = None
    fault: str | None = None
    outcome: str | None = None
    writes: int = 0
    asked: ModelRequest | None = None
