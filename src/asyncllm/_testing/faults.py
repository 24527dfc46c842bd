"""What can go wrong between a client and a provider, a named constructor each.

A `Fault` says what happens instead of the answer; `Simulator.on` says to which model, and the fault itself how often:
``times`` counts, ``probability`` draws from the simulator's seed, ``when`` asks the request. Without any of them it
happens every time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from typing_extensions import Self

    from .record import Received

Kind = Literal[
    "status", "answer", "redirect", "reset", "cut", "truncate", "stall", "error_event", "malformed", "bad_utf8", "html",
    "empty", "heartbeats", "drip", "huge", "gzip_bomb", "stale",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Fault:
    """Describes one thing that goes wrong.

    Use the named constructors; ``Fault(status=503, times=2)`` is short for ``Fault.status(503, times=2)``.

    Attributes:
        kind: what happens.
        code: the HTTP status, where one is answered or named in an error event.
        after_events: how many content events a stream delivers before it happens; None: before the head of the answer.
        seconds: how long a stall or heartbeats last; None for ever.
        detail: what else the kind needs.
        times: how often it happens at most; None for always.
        probability: of happening to a request that it could happen to.
        when: whether it can happen to this request.
    """

    kind: Kind
    code: int | None
    after_events: int | None
    seconds: float | None
    detail: Mapping[str, Any] = field(hash=False)
    times: int | None
    probability: float | None
    when: Callable[[Received], bool] | None

    def __init__(
        self,
        *,
        status: int | None = None,
        kind: Kind = "status",
        after_events: int | None = 0,
        seconds: float | None = None,
        times: int | None = None,
        probability: float | None = None,
        when: Callable[[Received], bool] | None = None,
        **detail: Any,
    ) -> None:
        if kind == "status" and status is None:
            raise TypeError("Fault() needs status=..., or use a named constructor such as Fault.stall()")
        if probability is not None and not 0 <= probability <= 1:
            raise ValueError(f"probability is {probability}; it must lie between 0 and 1")
        values = (kind, status, after_events, seconds, detail, times, probability, when)
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)

    @classmethod
    def status(
        cls,
        status: int,
        *,
        code: str | None = None,
        message: str | None = None,
        retry_after: float | str | datetime | None = None,
        retry_after_ms: int | None = None,
        should_retry: bool | None = None,
        headers: Mapping[str, str] | None = None,
        **often: Any,
    ) -> Self:
        """Answers with a status and the provider's own error body for it.

        Args:
            status: the HTTP status.
            code: the provider's machine code (``"insufficient_quota"``); the usual one of the status when None.
            message: the provider's message; the usual one when None.
            retry_after: the ``retry-after`` header: seconds, a date, or any text.
            retry_after_ms: the ``retry-after-ms`` header.
            should_retry: the ``x-should-retry`` header.
            headers: more headers.
            often: ``times``, ``probability``, ``when``.
        """
        return cls(
            status=status,
            code=code,
            message=message,
            retry_after=retry_after,
            retry_after_ms=retry_after_ms,
            should_retry=should_retry,
            headers=dict(headers or {}),
            **often,
        )

    @classmethod
    def answer(cls, body: bytes, *, status: int = 200, content_type: str = "application/json", **often: Any) -> Self:
        """Answers with exactly this body."""
        return cls(kind="answer", status=status, body=body, content_type=content_type, **often)

    @classmethod
    def redirect(cls, location: str = "http://127.0.0.1:9/elsewhere", *, status: int = 307, **often: Any) -> Self:
        """Sends the client elsewhere."""
        return cls(kind="redirect", status=status, location=location, **often)

    @classmethod
    def reset(cls, *, after_events: int | None = None, **often: Any) -> Self:
        """Resets the connection (TCP RST): before the head of the answer, or after so many content events."""
        return cls(kind="reset", after_events=after_events, **often)

    @classmethod
    def cut(cls, *, after_events: int | None = 1, **often: Any) -> Self:
        """Closes the connection in the middle of the body, without the chunk that ends it; None: before the head."""
        return cls(kind="cut", after_events=after_events, **often)

    @classmethod
    def truncate(cls, *, after_events: int | None = None, **often: Any) -> Self:
        """Ends a stream properly as HTTP but without the protocol's own end; None: after all content."""
        return cls(kind="truncate", after_events=after_events, **often)

    @classmethod
    def stall(
        cls,
        *,
        after: Literal["request", "headers", "content"] = "headers",
        seconds: float | None = None,
        after_events: int | None = None,
        **often: Any,
    ) -> Self:
        """Falls silent and then goes on as if nothing had happened.

        Args:
            after: silent before the head of the answer (``"request"``), before the first content (``"headers"``), or
                after content (``"content"``).
            seconds: how long; None until the client leaves or the simulator closes.
            after_events: after how many content events; 1 for ``"content"``.
            often: ``times``, ``probability``, ``when``.
        """
        if after_events is None:
            after_events = {"request": None, "headers": 0, "content": 1}[after]
        return cls(kind="stall", after_events=after_events, seconds=seconds, **often)

    @classmethod
    def error_event(
        cls,
        *,
        status: int = 503,
        code: str | None = None,
        message: str | None = None,
        after_events: int = 0,
        **often: Any,
    ) -> Self:
        """Sends an error inside a 200: an error event in a stream, an error body otherwise.

        Args:
            status: the status whose error it is.
            code: the provider's machine code.
            message: the provider's message.
            after_events: content events delivered before it.
            often: ``times``, ``probability``, ``when``.
        """
        return cls(kind="error_event", status=status, code=code, message=message, after_events=after_events, **often)

    @classmethod
    def malformed(cls, *, after_events: int = 0, **often: Any) -> Self:
        """Sends broken JSON: in one event of a stream, or half of the body."""
        return cls(kind="malformed", after_events=after_events, **often)

    @classmethod
    def bad_utf8(cls, *, after_events: int = 0, **often: Any) -> Self:
        """Sends bytes that are not UTF-8 inside a JSON string."""
        return cls(kind="bad_utf8", after_events=after_events, **often)

    @classmethod
    def html(cls, *, status: int = 200, **often: Any) -> Self:
        """Sends a web page, as captive portals and proxies do."""
        return cls(kind="html", status=status, **often)

    @classmethod
    def empty(cls, *, status: int = 200, **often: Any) -> Self:
        """Sends no body at all."""
        return cls(kind="empty", status=status, **often)

    @classmethod
    def heartbeats(
        cls, *, interval: float = 0.05, seconds: float | None = None, after_events: int = 0, **often: Any
    ) -> Self:
        """Sends only heartbeats (comments or pings) every ``interval`` seconds; goes on after ``seconds``, or never."""
        return cls(kind="heartbeats", interval=interval, seconds=seconds, after_events=after_events, **often)

    @classmethod
    def drip(cls, *, size: int = 1, interval: float = 0.02, **often: Any) -> Self:
        """Sends the body in writes of ``size`` bytes every ``interval`` seconds."""
        return cls(kind="drip", size=size, interval=interval, **often)

    @classmethod
    def huge(cls, *, size: int = 100 * 2**20, **often: Any) -> Self:
        """Sends a body of at least ``size`` bytes: one endless line in a stream, blanks before the JSON otherwise."""
        return cls(kind="huge", size=size, **often)

    @classmethod
    def gzip_bomb(cls, *, size: int = 200 * 2**20, **often: Any) -> Self:
        """Sends a small gzip body that decodes to at least ``size`` bytes."""
        return cls(kind="gzip_bomb", size=size, **often)

    @classmethod
    def stale(cls, *, late: bool = False, **often: Any) -> Self:
        """Answers properly, then closes the kept-alive connection without a word.

        Args:
            late: only when the next request arrives on it, which no client can see coming; else at once.
            often: ``times``, ``probability``, ``when``.
        """
        return cls(kind="stale", late=late, **often)


