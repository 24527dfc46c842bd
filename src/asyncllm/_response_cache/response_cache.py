"""The response cache: the same request is asked for once.

The rules:

* The key is everything that a model is sent, the model and its entry; not for whom the call is made.
* Kept is a whole reply of the first target of the call. What a fallback said, what was blocked, refused or paused is
  not kept. Calls with tools are left alone unless they ask (``cache_response=True``).
* Of equal calls at the same time one asks, the others wait for it, streams too. If it fails, the next one asks. A
  stream goes as fast as it is read, so nobody waits longer than `LONGEST_WAIT` for one.
* A reply that is given again costs 0. It is a row of the ledger with the status ``cached`` and with what it saved.
* A store that fails costs a warning, never a call.
* For tests the same store has two more modes. ``record`` keeps every whole reply for good, also those of calls with
  tools, of fallbacks, and what was blocked. ``replay`` gives recorded replies and raises for all others.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio

from .._config.sections import MEMORY, ResponseCacheSettings
from .._engine.call import Call, finish
from .._engine.formats import Parse
from .._engine.target import Target
from .._options import Arguments
from .._schema.response import Attempt, Response
from .._schema.stored import StoredFormatError, load_response, stored_response, to_text
from ..errors import ConfigurationError, StructuredOutputError
from .reply_stores import KeepingError, MemoryReplies, RedisReplies, ReplyStore, SQLiteReplies

_KEPT = frozenset({"stop", "length", "tool_calls"})
LONGEST_WAIT = 30.0
"""Seconds that a call waits for an equal one that asks already."""
_FOR_GOOD = 3e9  # seconds
_FORMAT = 1  # of the key and of the text
_log = logging.getLogger("asyncllm")


class ResponseCache:
    """The cache of one client.

    Args:
        settings: where replies are kept, and how long.

    Raises:
        ConfigurationError: the store needs a package that is not installed.
    """

    def __init__(self, settings: ResponseCacheSettings) -> None:
        self.mode = settings.mode
        self.ttl = settings.ttl if settings.mode == "cache" else _FOR_GOOD
        self._store = _store_of(settings)
        self._flights: dict[str, anyio.Event] = {}
        self._warned = False

    def of(self, asked: Arguments, targets: Sequence[Target]) -> CachedRequest | None:
        """The cache's view of one call; None where the call is none of its business."""
        wanted = asked.cache_response
        if self.mode == "cache" and (wanted is False or (asked.request.tools and wanted is None)):
            return None
        first = targets[0]
        said = replace(asked.request, model=first.model, stream=False)
        text = repr((_FORMAT, first.provider.kind, first.entry_key, said))
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        return CachedRequest(self, key, first)

    async def find(self, key: str) -> Response | None:
        """The reply of a key."""
        try:
            text = await self._store.find(key)
            return None if text is None else load_response(json.loads(text))
        except KeepingError as error:
            self._warn(error)
        except (StoredFormatError, ValueError):
            return None  # of another version: asked for anew
        return None

    async def keep(self, key: str, response: Response) -> None:
        """Keeps a reply."""
        try:
            await self._store.keep(key, to_text(stored_response(response)), self.ttl)
        except KeepingError as error:
            self._warn(error)
        except (TypeError, ValueError):
            return  # it holds what JSON cannot say

    def begin(self, key: str) -> anyio.Event | None:
        """The end of the call that asks for a key already; None where there is none: the caller asks now."""
        under_way = self._flights.get(key)
        if under_way is None:
            self._flights[key] = anyio.Event()
        return under_way

    def end(self, key: str) -> None:
        """The call that asked is over."""
        flight = self._flights.pop(key, None)
        if flight is not None:
            flight.set()

    def _warn(self, error: KeepingError) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "the response cache cannot be used (%s): replies are asked for",
                error,
                extra={"event": "response_cache"},
            )

    async def aclose(self) -> None:
        """Closes the store."""
        await self._store.aclose()


def _store_of(settings: ResponseCacheSettings) -> ReplyStore:
    url = settings.url.get_secret_value()
    if url == MEMORY:
        return MemoryReplies()
    if url.startswith("sqlite:///"):
        return SQLiteReplies(Path(url.removeprefix("sqlite:///")))
    return RedisReplies(url, settings.prefix)


