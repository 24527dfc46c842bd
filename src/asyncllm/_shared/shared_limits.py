"""Limits and health that hold over every process: `SharedLimits` takes the place of `Limits`.

The theory. Each attempt asks the store once, in one script (`shared_limits.lua`): it passes all its limits at once or
learns how long to wait. What it used, how it ended and what its target is off for travels with a later question. The
store counts by its own clock; nothing that a process says has a moment in it.

Every process also counts what it takes itself, in meters of its own (`OwnMeter`). They let everything pass while the
store answers. When it does not, they hold the process to its share: the limit divided by the processes that were seen
in the last window, at least 1. The rules that keep the sum below the limit in every window:

* A meter that becomes its own master may take, in the first window, no more than what it took earlier and has left the
  window, and its part of what was free when the store was last heard (nothing where calls had to wait in the last
  window, because others may have taken it since); and never more than its share.
* When the store answers again, the process first tells what it took meanwhile (all that it took in the last window,
  where the store has lost its memory), and keeps to its share for one more window. By then every process has told.
* A store that has lost its memory begins another epoch. A process that knows the former one gets nothing before it has
  told what it took, also when it never saw the store gone.

A lease of concurrency that nobody gives back (its process died) ends by itself after `LEASE` seconds.
"""

from __future__ import annotations

import json
import logging
import math
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Literal

import anyio

from .._config.sections import LimitBounds, SharedSettings
from .._engine import limits as plain
from .._engine.health import Health, TargetState
from .._engine.lifetime import Background
from .._engine.limits import LimitRules, Limits, LimitTurn, Meter, Reservation
from .._engine.target import Key, Target
from .._schema.response import RateLimits
from ..errors import LimitTimeoutError
from .courier import Courier, Told
from .redis_connection import RedisConnection, StoreGoneError

LEASE = 900.0  # seconds; longer than the longest attempt of the default timeouts
MARGIN = 1.025  # of a window, as in the script: requests that were granted at one moment leave a little apart
BETWEEN_PROBES = 1.0  # seconds between two looks whether the store is back
LONGEST_NAP = 1.0  # seconds; others may give back what they had reserved
_log = logging.getLogger("asyncllm.engine")


class OwnMeter(Meter):
    """What this process itself takes of a limit; it binds only while the process is its own master.

    Attributes:
        bounds: the limit over all processes.
        used: requests and tokens of all processes in the window, when the store was last heard.
        full_at: when a call had to wait last.
    """

    def __init__(self, name: str, clock: Callable[[], float], bounds: LimitBounds) -> None:
        super().__init__(name, clock)
        self.bounds = bounds
        self.used = (0, 0)
        self.full_at = -math.inf
        self._minute = plain.MINUTE * MARGIN
        self._windowed = bool(bounds)
        self._master_since = math.inf
        self._spare_requests = self._spare_tokens = math.inf

    def become_master(self, processes: int) -> None:
        """The store is gone: this process keeps to its share."""
        bounds = self.bounds
        self._most_concurrent = _share(bounds.concurrent, processes)
        self._most_requests = _share(bounds.requests_per_minute, processes)
        self._most_tokens = _share(bounds.tokens_per_minute, processes)
        if self._master_since == math.inf:
            self._master_since = self._clock()
            requests, tokens = self.used
            part = 0.0 if self._clock() < self.full_at + self._minute else 1 / processes
            if bounds.requests_per_minute is not None:
                self._spare_requests = int(max(0, bounds.requests_per_minute - requests) * part)
            if bounds.tokens_per_minute is not None:
                self._spare_tokens = int(max(0, bounds.tokens_per_minute - tokens) * part)

    def serve_store(self) -> None:
        """The store decides again."""
        self._most_concurrent = self._most_requests = self._most_tokens = math.inf
        self._master_since = self._spare_requests = self._spare_tokens = math.inf
        self._serve()

    def taken(self, since: float = -math.inf) -> list[tuple[float, int, int]]:
        """What this process took in the last window: age in seconds, requests, tokens."""
        now = self._clock()
        return [(now - one.at, 1, one.tokens) for one in self._recent if one.at >= since]

    def taken_anew(self, reservation: Reservation) -> None:
        """The store granted it now, a while after it was reserved here."""
        if reservation in self._recent:
            self._recent.remove(reservation)
            reservation.at = self._clock()
            self._recent.append(reservation)

    def cancel(self, reservation: Reservation) -> None:
        """As in a plain meter; what was free before is free again."""
        if reservation.at >= self._master_since:
            self._spare_requests += 1
            self._spare_tokens += reservation.tokens
        super().cancel(reservation)

    def _take(self, tokens: int) -> Reservation:
        self._spare_requests -= 1
        self._spare_tokens -= tokens
        return super()._take(tokens)

    def _free_at(self, tokens: int) -> float:
        now, recent = self._clock(), self._recent
        while recent and recent[0].at + self._minute <= now:
            gone = recent.popleft()
            self._recent_tokens -= gone.tokens
            if gone.at < self._master_since:
                self._spare_requests += 1
                self._spare_tokens += gone.tokens
        at = super()._free_at(tokens)
        if now >= self._master_since + self._minute or (self._spare_requests >= 1 and self._spare_tokens >= tokens):
            return at
        former = recent[0].at if recent and recent[0].at < self._master_since else self._master_since
        return max(at, former + self._minute)


