"""The blocking twin of the client: the same verbs, on an event loop of its own in a daemon thread.

Thread-safe: many threads may call one `SyncClient`. A stream fetches all events that are ready in one hop to the
loop. An unclosed client neither hangs nor warns at the interpreter's exit.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from ._engine.forecast import CostEstimate
from ._engine.health import TargetHealth
from ._engine.intake import Messages
from ._engine.stream import Stream
from ._ledger.reports import ReportRow
from ._models.registry import ModelInfo, RefreshResult
from ._models.tokens import TokenCount
from ._models.validation import Validation
from ._schema.events import Event
from ._schema.messages import Message
from ._schema.response import Response
from .client import Client
from .conversation import Conversation
from .errors import ClientStateError

Result = TypeVar("Result")
_SECONDS_AT_EXIT = 2.0


class SyncClient:
    """As `Client`, blocking.

    Args:
        config: as for `Client`; or a `Client` that nothing else uses.
        **options: as for `Client`.
    """

    def __init__(self, config: Any, **options: Any) -> None:
        self._client = config if isinstance(config, Client) else Client(config, **options)
        self._lock = threading.Lock()
        self._loop: _Loop | None = None
        self._closed = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> SyncClient:
        """As `Client.from_env`."""
        return cls(Client.from_env(environ, **options))

    def send(self, messages: Messages, **keywords: Any) -> Response:
        """As `Client.send`, with the same keywords; waits for the answer."""
        return self._call(lambda: self._client.send(messages, **keywords))

    def stream(self, messages: Messages, **keywords: Any) -> SyncStream:
        """As `Client.stream`, with the same keywords."""
        return SyncStream(self._client.stream(messages, **keywords), self._call)

    def health(self) -> tuple[TargetHealth, ...]:
        """As `Client.health`."""

        async def look() -> tuple[TargetHealth, ...]:
            return self._client.health()

        return self._call(look)

    def reset_health(self, provider: str | None = None) -> None:
        """As `Client.reset_health`."""

        async def reset() -> None:
            self._client.reset_health(provider)

        self._call(reset)

    def models(self, provider: str | None = None, **keywords: Any) -> tuple[ModelInfo, ...]:
        """As `Client.models`, with the same keywords."""
        return self._call(lambda: self._client.models(provider, **keywords))

    def refresh_models(self, provider: str | None = None) -> RefreshResult:
        """As `Client.refresh_models`."""
        return self._call(lambda: self._client.refresh_models(provider))

    def validate_model(self, provider: str, model: str) -> Validation:
        """As `Client.validate_model`."""
        return self._call(lambda: self._client.validate_model(provider, model))

    def count_tokens(self, messages: Messages, **keywords: Any) -> TokenCount:
        """As `Client.count_tokens`, with the same keywords."""
        return self._call(lambda: self._client.count_tokens(messages, **keywords))

    def report(
        self, start: datetime | None = None, end: datetime | None = None, by: Sequence[str] = ()
    ) -> list[ReportRow]:
        """As ``Client.ledger.report``: what was used and what it cost."""
        return self._call(lambda: self._client.ledger.report(start, end, by))

    def export_csv(self, path: str | os.PathLike[str]) -> int:
        """As ``Client.ledger.export_csv``: every record, as a file; returns how many."""
        return self._call(lambda: self._client.ledger.export_csv(path))

    def conversation(self, **options: Any) -> SyncConversation:
        """As `Client.conversation`, with the same keywords."""
        return SyncConversation(self._client.conversation(**options), self._call)

    def session_cost(self) -> Decimal:
        """As `Client.session_cost`."""
        return self._call(self._client.session_cost)

    def estimate(self, messages: Messages, **keywords: Any) -> CostEstimate:
        """As `Client.estimate`, with the same keywords."""
        return self._call(lambda: self._client.estimate(messages, **keywords))

    def close(self) -> None:
        """Closes every connection and ends the thread. Closing twice is fine."""
        with self._lock:
            loop, self._loop = self._loop, None
            self._closed = True
        if loop is not None and loop.process == os.getpid():
            loop.close(self._client.aclose)

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, work: Callable[[], Awaitable[Result]]) -> Result:
        with self._lock:
            if self._closed:
                raise ClientStateError("this client is closed; make a new one")
            if self._loop is None:
                self._loop = _Loop(self._client)
            loop = self._loop
        if loop.process != os.getpid():
            raise ClientStateError(
                "this client was used before the process was forked, and its thread stayed in the parent; "
                "make the client in the child process"
            )
        return loop.call(work)


class _Loop:
    """An event loop in a daemon thread."""

    def __init__(self, client: Client) -> None:
        self.process = os.getpid()
        ready: Future[BlockingPortal] = Future()
        self._thread = threading.Thread(target=anyio.run, args=(_serve, ready), name="asyncllm", daemon=True)
        self._thread.start()
        self._portal = ready.result()
        atexit.register(_close_at_exit, weakref.ref(self), weakref.ref(client))

    def call(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Runs ``work`` on the loop and waits; an interrupt of the waiting thread cancels it there."""
        future = self._portal.start_task_soon(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Callable[[], Awaitable[None]]) -> None:
        """Runs ``last``, then ends the loop and its thread."""
        with contextlib.suppress(RuntimeError):  # the portal has ended already
            self._portal.start_task_soon(last).result(_SECONDS_AT_EXIT)
            self._portal.start_task_soon(self._portal.stop)
        self._thread.join(_SECONDS_AT_EXIT)


