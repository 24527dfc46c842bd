"""The work of a map: workers that read inputs, ask, and hand over items.

The theory. `MapStream` is what the consumer holds; a `Crew` does the work behind it. A worker is a background task of
the client that reads an input, answers it, and reads the next one. There is no waiting worker: one that finds no room
ends, and whoever makes room (the consumer by taking an item, an answer by raising the width) starts another. So a map
of 10,000 inputs costs no wake-ups beside those of its calls.

The rules:

* There is room while fewer than `Width.now` workers run, and fewer than twice as many items are asked for or ready.
* An input is read by one worker at a time. Reading that fails ends the reading: what is in flight ends and is handed
  over, then the failure is raised.
* An answer that cannot be recorded is handed over all the same, before the failure of the checkpoint is raised.
* A crew whose `MapStream` was dropped reads nothing more. Without a checkpoint its calls are cancelled.
* Workers never hold the `MapStream`, so dropping it is noticed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, Literal, Union

import anyio
from anyio import to_thread
from typing_extensions import TypeVar

from .._ledger.row_journal import RowTakenError
from .._schema.response import Response
from .._schema.stored import load_response
from ..errors import BadRequestError, BudgetExceededError, ClientStateError
from ..runs import Run
from .checkpoint import Answers, Checkpoint
from .item import Item
from .progress_bar import bar
from .width import Width

T = TypeVar("T", default=Any)
GRACE = 30.0
"""Seconds that calls in flight may still take when the consumer has stopped."""
_TO_SETTLE = 5.0  # seconds for calls that were cancelled
_LONGEST_PAUSE = 60.0
_BETWEEN_LOOKS = 0.2  # seconds, at a row that another process works on
_log = logging.getLogger("asyncllm")

Inputs = Union[Iterable[Any], AsyncIterable[Any]]
Ask = Callable[[Any], Coroutine[Any, Any, Any]]
"""Asks for the answer to one input: a `Response` or a `Run`."""
Parse = Callable[[Any], Any]
"""Gives a recorded reply its parsed value again."""
Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
Stopped = Literal["max_cost", "unknown_cost"]


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


class Crew(Generic[T]):
    """The workers of one map.

    Args:
        inputs: what is asked.
        rules: the keywords of the map.
        ask: asks for the answer to one input.
        parse: gives a recorded reply its parsed value again.
        spawn: starts a background task.
        salt: what else the answers in a checkpoint depend on.
        answers: where the answers are kept, if not in ``rules.checkpoint``.
        key: names an input, if not ``rules.key``.

    Attributes:
        stopped: why it ended before the last input.
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
        self.stopped: Stopped | None = None
        self.rules = rules
        self._ask = ask
        self._parse = parse
        self._spawn = spawn
        self._inputs = LazyInputs(inputs)
        self._total = len(inputs) if isinstance(inputs, Sized) else None
        self._width = Width(rules.concurrency)
        self._key = key or rules.key
        self._answers: Answers | None = answers
        if rules.checkpoint is not None:
            self._answers = Checkpoint(Path(rules.checkpoint), salt)
        self._show = bar() if rules.progress is True else rules.progress or None
        self._ready: dict[int, Item[T]] = {}
        self._next_read = self._next_given = self._running = 0
        self._begun = self._exhausted = self._closed = self._dropped = False
        self._reading = anyio.Lock()
        self._asked: dict[str, anyio.Event] = {}  # keys of the user's that are asked for now
        self._changed = anyio.Event()
        self._closing, self._ended = anyio.Event(), anyio.Event()
        self._scopes: set[anyio.CancelScope] = set()
        self._failure: BaseException | None = None
        self._began = 0.0
        self._done = self._failed = self._recorded = 0
        self._cost = Decimal(0)

    # The consumer's side.

    async def next(self) -> Item[T]:
        """The next item.

        Raises:
            StopAsyncIteration: there are no more.
        """
        if not self._begun:
            await self._begin()
        while (item := self.take()) is None:
            if self._closed or (self._running == 0 and not self._ready):
                if self._failure is not None:
                    raise self._failure
                raise StopAsyncIteration
            self._changed = anyio.Event()
            await self._changed.wait()
        return item

    def take(self) -> Item[T] | None:
        """The next item, if it is ready."""
        if not self._ready:
            return None
        if self.rules.order == "completion":
            item = self._ready.pop(next(iter(self._ready)))
        elif self._next_given in self._ready:
            item = self._ready.pop(self._next_given)
        elif self._running == 0:  # an item before it was lost to a failure, which is raised at the end
            item = self._ready.pop(min(self._ready))
        else:
            return None
        self._next_given += 1
        self._fill()
        return item

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

    async def end(self) -> None:
        """Ends the work: nothing new is read; with a checkpoint, the calls in flight may end within `GRACE`."""
        if self._closed:
            if not self._dropped:  # somebody else is ending it
                with anyio.move_on_after(GRACE + _TO_SETTLE, shield=True):
                    await self._ended.wait()
            return
        self._closed = True
        self._closing.set()
        unfinished = self._begun and not self._exhausted
        if self._running and self._answers is not None:
            with anyio.move_on_after(GRACE, shield=True):
                await self._idle()
        unfinished = unfinished or self._running > 0
        self._cancel()
        with anyio.move_on_after(_TO_SETTLE, shield=True):
            await self._idle()
        try:
            await self._close(unfinished)
        finally:
            self._ended.set()

    def drop(self) -> None:
        """The consumer is gone. Nothing new is read; with a checkpoint the calls in flight may end."""
        if self._closed:
            return
        self._closed = self._dropped = True
        if self._answers is None:
            self._cancel()
        if self._running == 0 and self._begun:
            self._close_now()
        self._hide()

    async def _begin(self) -> None:
        if self._answers is not None:
            await to_thread.run_sync(self._answers.open)
        self._begun = True
        self._began = time.monotonic()
        self._fill()

    async def _idle(self) -> None:
        while self._running > 0:
            self._changed = anyio.Event()
            await self._changed.wait()

    def _cancel(self) -> None:
        for scope in tuple(self._scopes):
            scope.cancel()

    async def _close(self, unfinished: bool) -> None:
        with anyio.CancelScope(shield=True):
            await self._inputs.aclose()
            if self._answers is not None:
                await to_thread.run_sync(self._answers.close)
        if unfinished:
            self._tell()
        self._hide()

    def _close_now(self) -> None:
        """Closes what a dropped map holds open. Nobody waits, so there is no thread to give this to."""
        if self._answers is not None:
            self._answers.close()
        if not self._exhausted:
            self._tell()
        self._hide()

    def _tell(self) -> None:
        """Says how to go on."""
        if self._answers is not None:
            _log.warning(
                "stopped after %d answers, all recorded in %s; run the same again to go on",
                self._done - self._failed,
                self._answers.path,
                extra={"event": "map_stopped", "done": self._done},
            )

    def _hide(self) -> None:
        close = getattr(self._show, "close", None)
        if close is not None:
            close()

    # The workers' side.

    def _fill(self) -> None:
        """Starts workers while there is room."""
        while self._has_room(self._running):
            self._running += 1
            try:
                self._spawn(self._work)
            except BaseException:
                self._running -= 1
                raise

    def _has_room(self, running: int) -> bool:
        """Whether another input may be read while so many workers run."""
        if self._exhausted or self._closed or self._failure is not None or running >= self._width.now:
            return False
        if len(self._ready) + running >= 2 * self._width.now:
            return False
        return self.rules.max_cost is None or self._can_pay(running)

    def _can_pay(self, running: int) -> bool:
        """Whether one more answer fits in ``max_cost``, at the mean so far. The first one is asked alone to know it."""
        asked = self._done - self._recorded
        if asked == 0 or self.rules.max_cost is None:
            return running == 0
        if self.stopped is None and self._cost + self._cost / asked * (running + 1) <= self.rules.max_cost:
            return True
        if running == 0:
            self._exhausted = True
            self.stopped = self.stopped or "max_cost"
        return False

    async def _work(self) -> None:
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        try:
            with scope:
                while await self._one() and self._has_room(self._running - 1):
                    pass
        except Exception as error:  # noqa: BLE001  # of the inputs or the checkpoint: raised where the consumer waits
            self._failure = self._failure or error
        except BaseException:  # cancelled, and not by this map
            self._failure = self._failure or ClientStateError("the client was closed while a map was under way")
            raise
        finally:
            self._scopes.discard(scope)
            self._running -= 1
            if self._running == 0 and self._dropped:
                self._close_now()
            self._fill()
            self._changed.set()

    async def _one(self) -> bool:
        """Reads one input and answers it. Returns False if there is none."""
        if self._inputs.is_async:
            async with self._reading:
                found = await self._read()
        else:
            found = await self._read()
        if found is None:
            return False
        index, said = found
        item = await (self._answer(index, said) if self._answers is None else self._kept(self._answers, index, said))
        self._count(item)
        return True

    async def _read(self) -> tuple[int, Any] | None:
        if self._exhausted or self._closed:
            return None
        said = await self._inputs.read()
        if said is END:
            self._exhausted = True
            return None
        index = self._next_read
        self._next_read += 1
        return index, said

    async def _kept(self, answers: Answers, index: int, said: Any) -> Item[T]:
        """The recorded answer to an input, or a new one, which is recorded."""
        if self._key is None:
            return await self._recalled_or_new(answers, None, index, said)
        key = answers.key_of(said, self._key)
        while (under_way := self._asked.get(key)) is not None:  # the same key twice in the inputs
            await under_way.wait()
        self._asked[key] = anyio.Event()
        try:
            return await self._recalled_or_new(answers, key, index, said)
        finally:
            self._asked.pop(key).set()

    async def _recalled_or_new(self, answers: Answers, known: str | None, index: int, said: Any) -> Item[T]:
        key, item = await self._recall(answers, known, index, said)
        if item is None:
            item = await self._answer(index, said)
            try:
                with anyio.CancelScope(shield=True):  # what was paid for is recorded, also if the map ends just now
                    if item.error is None:
                        await to_thread.run_sync(answers.record, key, item.reply)
                    else:
                        await to_thread.run_sync(answers.fail, key, item.error)
            except Exception as error:  # noqa: BLE001  # the item is handed over before this is raised
                self._failure = self._failure or error
        return item

    async def _recall(self, answers: Answers, known: str | None, index: int, said: Any) -> tuple[str, Item[T] | None]:
        """The key of an input, and its recorded answer."""
        try:
            key, stored, taken = await to_thread.run_sync(_look, answers, known, said)
        except BadRequestError as error:  # it cannot name its answer; the others can
            return "", Item(index=index, input=said, error=error)
        while taken:  # another process asks for it: its answer will do
            if self._closed:
                closed = BadRequestError("the map was closed before this input")
                return key, Item(index=index, input=said, error=closed)
            await self._pause(_BETWEEN_LOOKS)
            _, stored, taken = await to_thread.run_sync(_look, answers, key, said)
        if stored is None:
            return key, None
        try:
            reply = self._parse(load_response(stored))
        except Exception as error:  # noqa: BLE001  # it does not fit the type that is asked for now
            return key, Item(index=index, input=said, error=error, recorded=True)
        return key, Item(index=index, input=said, reply=reply, recorded=True)

    async def _answer(self, index: int, said: Any) -> Item[T]:
        pause = 1.0
        while True:
            reply: Response[Any] | Run[Any] | None = None
            failure: Exception | None = None
            try:
                reply = await self._ask(said)
            except Exception as error:  # noqa: BLE001  # a failure is an item
                failure = error
            if self._width.auto:
                self._width.learn(failure if reply is None else reply)
            if isinstance(failure, BudgetExceededError) and failure.resets_at is not None and not self._closed:
                left = (failure.resets_at - datetime.now(timezone.utc)).total_seconds()
                if pause == 1.0:
                    _log.info("the map waits for a budget: %s", failure, extra={"event": "map_waits"})
                await self._pause(max(0.05, min(left, pause)))
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            return Item(index=index, input=said, reply=reply, error=failure)

    async def _pause(self, seconds: float) -> None:
        """Sleeps, unless the map is closed."""
        with anyio.move_on_after(seconds):
            await self._closing.wait()

    def _count(self, item: Item[T]) -> None:
        self._ready[item.index] = item
        self._done += 1
        self._recorded += item.recorded
        self._failed += item.error is not None
        if not item.recorded:
            attempts = item.reply.attempts if item.reply is not None else getattr(item.error, "attempts", ())
            self._cost += sum((one.cost for one in attempts if one.cost is not None), Decimal(0))
            if self.rules.max_cost is not None and item.reply is not None and _is_unpriced(item.reply):
                self.stopped = "unknown_cost"
        self._changed.set()
        if self._width.auto or self.rules.max_cost is not None:
            self._fill()
        if self._show is not None:
            self._show(self.progress)


