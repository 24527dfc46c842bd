"""Many prompts through one client: `Client.map`.

::

    async with client.map(prompts, concurrency=64, checkpoint="run.db") as items:
        async for item in items:
            print(item.index, item.text if item.error is None else item.error)

The rules:

* Inputs are read lazily, at most ``2 * concurrency`` ahead of what the consumer has taken. Memory stays flat.
* A failure is an item with its ``error``; ``on_error="raise"`` raises it instead.
* With ``checkpoint``, each answer is committed to that SQLite file before its item is given. A key with a recorded
  answer is never asked for again, also after ``kill -9``. What was in flight at a kill is asked again.
* A key is the content of the input and how often that content came before; ``key=`` gives keys of your own.
* A budget that is used up pauses the work until its window ends; one that never ends is an item's error.
* When the consumer stops early (``break``, Ctrl-C, a timeout), no new input is read. With a checkpoint, the calls in
  flight may end and are recorded, for at most `GRACE` seconds; the log says how to go on.

Work runs in background tasks of the client, so nothing is held between two items.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, Union

import anyio
from anyio import to_thread
from typing_extensions import TypeVar

from ._async_only import AsyncIterationOnly
from ._checkpoint import Answers, Checkpoint, salt_of
from ._ledger.row_journal import RowTakenError
from ._map_item import Item
from ._progress_bar import bar
from ._run_options import MAP_KEYWORDS, RUN_KEYWORDS, take
from ._schema.response import Response
from ._schema.stored import load_response
from .errors import BadRequestError, BudgetExceededError, RateLimitError
from .runs import Run

__all__ = ["MapProgress", "MapStream"]

T = TypeVar("T", default=Any)
GRACE = 30.0
"""Seconds that calls in flight may still take when the consumer has stopped."""
_LONGEST_PAUSE = 60.0
_BETWEEN_LOOKS = 0.2  # seconds, at a row that another process works on
_AUTO_FIRST, _AUTO_MOST = 8, 256
_log = logging.getLogger("asyncllm")

Inputs = Union[Iterable[Any], AsyncIterable[Any]]
Ask = Callable[[Any], Coroutine[Any, Any, Any]]
"""Asks for the answer to one input: a `Response` or a `Run`."""
Parse = Callable[[Any], Any]
"""Gives a recorded reply its parsed value again."""
Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapProgress:
    """The progress of a map.

    Attributes:
        done: items that ended, failures and recorded ones included.
        failed: items with an error.
        recorded: items that came from the checkpoint.
        total: how many inputs there are; None where that is not known.
        seconds: since the first input was read.
        rate: items a second that were asked for.
        cost: US dollars so far, without what has no known cost.
        cost_left: US dollars that the rest will cost at the mean so far; None where ``total`` is not known.
        seconds_left: until the end at the rate so far; None where ``total`` is not known.
    """

    done: int
    failed: int
    recorded: int
    total: int | None
    seconds: float
    cost: Decimal

    @property
    def rate(self) -> float:
        """Items a second, without those from the checkpoint."""
        return (self.done - self.recorded) / self.seconds if self.seconds > 0 else 0.0

    @property
    def cost_left(self) -> Decimal | None:
        """The US dollars that the rest will cost, by the mean cost so far."""
        asked = self.done - self.recorded
        return None if self.total is None or asked <= 0 else self.cost / asked * (self.total - self.done)

    @property
    def seconds_left(self) -> float | None:
        """The seconds until the end, by the rate so far."""
        return None if self.total is None or self.rate <= 0 else (self.total - self.done) / self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRules:
    """The checked keywords of a map, with their defaults; `asyncllm._run_options.MapOptions` says what they mean."""

    concurrency: int | Literal["auto"] = 16
    order: Literal["input", "completion"] = "completion"
    on_error: Literal["item", "raise"] = "item"
    max_cost: Decimal | None = None
    checkpoint: str | None = None
    key: Callable[[Any], str] | None = None
    progress: bool | Callable[[MapProgress], None] = False
    via: Literal["calls", "batch"] = "calls"

    def __post_init__(self) -> None:
        if self.key is not None and self.checkpoint is None:
            raise BadRequestError("key names the answers in a checkpoint; give checkpoint= too")


def begin_map(
    inputs: Inputs,
    response_format: Any,
    options: Mapping[str, Any],
    *,
    send: Callable[..., Coroutine[Any, Any, Response[Any]]],
    run: Callable[..., Coroutine[Any, Any, Run[Any]]],
    parse: Parse,
    spawn: Spawn,
) -> MapStream[Any]:
    """Reads the arguments of a map.

    Args:
        inputs: what is asked.
        response_format: as for `Client.send`.
        options: the keywords of the map and of its calls.
        send: `Client.send`.
        run: `Client.run`, for maps with tools.
        parse: gives a recorded reply its parsed value again.
        spawn: starts a background task.

    Raises:
        BadRequestError: one of them is wrong; the sentence names it.
    """
    rest = dict(options)
    if response_format is not None:
        rest["response_format"] = response_format
    cost = take(rest, {"max_cost": RUN_KEYWORDS["max_cost"]})
    rules = MapRules(**take(rest, MAP_KEYWORDS), **cost)
    asked: Callable[..., Coroutine[Any, Any, Any]] = run if rest.get("tools") else send

    async def ask(said: Any) -> Any:
        messages, own = call_of(said)
        return await asked(messages, **{**rest, **own})

    return MapStream(inputs, rules, ask=ask, parse=parse, spawn=spawn, salt=salt_of(rest))


def begin_job(
    response_format: Any,
    options: Mapping[str, Any],
    inputs: Inputs,
    answers: Answers,
    key: Callable[[Any], str],
    prompt: Callable[[Any], Any],
    *,
    send: Callable[..., Coroutine[Any, Any, Response[Any]]],
    run: Callable[..., Coroutine[Any, Any, Run[Any]]],
    parse: Parse,
    spawn: Spawn,
) -> MapStream[Any]:
    """The map of a bulk job: its inputs are rows, its answers are in the job's journal.

    Args:
        response_format: as for `Client.send`.
        options: the keywords of the map and of its calls.
        inputs: the rows.
        answers: the journal.
        key: names a row.
        prompt: what is asked about a row.
        send: `Client.send`.
        run: `Client.run`, for jobs with tools.
        parse: gives a recorded reply its parsed value again.
        spawn: starts a background task.
    """
    rest = dict(options)
    if response_format is not None:
        rest["response_format"] = response_format
    cost = take(rest, {"max_cost": RUN_KEYWORDS["max_cost"]})
    rules = MapRules(**take(rest, MAP_KEYWORDS), **cost)
    asked: Callable[..., Coroutine[Any, Any, Any]] = run if rest.get("tools") else send

    async def ask(row: Any) -> Any:
        messages, own = call_of(prompt(row))
        return await asked(messages, **{**rest, **own})

    return MapStream(inputs, rules, ask=ask, parse=parse, spawn=spawn, answers=answers, key=key)


class MapStream(AsyncIterationOnly, Generic[T]):
    """The items of a map. Iterate it, or use it in ``async with``, which ends the work for certain.

    Attributes:
        stopped: why it ended before the last input: ``"max_cost"``; None otherwise.
    """

    def __init__(
        self,
        inputs: Inputs,
        rules: MapRules,
        *,
        ask: Ask,
        parse: Parse,
        spawn: Spawn,
        salt: str = "",
        answers: Answers | None = None,
        key: Callable[[Any], str] | None = None,
    ) -> None:
        self.stopped: Literal["max_cost"] | None = None
        self._rules = rules
        self._ask = ask
        self._parse = parse
        self._spawn = spawn
        self._inputs = _Inputs(inputs)
        self._total = len(inputs) if isinstance(inputs, Sized) else None
        self._most = _AUTO_MOST if rules.concurrency == "auto" else rules.concurrency
        self._places = _Places(rules.concurrency)
        self._key = key or rules.key
        self._checkpoint: Answers | None = answers
        if rules.checkpoint is not None:
            self._checkpoint = Checkpoint(Path(rules.checkpoint), salt)
        self._show = bar() if rules.progress is True else rules.progress or None
        self._ready: dict[int, Item[T]] = {}
        self._next_read = self._next_given = self._running = 0
        self._exhausted = self._closed = self._begun = False
        self._reading = anyio.Lock()
        self._changed = anyio.Event()
        self._scopes: set[anyio.CancelScope] = set()
        self._failure: BaseException | None = None
        self._began = 0.0
        self._done = self._failed = self._recorded = 0
        self._cost = Decimal(0)

    def __aiter__(self) -> MapStream[T]:
        return self

    async def __anext__(self) -> Item[T]:
        if not self._begun:
            await self._begin()
        try:
            while True:
                item = self._take()
                if item is not None:
                    break
                if self._failure is not None:
                    raise self._failure
                if self._closed or (self._exhausted and self._running == 0):
                    raise StopAsyncIteration
                self._changed = anyio.Event()
                await self._changed.wait()
        except BaseException:
            await self._end()
            raise
        if item.error is not None and self._rules.on_error == "raise":
            await self._end()
            raise item.error
        return item

    async def batch(self) -> list[Item[T]]:
        """Returns all items that are ready: at least one, or none at the end."""
        try:
            items = [await self.__anext__()]
        except StopAsyncIteration:
            return []
        while (more := self._take()) is not None:
            items.append(more)
        return items

    @property
    def progress(self) -> MapProgress:
        """How far the work is."""
        return MapProgress(
            done=self._done,
            failed=self._failed,
            recorded=self._recorded,
            total=self._total,
            seconds=time.monotonic() - self._began if self._begun else 0.0,
            cost=self._cost,
        )

    async def aclose(self) -> None:
        """Ends the work. Nothing new is asked; with a checkpoint, running calls may end. Closing twice is fine."""
        await self._end()

    async def __aenter__(self) -> MapStream[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._end()

    # The consumer's side.

    async def _begin(self) -> None:
        self._begun = True
        self._began = time.monotonic()
        if self._checkpoint is not None:
            await to_thread.run_sync(self._checkpoint.open)
        for _ in range(self._most):
            self._running += 1
            self._spawn(self._work)

    def _take(self) -> Item[T] | None:
        if not self._ready:
            return None
        place = self._next_given if self._rules.order == "input" else next(iter(self._ready))
        item = self._ready.pop(place, None)
        if item is not None:
            self._next_given += 1
            self._places.delivered()
        return item

    async def _end(self) -> None:
        if self._closed:
            return
        self._closed = True
        waiting = self._running > 0 and not self._exhausted
        if self._running > 0 and self._checkpoint is not None and self._failure is None:
            with anyio.move_on_after(GRACE, shield=True):
                while self._running > 0:
                    self._changed = anyio.Event()
                    self._places.wake()
                    await self._changed.wait()
        for scope in tuple(self._scopes):
            scope.cancel()
        self._places.wake()
        await self._inputs.aclose()
        if self._checkpoint is not None:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._checkpoint.close)
            if waiting:
                _log.warning(
                    "stopped after %d answers, all recorded in %s; run the same map again to go on",
                    self._done,
                    self._checkpoint.path,
                    extra={"event": "map_stopped", "done": self._done},
                )
        close = getattr(self._show, "close", None)
        if close is not None:
            close()

    def __del__(self) -> None:
        for scope in tuple(getattr(self, "_scopes", ())):  # a refused keyword leaves none
            scope.cancel()

    # The workers' side.

    async def _work(self) -> None:
        try:
            while not self._closed and self._failure is None and await self._places.enter(self._room):
                try:
                    more = await self._one()
                finally:
                    self._places.leave()
                if not more:
                    break
        except Exception as error:  # noqa: BLE001  # of the inputs or the checkpoint: raised where the consumer waits
            self._failure = self._failure or error
        finally:
            self._running -= 1
            self._changed.set()

    def _room(self) -> bool | None:
        """Returns whether another input may be read now, or None if no more will be read."""
        if self._closed or self._exhausted or self._failure is not None:
            return None
        return self._done - self._next_given + self._places.inside < 2 * self._most

    async def _one(self) -> bool:
        """Reads one input and answers it. Returns False if there is none."""
        async with self._reading:
            if self._exhausted or self._closed:
                return False
            if self._spent():
                self.stopped = "max_cost"
                self._exhausted = True
                return False
            said = await self._inputs.read()
            if said is _END:
                self._exhausted = True
                return False
            index = self._next_read
            self._next_read += 1
            key = None if self._checkpoint is None else self._checkpoint.key_of(said, self._key)
        item: Item[T] | None = None
        if self._checkpoint is not None and key is not None:
            item = await self._recall(self._checkpoint, key, index, said)
        if item is None:
            item = await self._answer(index, said)
            if self._checkpoint is not None and key is not None:
                if item.error is None:
                    await to_thread.run_sync(self._checkpoint.record, key, item.reply)
                else:
                    await to_thread.run_sync(self._checkpoint.fail, key, item.error)
        self._count(item)
        return True

    def _spent(self) -> bool:
        most = self._rules.max_cost
        if most is None:
            return False
        asked = self._done - self._recorded
        flying = self._next_read - self._done
        mean = self._cost / asked if asked else Decimal(0)
        return self._cost + mean * flying >= most

    async def _recall(self, checkpoint: Answers, key: str, index: int, said: Any) -> Item[T] | None:
        while True:
            try:
                stored = await to_thread.run_sync(checkpoint.find, key)
                break
            except RowTakenError:  # another process asks for it: its answer will do
                if self._closed:
                    return Item(index=index, input=said, error=BadRequestError("the job was closed before this row"))
                await anyio.sleep(_BETWEEN_LOOKS)
        if stored is None:
            return None
        return Item(index=index, input=said, reply=self._parse(load_response(stored)), recorded=True)

    async def _answer(self, index: int, said: Any) -> Item[T]:
        pause = 1.0
        while True:
            scope = anyio.CancelScope()
            self._scopes.add(scope)
            reply: Response[Any] | Run[Any] | None = None
            failure: Exception | None = None
            try:
                with scope:
                    reply = await self._ask(said)
            except Exception as error:  # noqa: BLE001  # a failure is an item
                failure = error
            finally:
                self._scopes.discard(scope)
            self._places.learn(failure if reply is None else reply)
            if isinstance(failure, BudgetExceededError) and failure.resets_at is not None and not self._closed:
                left = (failure.resets_at - datetime.now(timezone.utc)).total_seconds()
                await anyio.sleep(max(0.05, min(left, pause)))
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            if reply is None and failure is None:
                failure = BadRequestError("the map was closed while this input was asked")
            return Item(index=index, input=said, reply=reply, error=failure)

    def _count(self, item: Item[T]) -> None:
        self._ready[item.index] = item
        self._done += 1
        self._recorded += item.recorded
        self._failed += item.error is not None
        if not item.recorded:
            attempts = item.reply.attempts if item.reply is not None else getattr(item.error, "attempts", ())
            self._cost += sum((one.cost for one in attempts if one.cost is not None), Decimal(0))
        if self._show is not None:
            self._show(self.progress)
        self._changed.set()


class _Places:
    """Bounds how many calls run at the same time.

    With ``"auto"`` it begins with 8 and grows by one after each round of answers without a rate limit; a rate limit
    halves it. This is how TCP finds the width of a path.
    """

    def __init__(self, concurrency: int | Literal["auto"]) -> None:
        self._auto = concurrency == "auto"
        self._most = _AUTO_FIRST if concurrency == "auto" else concurrency
        self.inside = 0
        self._since = 0
        self._wake = anyio.Event()

    async def enter(self, room: Callable[[], bool | None]) -> bool:
        """Waits for a place and for room. Returns False if there is nothing more to do."""
        while True:
            found = room()
            if found is None:
                return False
            if found and self.inside < self._most:
                self.inside += 1
                return True
            wake = self._wake
            await wake.wait()

    def leave(self) -> None:
        self.inside -= 1
        self.wake()

    def delivered(self) -> None:
        self.wake()

    def wake(self) -> None:
        wake, self._wake = self._wake, anyio.Event()
        wake.set()

    def learn(self, outcome: Any) -> None:
        """Raises or lowers the number of calls at a time, by an answer or a failure."""
        if not self._auto:
            return
        attempts = getattr(outcome, "attempts", ())
        if any(isinstance(one.error, RateLimitError) for one in attempts):
            if self._since > 0:  # one halving a round: the calls of a round fail together
                self._most = max(1, self._most // 2)
            self._since = 0
            return
        self._since += 1
        if self._since >= self._most:
            self._since = 0
            self._most = min(_AUTO_MOST, self._most + 1)


class _Inputs:
    """Any iterable, sync or async, read one by one."""

    def __init__(self, inputs: Inputs) -> None:
        if isinstance(inputs, (str, bytes, Mapping)):
            raise BadRequestError(
                "inputs must be an iterable of prompts, message lists or dicts; put one input in a list"
            )
        self._steps: Iterator[Any] | None = None
        self._async_steps: AsyncIterator[Any] | None = None
        if isinstance(inputs, AsyncIterable):
            self._async_steps = inputs.__aiter__()
        elif isinstance(inputs, Iterable):
            self._steps = iter(inputs)
        else:
            raise BadRequestError(f"inputs must be an iterable, not {type(inputs).__name__}")

    async def read(self) -> Any:
        """The next input; `_END` after the last one."""
        if self._async_steps is not None:
            try:
                return await self._async_steps.__anext__()
            except StopAsyncIteration:
                return _END
        return _END if self._steps is None else next(self._steps, _END)

    async def aclose(self) -> None:
        """Ends a generator that was not read to its end."""
        close = getattr(self._async_steps, "aclose", None)
        if close is not None:
            await close()


_END: Any = object()


def call_of(said: Any) -> tuple[Any, dict[str, Any]]:
    """Returns the messages of one input, and its own keywords if it is a dict with ``messages``.

    Raises:
        BadRequestError: a dict that has no ``messages`` and is no message.
    """
    if isinstance(said, Mapping):
        if "messages" in said:
            own = dict(said)
            return own.pop("messages"), own
        if "role" in said:
            return [said], {}
        raise BadRequestError("an input dict needs the key messages, beside any keywords of send")
    return said, {}
