"""The interface of a wire format, seen from the server's side.

A wire reads a request into a `ModelRequest` or says what is wrong with it, as the provider would, and writes replies,
streams and errors in the provider's form. It knows nothing of sockets, delays and faults.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

from ..listing import ListedModel
from ..model import ModelRequest, Reply
from ..record import Arrival
from .framings import Framing

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Describes an error answer: None where the wire's usual word for the status will do.

    Attributes:
        wait: seconds after which to come again, for wires that say so in the body.
    """

    status: int
    code: str | None = None
    message: str | None = None
    param: str | None = None
    wait: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Says what a path means: ``generate``, ``models``, ``model`` or ``count_tokens``; the model and stream where
    known.
    """

    name: str
    model: str = ""
    stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Says what the server insists on.

    Attributes:
        keys: the keys it accepts, also by their beginning (``"sk-sim-*"``); None accepts every request.
        models: the models that exist; None for all.
        retired: the models that existed once.
        signatures: thinking that is sent back must carry the signature it was given.
    """

    keys: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    retired: tuple[str, ...] = ()
    signatures: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Holds the facts of one answer that are not the model's: ids, time, and how finely a stream is cut.

    Attributes:
        token: a deterministic word, unique in this simulator, that ids are made of.
        now: seconds since the epoch.
        chunk_size: characters in one event.
        listed: what is known of the model, where the simulator was told of any.
    """

    token: str
    now: float
    chunk_size: int = 8
    listed: ListedModel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Holds a stream, event by event, ready to be sent.

    Attributes:
        content: where in ``data`` the events with content are, ascending.
        end: where the protocol's own end begins; everything from here on is missing in a truncated stream.
    """

    data: Sequence[bytes]
    content: Sequence[int]
    end: int


class Wire(Protocol):
    """Reads requests and writes answers in one wire format of the simulator."""

    @property
    def name(self) -> str:
        """Returns the format's name, as in `asyncllm._schema.content.Origin`."""
        ...

    @property
    def framing(self) -> Framing:
        """Returns how its streams are cut into events."""
        ...

    @property
    def heartbeat(self) -> bytes:
        """Returns what this format sends to keep a stream alive; empty where it has nothing for that."""
        ...

    @property
    def waits_in_body(self) -> bool:
        """Returns whether waiting times are in the error body, not in a header."""
        ...

    def operation(self, arrival: Arrival) -> Operation | None:
        """Returns what the request wants; None when the path is not of this format."""
        ...

    def check(self, arrival: Arrival, operation: Operation, rules: Rules) -> Problem | None:
        """Returns what the provider would refuse the request for; None if it takes it."""
        ...

    def too_long(self, length: int, window: int) -> Problem:
        """Returns the refusal of a prompt that does not fit the context window."""
        ...

    def parse(self, arrival: Arrival, operation: Operation) -> ModelRequest:
        """Reads a request that passed `check`."""
        ...

    def unary(self, request: ModelRequest, reply: Reply, turn: Turn) -> bytes:
        """Returns the whole answer."""
        ...

    def events(self, request: ModelRequest, reply: Reply, turn: Turn) -> Events:
        """Returns the answer as a stream."""
        ...

    def error(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error body."""
        ...

    def error_event(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as an event of a stream."""
        ...

    def failed(self, problem: Problem, turn: Turn) -> bytes:
        """Returns the error as the body of a 200 that is no stream."""
        ...

    def headers(self, status: int, turn: Turn, code: str | None = None) -> Headers:
        """Returns what every answer carries: the request id and the rate limits; ``code`` is that of an error."""
        ...

    def look_up(self, arrival: Arrival, operation: Operation, models: Sequence[ListedModel]) -> bytes:
        """Returns the answer to everything but ``generate``: the list of models, one of them, a count of tokens."""
        ...


class Gathered:
    """Gathers the text of a prompt, put together in the order the provider caches it, with the cache marks in it."""

    __slots__ = ("_length", "_parts", "marks")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self.marks: list[tuple[int, str]] = []

    def add(self, text: str) -> None:
        """Adds more text."""
        self._parts.append(text)
        self._length += len(text)

    def mark(self, lifetime: str) -> None:
        """Sets a cache mark here."""
        self.marks.append((self._length, lifetime))

    @property
    def text(self) -> str:
        """Returns the whole text."""
        return "".join(self._parts)


def dumps(value: Any) -> bytes:
    """Writes compact JSON, as providers send it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def token_of(*facts: object) -> str:
    """Returns a word of 24 letters and digits that these facts always give."""
    return blake2b(":".join(map(str, facts)).encode(), digest_size=12).hexdigest()


def accepted(key: str, keys: tuple[str, ...]) -> bool:
    """Whether a key is one of these; ``*`` at the end stands for any rest."""
    return any(key.startswith(each[:-1]) if each.endswith("*") else key == each for each in keys)