class CachedRequest:
    """One request of a call, as `asyncllm._engine.call.Cached` says.

    Args:
        cache: of the client.
        key: of the request.
        target: the only one whose reply is kept.
    """

    __slots__ = ("_asking", "_cache", "_key", "_target")

    def __init__(self, cache: ResponseCache, key: str, target: Target) -> None:
        self._cache = cache
        self._key = key
        self._target = target
        self._asking: Callable[[Callable[[], None]], None] | None = None  # a stream asks: runs something on its loop

    async def begin(self, call: Call, parse: Parse | None) -> Response | None:
        """For a stream: the reply that was kept, or that an equal call is just asking for. None: the stream asks, and
        the others wait for it until `keep` or `release`.
        """
        give_up_at = anyio.current_time() + LONGEST_WAIT
        while (other := self._cache.begin(self._key)) is not None:
            with anyio.move_on_at(give_up_at) as waited:
                await other.wait()
            found = await self.find(call, parse)
            if found is not None or waited.cancelled_caught:
                return found
        self._asking = call.engine.background.call_soon
        found = None
        try:
            found = await self.find(call, parse)
        except BaseException:
            self.release()
            raise
        if found is not None:
            self.release()
        return found

    def release(self) -> None:
        """The stream that asked has no reply: the next one asks. Does nothing for one that did not ask."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking(partial(self._cache.end, self._key))  # may come from a finaliser

    def __del__(self) -> None:
        if self._asking is not None:
            self.release()

    async def find(self, call: Call, parse: Parse | None) -> Response | None:
        """The reply that was kept, booked as such; None where there is none."""
        kept = await self._cache.find(self._key)
        target = self._target
        if kept is None:
            if self._cache.mode == "replay":
                raise ConfigurationError(
                    f"no reply to this request to {target.provider.name}/{target.model} is recorded, and the "
                    "response_cache has the mode replay, which asks nobody; record it with the mode record"
                )
            return None
        attempt = Attempt(
            provider=target.provider.name,
            model=target.model,
            outcome="cached",
            usage=kept.usage,
            cost=Decimal(0),
            cost_source="table",
            saved=kept.cost,
        )
        response = replace(kept, cost=Decimal(0), cost_source="table", unpriced_reason=None, attempts=(attempt,))
        try:
            response = finish(response, parse, call)
        except StructuredOutputError:
            if self._cache.mode == "replay":
                raise
            return None  # the type has other rules now
        call.records.append(attempt)
        if call.book is not None:
            saved = None if kept.cost is None else int(kept.cost.scaleb(9))
            call.book.book_cached(
                provider=target.provider.name, kind=target.provider.kind, model=target.model, saved=saved
            )
        return response

    async def ask(self, call: Call, parse: Parse | None, send: Callable[[], Awaitable[Response]]) -> Response:
        """The reply that was kept, or that another call is just asking for; else the one that ``send`` gives."""
        cache, key = self._cache, self._key
        while True:
            other = cache.begin(key)
            if other is not None:
                with anyio.move_on_after(LONGEST_WAIT) as waited:
                    await other.wait()
                found = await self.find(call, parse)
                if found is not None:
                    return found
                if waited.cancelled_caught:
                    return await send()
                continue  # it failed, or its reply is not kept
            try:
                found = await self.find(call, parse)
                if found is None:
                    found = await send()
                    if self._is_kept(found):
                        await cache.keep(key, found)
                return found
            finally:
                cache.end(key)

    def keep(self, call: Call, response: Response | None) -> None:
        """The stream that asked is whole. Keeps its reply in the background; None: it is none to keep."""
        if response is None or not self._is_kept(response):
            self.release()
            return
        asked, self._asking = self._asking is not None, None
        call.engine.background.spawn(partial(self._keep, response, asked=asked))

    async def _keep(self, response: Response, *, asked: bool) -> None:
        try:
            await self._cache.keep(self._key, response)
        finally:
            if asked:
                self._cache.end(self._key)

    def _is_kept(self, response: Response) -> bool:
        last = response.attempts[-1] if response.attempts else None
        if self._cache.mode != "cache":
            return last is not None and last.outcome == "ok"
        return (
            response.finish_reason in _KEPT
            and last is not None
            and (last.provider, last.model) == self._target.entry_key
            and last.outcome == "ok"
        )