class _Rule:
    """Holds a fault with its target, how often it may still happen, and its own draws."""

    __slots__ = ("draws", "fault", "left", "model", "operation", "provider")

    def __init__(self, model: str, provider: str | None, operation: str, fault: Fault, seed: str) -> None:
        self.model = model
        self.provider = provider
        self.operation = operation
        self.fault = fault
        self.left = fault.times
        self.draws = Random(seed)  # noqa: S311 - draws that can be repeated, nothing secret

    def hits(self, request: Received) -> bool:
        if self.left == 0 or self.model not in ("*", request.model) or self.operation not in ("*", request.operation):
            return False
        if self.provider not in (None, request.provider):
            return False
        fault = self.fault
        if fault.when is not None and not fault.when(request):
            return False
        if fault.probability is not None and self.draws.random() >= fault.probability:
            return False
        if self.left is not None:
            self.left -= 1
        return True


class FaultPlan:
    """Decides which fault, if any, happens to a request: the first rule that applies, in the order they were given."""

    __slots__ = ("_count", "_rules", "_seed")

    def __init__(self, seed: int) -> None:
        self._rules: list[_Rule] = []
        self._seed = seed
        self._count = 0

    def add(self, model: str, fault: Fault, provider: str | None, operation: str) -> None:
        """Adds a rule behind the others."""
        self._count += 1
        self._rules.append(_Rule(model, provider, operation, fault, f"{self._seed}:{self._count}"))

    def remove(self, model: str | None) -> None:
        """Removes the rules for a model; all of them for None."""
        self._rules = [rule for rule in self._rules if model not in (None, rule.model)]

    def pick(self, request: Received) -> Fault | None:
        """Returns the fault for this request, and counts it; None if nothing goes wrong."""
        for rule in self._rules:
            if rule.hits(request):
                return rule.fault
        return None
