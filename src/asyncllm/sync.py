"""The blocking twin of the client: the same verbs, on an event loop of its own in a daemon thread.

Thread-safe: many threads may call one `SyncClient`. A stream fetches all events that are ready in one hop to the
loop. An unclosed client neither hangs nor warns at the interpreter's exit.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from copy import copy
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, TypeVar, overload

import anyio
from anyio.from_thread import BlockingPortal
from typing_extensions import ParamSpec, TypeForm, Unpack

from ._async_only import BlockingOnly, refuse_to_block_a_loop
from ._batches.sync_batch import SyncBatch
from ._checks import JSONFormat
from ._config import Settings
from ._config.rules import Unshown
from ._conversation_rules import Compact, Keep
from ._engine.health_report import TargetHealth
from ._engine.intake import Messages
from ._ledger.reports import ReportRow
from ._options import CallOptions, with_keywords
from ._run_options import MapOptions, RunOptions, with_map_keywords, with_run_keywords
from ._runtime import Config
from ._schema.foreign_names import OF_A_CLIENT, explains
from ._schema.response import Response
from ._sync_bulk import SyncBulkVerb
from ._sync_conversation import SyncConversation, SyncConversations
from ._sync_ledger import SyncLedger
from ._sync_streams import SyncMap, SyncRunStream, SyncStream
from .client import Client
from .errors import ClientStateError

if TYPE_CHECKING:
    from ._conversation_store import ConversationStore
    from ._map.item import Item
    from .bulk import Inputs, MapStream
    from .runs import Run

Result = TypeVar("Result")
_SECONDS_AT_EXIT = 2.0
_ROWS_A_HOP = 1000
T = TypeVar("T")
P = ParamSpec("P")


def _of_client(
    method: Callable[Concatenate[Client, P], Awaitable[Result]],
) -> Callable[[Any], Callable[Concatenate[SyncClient, P], Result]]:
    """Replaces the decorated method by a blocking form of the async one, with its signature and docstring."""

    @functools.wraps(method)
    def blocking(self: SyncClient, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        return self._call(lambda: method(self._client, *args, **kwargs))

    return lambda named: blocking


@explains(OF_A_CLIENT)
class SyncClient(BlockingOnly, SyncBulkVerb):
    """The blocking form of `Client`: the same verbs and keywords, for any number of threads.

    Args:
        config: as for `Client`; or a `Client` that nothing else uses.
        **options: as for `Client`.

    Raises:
        ConfigurationError: the configuration is wrong; the sentence names file, line and key.
    """

    def __init__(self, config: Config | Client | None = None, *more: NoReturn, **options: Any) -> None:
        given, made = Unshown(config, *more, **options), config if isinstance(config, Client) else None
        del config, options  # no frame that an error leaves shows them
        self._client = given.into(Client) if made is None else made
        self._lock = threading.Lock()
        self._loop: _Loop | None = None
        self._closed = False
        self._whole: SyncClient | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> SyncClient:
        """Makes a client of all providers that have keys in the environment.

        Args:
            environ: the variables; the process's environment by default.
            **options: as for `Client`.

        Raises:
            ConfigurationError: no key is set; the sentence lists the variables.
        """
        given = Unshown(environ, **options)
        del environ, options
        return cls(given.into(Client.from_env))

    def __repr__(self) -> str:
        return f"<Sync{str(getattr(self, '_client', '<Client>'))[1:]}"  # without one, it could not be made

    def with_options(self, **options: Any) -> SyncClient:
        """Returns a view of this client for another tenant.

        Args:
            **options: as for `Client.with_options`: ``api_key``, ``provider``, ``user``, ``timeout``.

        Raises:
            ConfigurationError: there is no such provider, or it does not sign in with a key.
        """
        view = copy(self)
        # A copy of this very object.
        view._client, view._whole = self._client.with_options(**options), self._whole or self  # noqa: SLF001
        return view

    @property
    def settings(self) -> Settings:
        """The configuration, read and checked."""
        return self._client.settings

    @property
    def ledger(self) -> SyncLedger:
        """The record of every attempt: reports, exports and budgets, blocking.

        Raises:
            ConfigurationError: the configuration keeps none (``cost_tracking: {enabled: false}``).
        """
        return SyncLedger(self._client.ledger, self._call)

    @overload
    def send(
        self, messages: Messages, *, response_format: None = None, **options: Unpack[CallOptions]
    ) -> Response[None]: ...
    @overload
    def send(
        self, messages: Messages, *, response_format: JSONFormat, **options: Unpack[CallOptions]
    ) -> Response[Any]: ...
    @overload
    def send(
        self, messages: Messages, *, response_format: TypeForm[T], **options: Unpack[CallOptions]
    ) -> Response[T]: ...
    @with_keywords
    def send(self, messages: Messages, *, response_format: Any = None, **options: Unpack[CallOptions]) -> Response[Any]:
        """Sends the messages and returns the whole reply; the thread waits for it.

        Args:
            messages: a string, or a list of `Message` or ``{"role", "content"}`` dicts.
            response_format: the type or format of the answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The reply. ``parsed`` is the answer as ``response_format``; ``attempts`` lists every HTTP attempt.

        Raises:
            BadRequestError: a message or a keyword is wrong; nothing was sent.
            StructuredOutputError: the answer does not fit ``response_format``, or was cut or refused.
            AsyncLLMError: one of `asyncllm.errors`; each says what to do.
        """
        return self._call(lambda: self._client.send(messages, response_format=response_format, **options))

    @overload
    def stream(
        self, messages: Messages, *, response_format: None = None, **options: Unpack[CallOptions]
    ) -> SyncStream[None]: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: JSONFormat, **options: Unpack[CallOptions]
    ) -> SyncStream[Any]: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: TypeForm[T], **options: Unpack[CallOptions]
    ) -> SyncStream[T]: ...
    @with_keywords
    def stream(
        self, messages: Messages, *, response_format: Any = None, **options: Unpack[CallOptions]
    ) -> SyncStream[Any]:
        """Sends the messages and returns the reply as it comes: iterate the result, or use it in ``with``.

        Args:
            messages: a string, or a list of `Message` or ``{"role", "content"}`` dicts.
            response_format: the type or format of the answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The stream; it connects at the first step of the iteration. At its end ``stream.response`` is the whole
            reply.

        Raises:
            BadRequestError: a message or a keyword is wrong; at once.
            StructuredOutputError: at the end of the iteration, as `send` raises it.
            AsyncLLMError: everything else, at the first step of the iteration or later.
        """
        return SyncStream(self._client.stream(messages, response_format=response_format, **options), self._call)

    @overload
    def run(
        self, messages: Messages | Run[Any], *, response_format: None = None, **options: Unpack[RunOptions]
    ) -> Run[None]: ...
    @overload
    def run(
        self, messages: Messages | Run[Any], *, response_format: JSONFormat, **options: Unpack[RunOptions]
    ) -> Run[Any]: ...
    @overload
    def run(
        self, messages: Messages | Run[Any], *, response_format: TypeForm[T], **options: Unpack[RunOptions]
    ) -> Run[T]: ...
    @with_run_keywords
    def run(
        self, messages: Messages | Run[Any], *, response_format: Any = None, **options: Unpack[RunOptions]
    ) -> Run[Any]:
        """Lets the model call tools until it answers, and returns the whole run; the thread waits for it.

        Args:
            messages: as for `send`; or a `Run` that stopped early, which goes on.
            response_format: the type or format of the last answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The run; ``stopped`` says why it ended.

        Raises:
            BadRequestError: a message or a keyword is wrong; nothing was sent.
            AsyncLLMError: as `send` raises it.
        """
        return self._call(lambda: self._client.run(messages, response_format=response_format, **options))

    @overload
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: None = None, **options: Unpack[RunOptions]
    ) -> SyncRunStream[None]: ...
    @overload
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: JSONFormat, **options: Unpack[RunOptions]
    ) -> SyncRunStream[Any]: ...
    @overload
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: TypeForm[T], **options: Unpack[RunOptions]
    ) -> SyncRunStream[T]: ...
    @with_run_keywords
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: Any = None, **options: Unpack[RunOptions]
    ) -> SyncRunStream[Any]:
        """Does what `run` does, and returns the events as they come: iterate them, or use them in ``with``.

        Args:
            messages: as for `run`.
            response_format: the type or format of the last answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The events; ``result`` is the whole `Run` after the last one.

        Raises:
            BadRequestError: a message or a keyword is wrong; at once.
            AsyncLLMError: everything else, while it is iterated.
        """
        return SyncRunStream(self._client.run_stream(messages, response_format=response_format, **options), self._call)

    @overload
    def map(self, inputs: Inputs, *, response_format: None = None, **options: Unpack[MapOptions]) -> SyncMap[None]: ...
    @overload
    def map(self, inputs: Inputs, *, response_format: JSONFormat, **options: Unpack[MapOptions]) -> SyncMap[Any]: ...
    @overload
    def map(self, inputs: Inputs, *, response_format: TypeForm[T], **options: Unpack[MapOptions]) -> SyncMap[T]: ...
    @with_map_keywords
    def map(self, inputs: Inputs, *, response_format: Any = None, **options: Unpack[MapOptions]) -> SyncMap[Any]:
        """Answers many inputs at the same time, and returns an item for each: iterate them, or use them in ``with``.

        Args:
            inputs: prompts, lists of messages, or dicts with ``messages`` and keywords; read lazily, on another thread.
            response_format: the type or format of each answer.
            **options: every keyword of `CallOptions`.

        Raises:
            BadRequestError: a keyword is wrong; at once.
        """

        async def begin() -> MapStream[Any]:
            return self._client.map(inputs, response_format=response_format, **options)

        return SyncMap(self._call(begin), self._call)

    @overload
    def map_all(
        self, inputs: Inputs, *, response_format: None = None, **options: Unpack[MapOptions]
    ) -> list[Item[None]]: ...
    @overload
    def map_all(
        self, inputs: Inputs, *, response_format: JSONFormat, **options: Unpack[MapOptions]
    ) -> list[Item[Any]]: ...
    @overload
    def map_all(
        self, inputs: Inputs, *, response_format: TypeForm[T], **options: Unpack[MapOptions]
    ) -> list[Item[T]]: ...
    @with_map_keywords
    def map_all(self, inputs: Inputs, *, response_format: Any = None, **options: Unpack[MapOptions]) -> list[Item[Any]]:
        """Does what `map` does, and returns all items as a list, in the order of the inputs.

        Args:
            inputs: as for `map`.
            response_format: the type or format of each answer.
            **options: every keyword of `CallOptions`.

        Raises:
            BadRequestError: a keyword is wrong.
        """
        with self.map(inputs, response_format=response_format, **options) as items:
            return sorted(items, key=lambda item: item.index)

    def conversation(
        self,
        *,
        system: str | None = None,
        messages: Messages | None = None,
        saved: str | None = None,
        keep: Keep | None = None,
        compact: Compact | None = None,
        **options: Unpack[RunOptions],
    ) -> SyncConversation:
        """Returns a conversation that keeps its history and stays with one provider.

        Args:
            system: instructions to the model, as the first message.
            messages: what was said before, such as `asyncllm.load_messages` gives it.
            saved: what `SyncConversation.to_json` wrote.
            keep: how much of a long history is sent; all of it by default.
            compact: when the older part of a long history is summed up, and by whom; never by default.
            **options: ``provider`` (the active one by default) and ``model``; and keywords of `send` and `run`, such as
                ``temperature`` or ``tools``, for every call of it.

        Raises:
            ConfigurationError: there is no such provider.
            BadRequestError: a message is wrong, or ``saved`` is no stored conversation.
        """
        made = self._client.conversation(
            system=system, messages=messages, saved=saved, keep=keep, compact=compact, **options
        )
        return SyncConversation(made, self._call)

    @overload
    def batch(
        self,
        inputs: Inputs,
        *,
        id: str | None = None,
        storage: str | None = None,
        role: str | None = None,
        response_format: None = None,
        **options: Unpack[CallOptions],
    ) -> SyncBatch[None]: ...
    @overload
    def batch(
        self,
        inputs: Inputs,
        *,
        id: str | None = None,
        storage: str | None = None,
        role: str | None = None,
        response_format: JSONFormat,
        **options: Unpack[CallOptions],
    ) -> SyncBatch[Any]: ...
    @overload
    def batch(
        self,
        inputs: Inputs,
        *,
        id: str | None = None,
        storage: str | None = None,
        role: str | None = None,
        response_format: TypeForm[T],
        **options: Unpack[CallOptions],
    ) -> SyncBatch[T]: ...
    def batch(
        self,
        inputs: Inputs,
        *,
        id: str | None = None,
        storage: str | None = None,
        role: str | None = None,
        response_format: Any = None,
        **options: Unpack[CallOptions],
    ) -> SyncBatch[Any]:
        """Gives many inputs to the provider at once, to be answered within a day at the price of batches.

        Args:
            inputs: prompts, lists of messages, or dicts with ``messages`` and keywords of their own.
            id: what the batch is called; the same line in another process then joins it. A ULID by default.
            storage: a folder of a bucket of yours, for Vertex AI ("gs://bucket/folder") and Bedrock
                ("s3://bucket/folder").
            role: the IAM role that Bedrock reads and writes the bucket with.
            response_format: the type or format of each answer.
            **options: keywords of `send` for every input; those about retries and fallback have no meaning here.

        Raises:
            BadRequestError: an input or a keyword is wrong; nothing was sent.
            AsyncLLMError: as `Client.batch` raises it.
        """
        made = self._call(
            lambda: self._client.batch(
                inputs, id=id, storage=storage, role=role, response_format=response_format, **options
            )
        )
        return SyncBatch(made, self._call)

    def open_batch(self, id: str, *, response_format: Any = None) -> SyncBatch[Any]:
        """Opens a batch that was made before, by any process on the same ledger.

        Args:
            id: of the batch.
            response_format: the type or format that each answer is read as.

        Raises:
            BatchError: the ledger has no such batch.
        """
        found = self._call(lambda: self._client.open_batch(id, response_format=response_format))
        return SyncBatch(found, self._call)

    def batches(self) -> tuple[SyncBatch[Any], ...]:
        """All batches that the ledger knows of providers in the configuration, the newest first."""
        return tuple([SyncBatch(found, self._call) for found in self._call(self._client.batches)])

    def conversations(self, store: str | ConversationStore) -> SyncConversations:
        """Conversations in a database, each under an id of yours: ``open``, ``list``, ``delete``.

        Args:
            store: ``"sqlite:///chats.db"``, ``":memory:"``, or a `ConversationStore` of your own.

        Raises:
            ConfigurationError: it is none of these.
        """
        return SyncConversations(self._client.conversations(store), self._call)

    @_of_client(Client.upload)
    def upload(self) -> None:
        """As `Client.upload`."""

    @_of_client(Client.files)
    def files(self) -> None:
        """As `Client.files`."""

    @_of_client(Client.delete_file)
    def delete_file(self) -> None:
        """As `Client.delete_file`."""

    @_of_client(Client.embed)
    def embed(self) -> None:
        """As `Client.embed`."""

    @_of_client(Client.rerank)
    def rerank(self) -> None:
        """As `Client.rerank`."""

    @_of_client(Client.models)
    def models(self) -> None:
        """As `Client.models`."""

    @_of_client(Client.refresh_models)
    def refresh_models(self) -> None:
        """As `Client.refresh_models`."""

    @_of_client(Client.validate_model)
    def validate_model(self) -> None:
        """As `Client.validate_model`."""

    @_of_client(Client.is_deprecated)
    def is_deprecated(self) -> None:
        """As `Client.is_deprecated`."""

    @_of_client(Client.count_tokens)
    def count_tokens(self) -> None:
        """As `Client.count_tokens`."""

    @_of_client(Client.estimate)
    def estimate(self) -> None:
        """As `Client.estimate`."""

    @_of_client(Client.session_cost)
    def session_cost(self) -> None:
        """As `Client.session_cost`."""

    def report(
        self, start: datetime | None = None, end: datetime | None = None, by: Sequence[str] = ()
    ) -> list[ReportRow]:
        """Returns sums of usage and cost. ``ledger.report`` takes more arguments.

        Args:
            start: the first moment; None from the beginning.
            end: the first moment after it.
            by: what to group by.
        """
        return self.ledger.report(start, end, by)

    def export_csv(self, path: str | os.PathLike[str]) -> int:
        """Writes every record as a CSV file and returns how many. ``ledger.export_csv`` takes more arguments."""
        return self.ledger.export_csv(path)

    def health(self) -> tuple[TargetHealth, ...]:
        """Returns the health of every target that was used: circuit, failures, latencies, and waiting calls."""

        async def look() -> tuple[TargetHealth, ...]:
            return self._client.health()

        return self._call(look)

    def reset_health(self, provider: str | None = None) -> None:
        """Forgets the health of a provider's targets, or of all, so that attempts may go there at once.

        Raises:
            ConfigurationError: there is no such provider.
        """

        async def reset() -> None:
            self._client.reset_health(provider)

        self._call(reset)

    def close(self) -> None:
        """Closes every connection and ends the thread. Closing twice is fine."""
        if self._whole is not None:
            return  # the thread is that of the client that this is a view of
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
        refuse_to_block_a_loop()
        if self._whole is not None:
            return self._whole._call(work)  # noqa: SLF001  # a copy of this very object
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