async def _serve(ready: Future[BlockingPortal]) -> None:
    async with BlockingPortal() as portal:
        ready.set_result(portal)
        await portal.sleep_until_stopped()


def _close_at_exit(loop: weakref.ref[_Loop], client: weakref.ref[Client]) -> None:
    living, owner = loop(), client()
    if living is not None and owner is not None and living.process == os.getpid():
        with contextlib.suppress(Exception):  # nobody is left to tell
            living.close(owner.aclose)


class SyncStream:
    """As `Stream`, blocking: iterate it, or use it in ``with``."""

    def __init__(self, stream: Stream, call: Callable[[Callable[[], Awaitable[Any]]], Any]) -> None:
        self._stream = stream
        self._call = call
        self._ready: deque[Event] = deque()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if not self._ready:
            self._ready.extend(self._call(self._stream.batch))
            if not self._ready:
                raise StopIteration
        return self._ready.popleft()

    def text(self) -> Iterator[str]:
        """Only the text, as strings; `BadRequestError` where `Stream.text` raises it."""
        self._stream.check_text()
        return (event.text for event in self if event.text)

    @property
    def response(self) -> Response:
        """As `Stream.response`."""
        return self._stream.response

    def close(self) -> None:
        """Closes the connection, whatever is left to read."""
        self._ready.clear()
        self._call(self._stream.aclose)

    def __enter__(self) -> SyncStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class SyncConversation:
    """As `Conversation`, blocking."""

    def __init__(self, conversation: Conversation, call: Callable[[Callable[[], Awaitable[Any]]], Any]) -> None:
        self._conversation = conversation
        self._call = call

    @property
    def messages(self) -> tuple[Message, ...]:
        """Everything said so far."""
        return self._conversation.messages

    @property
    def cost(self) -> Decimal:
        """As `Conversation.cost`."""
        return self._conversation.cost

    def send(self, messages: Messages, **keywords: Any) -> Response:
        """As `Conversation.send`."""
        reply: Response = self._call(lambda: self._conversation.send(messages, **keywords))
        return reply

    def stream(self, messages: Messages, **keywords: Any) -> SyncStream:
        """As `Conversation.stream`."""
        return SyncStream(self._conversation.stream(messages, **keywords), self._call)

    def fork(self, **options: Any) -> SyncConversation:
        """As `Conversation.fork`."""
        return SyncConversation(self._conversation.fork(**options), self._call)
