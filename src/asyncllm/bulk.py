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
* A key is the content of the input and how often that content came before, with what else shapes the answer (provider,
  model, sampling, schema, tools); ``key=`` gives keys of your own.
* A budget that is used up pauses the work until its window ends; one that never ends is an item's error.
* When the consumer stops early (``break``, Ctrl-C, a timeout), no new input is read. With a checkpoint, the calls in
  flight may end and are recorded, for at most `GRACE` seconds; the log says how to go on.

Work runs in background tasks of the client (`asyncllm._map.crew`), so nothing is held between two items.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Generic

from typing_extensions import TypeVar

from ._async_only import AsyncIterationOnly
from ._map.checkpoint import Answers, salt_of
from ._map.crew import Crew, MapProgress, MapRules, Parse, Spawn, Stopped
from ._map.crew import Inputs as Inputs
from ._map.item import Item
from ._options import KEYWORDS
from ._run_options import MAP_KEYWORDS, RUN_KEYWORDS, take
from ._schema.response import Response
from .errors import BadRequestError
from .runs import Run

__all__ = ["MapProgress", "MapStream"]

T = TypeVar("T", default=Any)


def begin_map(
    inputs: Inputs,
    response_format: Any,
    options: Mapping[str, Any],
    *,
    send: Callable[..., Coroutine[Any, Any, Response[Any]]],
    run: Callable[..., Coroutine[Any, Any, Run[Any]]],
    parse: Parse,
    spawn: Spawn,
    place: str,
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
        place: the provider and model that are asked, where the keywords name none.

    Raises:
        BadRequestError: one of them is wrong; the sentence names it.
    """
    rest = dict(options)
    if response_format is not None:
        rest["response_format"] = response_format
    cost = take(rest, {"max_cost": RUN_KEYWORDS["max_cost"]})
    rules = MapRules(**take(rest, MAP_KEYWORDS), **cost)
    _check(rest)
    asked: Callable[..., Coroutine[Any, Any, Any]] = run if rest.get("tools") else send

    async def ask(said: Any) -> Any:
        messages, own = call_of(said)
        return await asked(messages, **{**rest, **own})

    return MapStream(Crew(inputs, rules, ask=ask, parse=parse, spawn=spawn, salt=salt_of(rest, place)))


def _check(options: Mapping[str, Any]) -> None:
    """Refuses keywords of the calls before anything is asked: what is wrong with all inputs is told once.

    Raises:
        TypeError: there is no such keyword.
        BadRequestError: a value is wrong, or a keyword of runs has no tools beside it.
    """
    for name, value in options.items():
        if name in KEYWORDS:
            if value is not None and name != "tools":  # those of a run are read by the run
                KEYWORDS[name].read(name, value)
        elif name in RUN_KEYWORDS:
            if not options.get("tools"):
                raise BadRequestError(f"{name} is a keyword of runs: give tools= too")
        elif name != "response_format":
            near = difflib.get_close_matches(name, [*MAP_KEYWORDS, *KEYWORDS, *RUN_KEYWORDS], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"got an unexpected keyword argument {name!r}{hint}")


def check_job(options: Mapping[str, Any], response_format: Any) -> None:
    """Refuses keywords of a bulk job before anything is read.

    Raises:
        TypeError: there is no such keyword.
        BadRequestError: a value is wrong.
    """
    for name in ("checkpoint", "via"):
        if name in options:
            raise TypeError(f"got an unexpected keyword argument {name!r}: the answers of a job are in the ledger")
    rest = {**options, "response_format": response_format}
    cost = take(rest, {"max_cost": RUN_KEYWORDS["max_cost"]})
    MapRules(**take(rest, MAP_KEYWORDS), **cost)
    _check(rest)


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
    _check(rest)
    asked: Callable[..., Coroutine[Any, Any, Any]] = run if rest.get("tools") else send

    async def ask(row: Any) -> Any:
        messages, own = call_of(prompt(row))
        return await asked(messages, **{**rest, **own})

    return MapStream(Crew(inputs, rules, ask=ask, parse=parse, spawn=spawn, answers=answers, key=key))


class MapStream(AsyncIterationOnly, Generic[T]):
    """The items of a map. Iterate it, or use it in ``async with``, which ends the work for certain."""

    def __init__(self, crew: Any) -> None:  # a Crew; named so, the workers are no part of the public interface
        self._crew: Crew[T] = crew

    def __aiter__(self) -> MapStream[T]:
        return self

    async def __anext__(self) -> Item[T]:
        try:
            item = await self._crew.next()
        except BaseException:
            await self._crew.end()
            raise
        if item.error is not None and self._crew.rules.on_error == "raise":
            await self._crew.end()
            raise item.error
        return item

    async def batch(self) -> list[Item[T]]:
        """Returns all items that are ready: at least one, or none at the end."""
        try:
            items = [await self.__anext__()]
        except StopAsyncIteration:
            return []
        if self._crew.rules.on_error != "raise":
            while (more := self._crew.take()) is not None:
                items.append(more)
        return items

    @property
    def stopped(self) -> Stopped | None:
        """Why it ended before the last input: ``"max_cost"``, or ``"unknown_cost"`` where ``max_cost`` cannot hold as
        an answer has no known cost; None otherwise.
        """
        return self._crew.stopped

    @property
    def progress(self) -> MapProgress:
        """How far the work is."""
        return self._crew.progress

    async def aclose(self) -> None:
        """Ends the work. Nothing new is asked; with a checkpoint, running calls may end. Closing twice is fine."""
        await self._crew.end()

    async def __aenter__(self) -> MapStream[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._crew.end()

    def __del__(self) -> None:
        self._crew.drop()


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
