"""A value that a blocking function fetches, kept fresh without ever making the event loop wait.

A fetch runs in a daemon thread of its own (a *flight*), so that neither a cancelled caller nor the end of an event loop
disturbs it, and a server that never answers cannot keep the interpreter from exiting. Its outcome is stored by that
thread. The life of a value:

=========  ==========================  ======================================================
state      until                       a caller
=========  ==========================  ======================================================
fresh      ``refresh_at``              gets it at once
stale      ``expires_at``              gets it at once; the first one starts a flight
none       the flight lands            waits for the one flight that all callers share
=========  ==========================  ======================================================

A flight that fails while the value is still good is logged and tried again later; one that fails without a good value
raises in everybody who waited for it, each a copy of its own.

Waiting: one caller for each event loop sits in a worker thread until the flight lands (`anyio.to_thread.run_sync`), the
others wait for that caller; when it is cancelled the next one takes its place. What belongs to a loop is kept in a
``RunVar``, which dies with the loop, so a value may be used from one loop after another, asyncio's or trio's.
"""

from __future__ import annotations

import copy
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

T = TypeVar("T")
_log = logging.getLogger("asyncllm.engine")

RETRY_AFTER = 30.0
"""Seconds until a fetch that failed is tried again while the old value is still good."""
SETTLED = 5.0
"""Seconds after a renewal during which a refusal is taken to be of the value before it."""


@dataclass(frozen=True, slots=True)
class Fetched(Generic[T]):
    """Holds what a fetch gives.

    Attributes:
        value: the value.
        refresh_at: when to fetch the next one, in seconds on the clock of the `Refreshing`.
        expires_at: from when on it must not be used any more.
    """

    value: T = field(repr=False)
    refresh_at: float = math.inf
    expires_at: float = math.inf


class _Flight(Generic[T]):
    """Runs one fetch, for which any number of callers wait."""

    def __init__(self, fetch: Callable[[], T]) -> None:
        self.landed = threading.Event()
        self._fetch = fetch
        self._lock = threading.Lock()
        self._waiting: list[Callable[[], None]] = []
        self._value: T | None = None
        self._error: Exception | None = None
        self.thread = threading.Thread(target=self._fly, name="asyncllm credentials", daemon=True)
        self.thread.start()

    def _fly(self) -> None:
        try:
            self._value = self._fetch()
        except Exception as error:  # noqa: BLE001  # raised again in whoever waits
            self._error = error.with_traceback(None)
        with self._lock:
            self.landed.set()
        for wake in self._waiting:
            wake()

    def call_when_landed(self, wake: Callable[[], None]) -> None:
        """Calls ``wake`` from the flight's thread, or at once where it has landed."""
        with self._lock:
            if not self.landed.is_set():
                self._waiting.append(wake)
                return
        wake()

    def outcome(self) -> T:
        """Returns the fetched value, or raises a copy of the fetch's error: each caller completes its own."""
        if self._error is not None:
            raise copy.copy(self._error)
        return self._value  # type: ignore[return-value]  # it has landed without an error


class Refreshing(Generic[T]):
    """Keeps one value: it is fetched when it is needed, and again before it expires.

    Args:
        fetch: blocks and gives the value; runs in a thread, never twice at once. Its argument says whether the value
            before was refused, so that nothing remembered may be given again. It raises errors of
            `asyncllm.errors`, whose sentences are for the user and hold no secret.
        clock: seconds, on the clock that expiry is told by.
    """

    def __init__(self, fetch: Callable[[bool], Fetched[T]], *, clock: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Fetched[T] | None = None
        self._flight: _Flight[T] | None = None
        self._renewed_at = -math.inf
        self._renewed = False
        # RunVars of old anyio versions are told apart by their names.
        self._leader: RunVar[anyio.Event | None] = RunVar(f"asyncllm-{uuid.uuid4().hex}", None)

    async def get(self) -> T:
        """Returns the value, without waiting if there is a valid one.

        Raises:
            AuthenticationError: it could not be had; the sentence says what to do.
            ConnectError: the server it comes from could not be reached.
        """
        held, now = self._held, self._clock()
        if held is not None and now < held.expires_at:
            if now >= held.refresh_at:
                self._start(renew=False)
            return held.value
        flight = self._start(renew=False)
        await self._land(flight)
        return flight.outcome()

    async def refresh(self) -> bool:
        """Fetches again after the value was refused. Callers that ask at about the same time share one fetch.

        Returns:
            Whether the value is another one now.

        Raises:
            AuthenticationError, ConnectError: as `get` does.
        """
        if self._clock() - self._renewed_at < SETTLED:
            return self._renewed
        refused = self._held
        flight = self._start(renew=True)
        await self._land(flight)
        return refused is None or flight.outcome() != refused.value

    def _start(self, *, renew: bool) -> _Flight[T]:
        """Returns the fetch that is under way, or starts one."""
        with self._lock:
            flight = self._flight
            if flight is None or flight.landed.is_set() or not flight.thread.is_alive():
                flight = self._flight = _Flight(lambda: self._work(renew))
            return flight

    def _work(self, renew: bool) -> T:
        """Runs a fetch in its thread."""
        before = self._held
        try:
            held = self._fetch(renew)
        except Exception as error:
            now = self._clock()
            if before is not None and not renew and now < before.expires_at:
                self._held = replace(before, refresh_at=now + RETRY_AFTER)
                _log.warning(
                    "a credential could not be refreshed; the present one is used until it expires: %s",
                    error,
                    extra={"event": "credential"},
                )
            raise
        self._held = held
        if renew:
            self._renewed = before is None or before.value != held.value
            self._renewed_at = self._clock()
        return held.value

    async def _land(self, flight: _Flight[T]) -> None:
        while not flight.landed.is_set():
            leading = self._leader.get()
            if leading is None:
                await self._lead(flight)
            else:
                await leading.wait()

    async def _lead(self, flight: _Flight[T]) -> None:
        """Waits for a fetch in a worker thread, on behalf of every caller of this loop."""
        event, wake = anyio.Event(), threading.Event()
        self._leader.set(event)
        flight.call_when_landed(wake.set)
        try:
            # A limiter of its own: an application that keeps its worker threads busy cannot hold this up.
            await anyio.to_thread.run_sync(wake.wait, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
        finally:
            wake.set()
            self._leader.set(None)
            event.set()