def _share(limit: int | None, processes: int) -> float:
    return math.inf if limit is None else max(1, limit // processes)


class SharedTurn(LimitTurn):
    """What one attempt holds: of its own process's meters, and of the store."""

    __slots__ = ("_limits", "_own", "_target", "granted")

    def __init__(self, limits: SharedLimits, target: Target, own: LimitTurn | None, waited: float) -> None:
        super().__init__(waited, [])
        self._limits = limits
        self._own = own
        self._target = target
        self.granted: tuple[Told, Told] | None = None

    def ended(self, tokens: int | None, limits: RateLimits | None) -> None:
        """The attempt is over: the store learns what it took, and what its target is off for."""
        if self._own is not None:
            self._own.ended(tokens, None)
        granted, self.granted = self.granted, None
        self._limits.tell_end(self._target, granted, tokens, limits)

    def cancel(self) -> None:
        """The attempt was never made."""
        if self._own is not None:
            self._own.cancel()
        granted, self.granted = self.granted, None
        if granted is not None:
            self._limits.tell_void(*granted)


class SharedLimits(Limits):
    """The limits of a client that are counted by a store for every process.

    Args:
        rules: the limits.
        settings: where the store is.
        health: what is known of targets; the store tells it what other processes found.
    """

    def __init__(self, rules: LimitRules, settings: SharedSettings, health: Health) -> None:
        self._settings = settings
        self._health = health
        self._connection = RedisConnection(
            settings.url.get_secret_value(), cluster=settings.cluster, timeout=settings.timeout
        )
        self._script = ""
        self._random = random.SystemRandom()  # also after a fork each process has numbers of its own
        self._process = uuid.uuid4().hex
        self._epoch: str | None = None
        self._processes = 1
        self._state: Literal["shared", "alone", "returning"] = "shared"
        self._alone_since = self._returned_at = 0.0
        self._probed_at = -math.inf
        self._courier: Courier | None = None
        self._background: Background | None = None
        self._own: list[OwnMeter] = []
        self._doors: dict[Key, Meter] = {}
        self._freed = anyio.Event()
        self._known: dict[Key, tuple[float, float]] = {}
        super().__init__(rules, lambda: health.now())

    def _meter(self, name: str, bounds: LimitBounds) -> Meter:
        meter = OwnMeter(name, self._clock, bounds)
        if bounds:
            self._own.append(meter)
            if self._state != "shared":
                meter.become_master(self._processes)
        return meter

    def attach(self, background: Background) -> None:
        """Works on another event loop from now on: what waited or was under way is gone with the former one."""
        super().attach(background)
        self._doors.clear()
        self._freed = anyio.Event()
        self._background = background
        self._courier = Courier(self._carry, background.spawn, _undo)

    async def aclose(self) -> None:
        """Tells the store what it has not been told yet, and closes the connection to it."""
        if self._courier is not None:
            with anyio.move_on_after(2 * self._settings.timeout):
                await self._courier.flush()
        await self._connection.aclose()

    # Taking.

    async def acquire(self, target: Target, count: Callable[[], int], priority: int, seconds: float) -> LimitTurn:
        """Waits for its turn under every limit, over all processes; the arguments are those of `Limits.acquire`.

        Raises:
            LimitTimeoutError: its turn did not come in time, or the store is gone and ``on_error`` is ``error``.
        """
        began = self._clock()
        deadline = began + seconds
        while True:
            own = await super().acquire(target, count, priority, deadline - self._clock())
            turn = SharedTurn(self, target, own, 0.0)
            if self._state == "alone":
                self._look()
                return turn
            try:
                granted = await self._granted(target, 0 if own is None else count(), priority, deadline)
            except BaseException:
                turn.cancel()
                raise
            if granted is not None:
                turn.granted = granted
                turn.waited = self._clock() - began
                if own is not None and turn.waited > 0.01:
                    for meter, reservation in own.held:
                        meter.taken_anew(reservation)  # type: ignore[attr-defined]  # all are `OwnMeter`
                return turn
            turn.cancel()  # the store has gone meanwhile: once more, by this process's own meters

    async def _granted(self, target: Target, tokens: int, priority: int, deadline: float) -> tuple[Told, Told] | None:
        """The question and the reply of the store that let the attempt pass; None where the store is gone."""
        door = self._doors.get(target.key)
        question = self._question(target, tokens)
        if door is None or not door.in_use:
            reply = await self._asked(target, question)
            if reply is None or reply.get("granted"):
                return None if reply is None else (question, reply)
            if door is None:
                door = self._doors.setdefault(target.key, Meter(str(target), self._clock, concurrent=1))
        await door.acquire(0, priority, deadline)  # the first in the queue asks, the others wait behind it
        try:
            while True:
                reply = await self._asked(target, question)
                if reply is None or reply.get("granted"):
                    return None if reply is None else (question, reply)
                left = deadline - self._clock()
                if left <= 0.01:
                    raise LimitTimeoutError(f"the shared limit of {target} had no room before the deadline")
                nap = min(reply["wait"], LONGEST_NAP, left - 0.005) * (1 + 0.05 * self._random.random())
                freed = self._freed
                with anyio.move_on_after(nap):
                    await (freed.wait() if reply.get("why") == "concurrent" else anyio.sleep(nap))
        finally:
            door.release()
            if not door.in_use and self._doors.get(target.key) is door:
                del self._doors[target.key]  # names of models come from callers: only those in use are kept

    def _question(self, target: Target, tokens: int) -> Told:
        meters = []
        for meter in self._meters_of(target.key):
            bounds = meter.bounds  # type: ignore[attr-defined]  # all are `OwnMeter`
            kinds = {
                "concurrent": bounds.concurrent,
                "requests": bounds.requests_per_minute,
                "tokens": bounds.tokens_per_minute,
            }
            if bounds:
                meters.append({"name": meter.name, **{kind: most for kind, most in kinds.items() if most is not None}})
        return {
            "id": uuid.uuid4().hex,
            "target": "/".join(target.key),
            "tokens": tokens,
            "lease": LEASE,
            "meters": meters,
        }

    async def _asked(self, target: Target, question: Told) -> Told | None:
        if self._courier is None:
            return None
        reply = await self._courier.ask(question)
        if reply is not None:
            self._learn(target, reply)
        elif self._settings.on_error == "error":
            raise LimitTimeoutError("the store of the shared limits cannot be reached")
        return reply

    def _learn(self, target: Target, reply: Told) -> None:
        """What the store knows of the limits and of the target."""
        limited = [meter for meter in self._meters_of(target.key) if meter.bounds]  # type: ignore[attr-defined]
        for meter, used in zip(limited, reply.get("used") or (), strict=False):
            meter.used = (int(used[0]), int(used[1]))  # type: ignore[attr-defined]
            if reply.get("why") == "window":
                meter.full_at = self._clock()  # type: ignore[attr-defined]
        if "cool" in reply or "off" in reply:
            cool, off = float(reply.get("cool", 0)), float(reply.get("off", 0))
            state = self._health.of(target)
            state.learn(cool, off, reply.get("off_why"), self._clock())
            self._known[target.key] = state.absence()[:2]

    # Giving back.

    def tell_end(
        self, target: Target, granted: tuple[Told, Told] | None, tokens: int | None, limits: RateLimits | None
    ) -> None:
        """An attempt is over."""
        news: dict[str, Any] = {"id": "", "meters": []}
        if granted is not None:
            question, reply = granted
            news |= {"id": question["id"], "meters": [meter["name"] for meter in question["meters"]]}
            if tokens is not None:
                news |= {"piece": reply["piece"], "tokens": tokens - question["tokens"]}
        news |= self._news_of(target, limits)
        freed, self._freed = self._freed, anyio.Event()
        freed.set()
        if self._courier is not None and self._state != "alone" and (news["meters"] or "target" in news):
            self._courier.tell(news)

    def tell_void(self, question: Told, reply: Told) -> None:
        """An attempt was never made."""
        undone = _undo(question, reply)
        if undone is not None and self._courier is not None and self._state != "alone":
            self._courier.tell(undone)

    def _news_of(self, target: Target, limits: RateLimits | None) -> dict[str, Any]:
        """What the store is told of a target; nothing where it knows that already."""
        news: dict[str, Any] = {}
        state = self._health.seen(target)
        if state is not None:
            news |= self._change_of(target.key, state)
        if limits is not None:
            left = {
                kind: (remaining, min(reset, plain.MINUTE))
                for kind, remaining, reset in (
                    ("requests", limits.requests_remaining, limits.requests_reset),
                    ("tokens", limits.tokens_remaining, limits.tokens_reset),
                )
                if remaining is not None and reset is not None
            }
            if left:
                news["left"] = left
        return {"target": "/".join(target.key), **news} if news else {}

    def _change_of(self, key: Key, state: TargetState) -> dict[str, Any]:
        now = self._clock()
        cool_until, off_until, why = state.absence()
        known_cool, known_off = self._known.get(key, (0.0, 0.0))
        news: dict[str, Any] = {}
        if cool_until > max(now, known_cool + 0.1):
            news["cool"] = cool_until - now
        if off_until > max(now, known_off + 0.1):
            news |= {"off": off_until - now, "why": why}
        elif off_until == 0 < known_off:
            news["clear"] = True
        if news or (known_cool, known_off) != (0.0, 0.0):
            self._known[key] = (cool_until, off_until)
        return news

    # The store.

    async def _carry(self, questions: Sequence[Told], news: Sequence[Told]) -> Sequence[Told]:
        """One round trip.

        Raises:
            StoreGoneError: the store cannot be used now.
        """
        try:
            answer = await self._exchange(questions, news, ())
            if not answer["known"]:
                answer = await self._introduce(answer["epoch"], questions)
        except StoreGoneError as error:
            self._go_alone(str(error))
            raise
        if self._state == "returning" and self._clock() >= self._returned_at + plain.MINUTE * MARGIN:
            self._state = "shared"
            for meter in self._own:
                meter.serve_store()
        self._processes = int(answer["processes"]) if self._state == "shared" else self._processes
        replies: Sequence[Told] = answer["replies"] or ()
        return replies

    async def _introduce(self, epoch: str, questions: Sequence[Told]) -> Mapping[str, Any]:
        """The store does not know this process: at its first contact, or because it has lost its memory."""
        former, self._epoch = self._epoch, epoch
        if former is None:
            return await self._exchange(questions, (), ())
        if self._state == "shared":
            self._become_masters()
            self._state, self._returned_at = "returning", self._clock()
        return await self._exchange(questions, (), self._seeds(-math.inf))

    def _seeds(self, since: float) -> list[Told]:
        return [{"name": meter.name, "taken": meter.taken(since), "leases": []} for meter in self._own]

    async def _exchange(
        self, questions: Sequence[Told], news: Sequence[Told], seeds: Sequence[Told]
    ) -> Mapping[str, Any]:
        if not self._script:
            self._script = (files(__package__) / "shared_limits.lua").read_text("utf-8")
        said = {
            "process": self._process,
            "epoch": self._epoch or False,
            "fresh": uuid.uuid4().hex,
            "window": plain.MINUTE,
            "seeds": seeds,
            "ends": news,
            "asks": questions,
        }
        found = await self._connection.run(self._script, f"{{{self._settings.prefix}}}", json.dumps(said))
        answer: Mapping[str, Any] = json.loads(found)
        return answer

    def _become_masters(self) -> None:
        for meter in self._own:
            meter.become_master(self._processes)

    def _go_alone(self, reason: str) -> None:
        if self._state == "shared":
            self._become_masters()
        if self._state != "alone":
            self._alone_since = self._probed_at = self._clock()
            _log.warning(
                "the store of the shared limits is gone (%s): this process takes 1/%d of each limit until it is back",
                reason,
                self._processes,
                extra={"event": "shared_limits"},
            )
        self._state = "alone"

    def _look(self) -> None:
        """Looks in the background whether the store is back, at most once a second."""
        now = self._clock()
        if self._background is not None and now >= self._probed_at + BETWEEN_PROBES:
            self._probed_at = now
            self._background.spawn(self._return)

    async def _return(self) -> None:
        try:
            answer = await self._exchange((), (), ())
            if answer["known"]:
                await self._exchange((), (), self._seeds(self._alone_since))
            else:
                self._epoch = answer["epoch"]
                await self._exchange((), (), self._seeds(-math.inf))
        except StoreGoneError:
            return
        if self._state == "alone":
            self._state, self._returned_at = "returning", self._clock()
            _log.info("the store of the shared limits is back", extra={"event": "shared_limits"})

    # What others ask.

    def room(self, target: Target) -> bool:
        """As `Limits.room`: nobody waits for the store's word."""
        door = self._doors.get(target.key)
        return (door is None or not door.in_use) and super().room(target)

    def queue(self, key: Key) -> tuple[int, float | None]:
        """As `Limits.queue`, with those who wait for the store's word."""
        depth, waiting = super().queue(key)
        door = self._doors.get(key)
        return depth + (0 if door is None else door.depth), waiting


def _undo(question: Told, reply: Told) -> Told | None:
    """What to tell of an attempt that the store let pass and that is not made."""
    if not reply.get("granted"):
        return None
    names = [meter["name"] for meter in question["meters"]]
    return {
        "id": question["id"],
        "meters": names,
        "piece": reply["piece"],
        "tokens": -question["tokens"],
        "void": True,
    }
