"""A map through the provider's batch endpoint: ``client.map(inputs, via="batch")``.

All inputs are read at first, and those without a recorded answer become one batch. With a checkpoint the batch is named
after the inputs, so that the same map in another process joins it: a killed map costs nothing twice.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from .._map.crew import END, Crew, Inputs, MapRules, Parse, Spawn
from .._map.item import Item
from .._run_options import MAP_KEYWORDS, RUN_KEYWORDS, take
from ..bulk import MapStream
from ..errors import BadRequestError

if TYPE_CHECKING:
    from .batch_job import Batch

__all__ = ["begin_batch_map"]

_log = logging.getLogger("asyncllm")
Make = Callable[[Sequence[tuple[int, Any]], "str | None"], Awaitable["tuple[Batch[Any] | None, Sequence[Item[Any]]]"]]
"""Makes the batch of some inputs with their places, or joins the one of this id; and the inputs that are refused."""


def begin_batch_map(
    inputs: Inputs,
    response_format: Any,
    options: Mapping[str, Any],
    *,
    make: Callable[[Mapping[str, Any]], Make],
    parse: Parse,
    spawn: Spawn,
    place: str,
) -> MapStream[Any]:
    """Reads the arguments of such a map.

    Args:
        inputs: what is asked.
        response_format: as for `Client.send`.
        options: the keywords of the map and of its calls.
        make: the keywords of the calls -> makes the batch.
        parse: gives a recorded reply its parsed value again.
        spawn: starts a background task.
        place: the provider and model that are asked, where the keywords name none.

    Raises:
        BadRequestError: a keyword is wrong, or has no meaning here.
    """
    from .._map.checkpoint import salt_of

    rest = dict(options)
    for name in (*RUN_KEYWORDS, "concurrency", "tools"):
        if rest.get(name) is not None:
            raise BadRequestError(f'{name} has no meaning with via="batch"; leave it out')
    rules = MapRules(**take(rest, MAP_KEYWORDS))
    salted = rest if response_format is None else {**rest, "response_format": response_format}
    salt = salt_of(salted, place)
    return MapStream(BatchCrew(inputs, rules, make=make(rest), parse=parse, spawn=spawn, salt=salt))


class BatchCrew(Crew[Any]):
    """The one worker of a map whose answers come from one batch."""

    def __init__(self, inputs: Inputs, rules: MapRules, *, make: Make, parse: Parse, spawn: Spawn, salt: str) -> None:
        super().__init__(inputs, rules, ask=_never, parse=parse, spawn=spawn, salt=salt)
        self._make = make
        self._salt = salt
        self._scope = anyio.CancelScope()
        self._started = False  # one worker does it all

    async def _work(self) -> None:
        try:
            with self._scope:
                await self._do_all()
        except Exception as error:  # noqa: BLE001  # raised where the consumer waits
            self._failure = self._failure or error
        finally:
            self._exhausted = True
            self._running -= 1
            self._changed.set()

    def _fill(self) -> None:
        if not self._started:
            self._started = True
            self._running += 1
            self._spawn(self._work)

    async def end(self) -> None:
        """Stops waiting; the batch goes on at the host, and the same map joins it."""
        self._scope.cancel()
        await super().end()

    def drop(self) -> None:
        """Stops waiting, as `end`."""
        self._scope.cancel()
        super().drop()

    async def _all_inputs(self) -> AsyncIterator[tuple[int, Any]]:
        while (said := await self._inputs.read()) is not END:
            index = self._next_read
            self._next_read += 1
            yield index, said

    async def _do_all(self) -> None:
        checkpoint = self._answers
        keys: dict[int, str] = {}
        missing: list[tuple[int, Any]] = []
        digest = blake2b(self._salt.encode(), digest_size=16)
        async for index, said in self._all_inputs():
            if checkpoint is not None:
                try:
                    key = keys[index] = checkpoint.key_of(said, self.rules.key)
                except BadRequestError as error:  # it cannot name its answer; the others can
                    self._count(Item(index=index, input=said, error=error))
                    continue
                digest.update(key.encode() + b"\0")
                _, item = await self._recall(checkpoint, key, index, said)
                if item is not None:
                    self._count(item)
                    continue
            missing.append((index, said))
        if not missing:
            return
        batch, refused = await self._make(missing, None if checkpoint is None else f"map-{digest.hexdigest()}")
        for item in refused:
            self._count(item)
        if batch is None:
            return
        _log.info("the batch %s has %d lines at %s", batch.id, batch.total, batch.provider, extra={"event": "batch"})
        await batch.wait()
        inputs = dict(missing)
        async for answer in batch:
            if answer.index in inputs:
                item = Item(index=answer.index, input=inputs[answer.index], reply=answer.reply, error=answer.error)
                if checkpoint is not None and item.error is None:
                    await to_thread.run_sync(checkpoint.record, keys[item.index], item.reply)
                self._count(item)


async def _never(said: Any) -> Any:
    raise AssertionError("a map by a batch makes no calls")