def _look(answers: Answers, known: str | None, said: Any) -> tuple[str, Mapping[str, Any] | None, bool]:
    """The key of an input, its stored reply, and whether another process asks for it. Blocks."""
    key = answers.key_of(said, None) if known is None else known
    try:
        return key, answers.find(key), False
    except RowTakenError:
        return key, None, True


def _is_unpriced(reply: Response[Any] | Run[Any]) -> bool:
    return reply.unpriced > 0 if isinstance(reply, Run) else reply.cost is None


def refuse_table(inputs: Any) -> None:
    """Raises BadRequestError for a DataFrame or an Arrow table: going through one gives the names of its columns."""
    if not isinstance(inputs, (list, tuple)) and hasattr(inputs, "columns"):
        raise BadRequestError(
            "inputs must be an iterable of prompts, and this is a table: give one of its columns, such as "
            "frame['prompt'], or use client.bulk, which takes rows"
        )


class LazyInputs:
    """Any iterable, sync or async, read one by one.

    Attributes:
        is_async: whether reading may wait.
    """

    def __init__(self, inputs: Inputs) -> None:
        if isinstance(inputs, (str, bytes, Mapping)):
            raise BadRequestError(
                "inputs must be an iterable of prompts, message lists or dicts; put one input in a list"
            )
        refuse_table(inputs)
        self._steps: Iterator[Any] | None = None
        self._async_steps: AsyncIterator[Any] | None = None
        if isinstance(inputs, AsyncIterable):
            self._async_steps = inputs.__aiter__()
        elif isinstance(inputs, Iterable):
            self._steps = iter(inputs)
        else:
            raise BadRequestError(f"inputs must be an iterable, not {type(inputs).__name__}")
        self.is_async = self._async_steps is not None

    async def read(self) -> Any:
        """The next input; `END` after the last one."""
        if self._async_steps is not None:
            try:
                return await self._async_steps.__anext__()
            except StopAsyncIteration:
                return END
        return END if self._steps is None else next(self._steps, END)

    async def aclose(self) -> None:
        """Ends a generator that was not read to its end."""
        close = getattr(self._async_steps, "aclose", None)
        if close is not None:
            await close()


END: Any = object()
"""What `LazyInputs.read` returns after the last input."""
