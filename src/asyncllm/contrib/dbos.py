"""DBOS: the rows of a bulk job over any number of processes, by a queue in PostgreSQL (`asyncllm-client[dbos]`).

Used by ``client.bulk(..., engine="dbos")``; no server of its own is needed besides the ledger's PostgreSQL.

The rules:

* Every process that runs the line is a DBOS executor with an id of its own. The job is a queue of DBOS, in the schema
  ``asyncllm_dbos`` of the ledger's database. A batch of rows is one workflow, whose id follows from the keys of its
  rows: processes that run the same line put each batch into the queue once.
* A workflow holds the keys of its rows, no content. So every process needs the same rows, key and prompt.
* All batches that a process has taken go through one `MapStream`, so that ``concurrency`` holds for the process.
* Who lives is told by the row journal, not by DBOS. The workflows of an executor that is silent are resumed by
  ``DBOS.resume_workflows``: DBOS itself takes over nothing from a dead executor. Whatever runs twice finds the answers
  in the journal.
* Workflows that ended are deleted. The journal holds the answers, and a later run must be able to ask for rows that
  failed.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import anyio
from anyio import to_thread
from anyio.from_thread import BlockingPortal

from .._bulk_job import BulkJob, JobAnswers, warn_of_same_keys
from .._ledger.row_journal import BEAT, RowJournal, check_key
from .._ledger.stores.postgres import told
from .._map.crew import GRACE
from .._map.progress_bar import bar
from .._row_files import read_rows
from ..bulk import MapProgress, MapStream
from ..errors import BadRequestError, ConfigurationError

if TYPE_CHECKING:
    from .._ledger.row_journal import BulkStatus

__all__: list[str] = []

SCHEMA = "asyncllm_dbos"
_VERSION = "asyncllm-1"  # of the workflow: executors with another one leave our batches alone
_OPEN = ("ENQUEUED", "PENDING", "DELAYED")
_LOOK = 0.25  # seconds between two looks at the queue
_MOST_AUTO = 256
_log = logging.getLogger("asyncllm")


async def spread_over(
    rows: Any,
    job: BulkJob[Any],
    *,
    batch_size: int,
    concurrency: int | Literal["auto"],
    progress: bool | Callable[[MapProgress], None],
) -> None:
    """Works on a job until no batch of it is left, beside all other processes that do.

    Args:
        rows: as for `Client.bulk`.
        job: the job.
        batch_size: how many rows a process takes at a time.
        concurrency: calls at the same time, in this process.
        progress: True for a bar, or a function; tells how far the whole job is.

    Raises:
        ConfigurationError: DBOS is not installed, the ledger is not in PostgreSQL, or the process runs a DBOS already.
        BadRequestError: there are no rows, or one has no key.
    """
    if not job.url.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError(
            "engine='dbos' needs the ledger in PostgreSQL: set cost_tracking.database to postgresql://..."
        )
    _import_dbos()
    by_key = await to_thread.run_sync(_rows_by_key, rows, job)
    journal = RowJournal(job.url, job.name)
    await to_thread.run_sync(journal.open)
    await to_thread.run_sync(journal.count_rows, len(by_key))
    feed = Feed(by_key)
    async with BlockingPortal() as portal:
        queue = JobQueue(job.name, journal, lambda keys: portal.call(feed.answer, keys))
        items = job.begin(feed, JobAnswers(journal))
        most = _MOST_AUTO if concurrency == "auto" else concurrency
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_live, queue, feed)
            tasks.start_soon(_deliver, items, feed)
            try:
                await to_thread.run_sync(queue.start, math.ceil(most / batch_size) + 1)
                batches = await to_thread.run_sync(_batches_to_do, journal, list(by_key), batch_size)
                await to_thread.run_sync(queue.put, batches)
                await _watch(queue, feed, WholeProgress(progress))
            except Exception as error:  # noqa: BLE001  # raised below: a task group would wrap it
                feed.failure = error
            finally:
                feed.close()
                with anyio.CancelScope(shield=True):
                    with anyio.move_on_after(GRACE):  # calls under way may end
                        await feed.over.wait()
                    await items.aclose()
                    feed.leave()
                    await to_thread.run_sync(queue.stop)
                    await to_thread.run_sync(journal.close)
                tasks.cancel_scope.cancel()
    if feed.failure is not None:
        raise feed.failure


async def _watch(queue: JobQueue, feed: Feed, shown: WholeProgress) -> None:
    """Waits until no batch is left to do, and looks after dead executors meanwhile."""
    try:
        while not feed.over.is_set() and feed.failure is None and await to_thread.run_sync(queue.busy):
            await to_thread.run_sync(queue.recover)
            if shown.wanted:
                shown.tell(await to_thread.run_sync(queue.journal.status))
            await anyio.sleep(_LOOK)
        if shown.wanted:
            shown.tell(await to_thread.run_sync(queue.journal.status))
    finally:
        shown.close()


async def _live(queue: JobQueue, feed: Feed) -> None:
    """Shows that this executor lives."""
    try:
        while True:
            await anyio.sleep(BEAT)
            await to_thread.run_sync(queue.journal.beat)
    except Exception as error:  # noqa: BLE001  # of the database
        feed.failure = error


async def _deliver(items: MapStream[Any], feed: Feed) -> None:
    """Gives each item to the batch of its row, until the map ends."""
    try:
        with anyio.CancelScope(shield=True):  # ends when the feed is closed
            async for item in items:
                feed.deliver(item.index)
    except Exception as error:  # noqa: BLE001  # of a row or the journal
        feed.failure = error
    finally:
        feed.over.set()


class WholeProgress:
    """Tells how far the whole job has come since this process joined it."""

    def __init__(self, progress: bool | Callable[[MapProgress], None]) -> None:
        self._show = bar() if progress is True else progress or None
        self._first: BulkStatus | None = None
        self._began = time.monotonic()

    @property
    def wanted(self) -> bool:
        """Whether anybody looks."""
        return self._show is not None

    def tell(self, status: BulkStatus) -> None:
        """Shows a status."""
        first = self._first = self._first or status
        if self._show is not None:
            self._show(
                MapProgress(
                    done=status.done + status.failed,
                    failed=status.failed,
                    recorded=first.done,
                    total=status.total,
                    seconds=time.monotonic() - self._began,
                    cost=status.cost - first.cost,
                )
            )

    def close(self) -> None:
        """Ends the bar."""
        close = getattr(self._show, "close", None)
        if close is not None:
            close()


def _rows_by_key(rows: Any, job: BulkJob[Any]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    number = 0
    for row in read_rows(rows):
        number += 1
        found.setdefault(check_key(job.key(row)), row)
    if not found:
        raise BadRequestError("the job has no rows")
    if len(found) < number:
        warn_of_same_keys(job.name, number, len(found))
    return found


def _batches_to_do(journal: RowJournal, keys: Sequence[str], size: int) -> list[list[str]]:
    """The batches in which a row has no answer. They are cut before that, so that all processes cut the same ones."""
    known = journal.answered()
    cut = [list(keys[start : start + size]) for start in range(0, len(keys), size)]
    return [batch for batch in cut if not known.issuperset(batch)]


class LeftError(BaseException):
    """This process leaves a batch unfinished. No `Exception`: DBOS would take it for the result of the workflow."""


class Feed:
    """The rows of all batches that this process works on, as one asynchronous iterator.

    Attributes:
        over: set when no more items come.
        failure: why the work cannot go on.
    """

    def __init__(self, by_key: Mapping[str, Mapping[str, Any]]) -> None:
        self.over: anyio.Event = anyio.Event()
        self.failure: Exception | None = None
        self._by_key = by_key
        self._send, self._receive = anyio.create_memory_object_stream[Mapping[str, Any]](math.inf)
        self._batches: dict[int, TakenBatch] = {}  # by the place of a row in the stream
        self._number = 0
        self._closed = False

    def __aiter__(self) -> Feed:
        return self

    async def __anext__(self) -> Mapping[str, Any]:
        if self._closed:  # rows that are waiting are left to others
            raise StopAsyncIteration
        return await self._receive.__anext__()

    async def answer(self, keys: Sequence[str]) -> bool:
        """Waits until every row of a batch has been asked for or found.

        Returns:
            False if this process ends first.

        Raises:
            BadRequestError: this process does not have such a row.
        """
        missing = [key for key in keys if key not in self._by_key]
        if missing:
            raise BadRequestError(
                f"this process has no row with the key {missing[0]!r}: every process of a job needs the same rows"
            )
        if self._closed or self.over.is_set():
            return False
        batch = TakenBatch(len(keys))
        for key in keys:
            self._batches[self._number] = batch
            self._number += 1
            self._send.send_nowait(self._by_key[key])
        await batch.done.wait()
        return batch.missing == 0

    def deliver(self, index: int) -> None:
        """Notes that a row has been asked for or found."""
        batch = self._batches.pop(index)
        batch.missing -= 1
        if batch.missing == 0:
            batch.done.set()

    def close(self) -> None:
        """No more rows are read."""
        self._closed = True
        self._send.close()

    async def aclose(self) -> None:
        """Closes the feed; called by the map at its end."""
        self.close()
        self._receive.close()

    def leave(self) -> None:
        """Ends the wait of all batches."""
        for batch in self._batches.values():
            batch.done.set()


class TakenBatch:
    """How many rows of a batch are missing."""

    def __init__(self, missing: int) -> None:
        self.missing = missing
        self.done: anyio.Event = anyio.Event()


class JobQueue:
    """The queue of a job, in DBOS. Every method blocks.

    Args:
        job: its name.
        journal: tells which executors live. Its worker is the id of this executor.
        answer: brings the answers of the rows with these keys into the journal; False if this process ends first.
    """

    def __init__(self, job: str, journal: RowJournal, answer: Callable[[Sequence[str]], bool]) -> None:
        self.journal = journal
        self._answer = answer
        self._name = f"asyncllm.bulk.{job}"
        self._prefix = f"{self._name}:"
        self._recovered = time.monotonic()
        self._dbos: Any = _import_dbos()
        self._batch: Any = None
        self._running = False

    def start(self, at_once: int) -> None:
        """Makes this process an executor.

        Raises:
            ConfigurationError: the process runs a DBOS already, or the database refuses.
        """
        answer = self._answer

        def answer_batch(keys: list[str]) -> None:
            try:
                finished = answer(keys)
            except (CancelledError, RuntimeError):  # the portal is closed
                finished = False
            except Exception as error:
                _log.warning("a batch of the job was not answered: %s", error, extra={"event": "bulk_batch_failed"})
                raise
            if not finished:
                raise LeftError

        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # its configuration sets the same, but later
        self._batch = self._dbos.workflow(name=self._name, max_recovery_attempts=None)(answer_batch)
        self._dbos(
            config={
                "name": "asyncllm",
                "system_database_url": self._url(),
                "dbos_system_schema": SCHEMA,
                "executor_id": self.journal.worker,
                "application_version": _VERSION,
                "log_level": "CRITICAL",
                "max_executor_threads": at_once + 8,
            }
        )
        if self._dbos.executor_id != self.journal.worker:
            raise ConfigurationError(
                "this process runs DBOS already: run a job with engine='dbos' in a process of its own"
            )
        self._running = True
        problem = ""
        self._dbos.listen_queues([self._name])
        try:
            self._dbos.launch()
            self._dbos.register_queue(
                self._name, worker_concurrency=at_once, polling_interval_sec=_LOOK, on_conflict="always_update"
            )
        except Exception as error:  # noqa: BLE001  # of DBOS, its driver or SQLAlchemy
            problem = told(error)
        if problem:  # outside: the driver's frames, which hold the password, are not in its context
            raise ConfigurationError(f"DBOS cannot use the ledger's database: {problem}")

    def _url(self) -> str:
        url = self.journal.url
        return "postgresql://" + url.partition("://")[2]

    def put(self, batches: Sequence[Sequence[str]]) -> None:
        """Puts batches into the queue that are not there yet."""
        ids = {self._prefix + _digest(keys): keys for keys in batches}
        known = {found.workflow_id: found.status for found in self._all()}
        alone = self.journal.living() == {self.journal.worker}
        # An ended batch with rows to do failed before. Nobody waits for what others left behind: its rows may be gone.
        stale = [name for name, status in known.items() if status not in _OPEN or (alone and name not in ids)]
        self._delete(stale)
        from dbos import SetWorkflowID

        for name, keys in ids.items():
            if known.get(name) not in _OPEN:
                with SetWorkflowID(name):
                    self._dbos.enqueue_workflow(self._name, self._batch, list(keys))

    def busy(self) -> bool:
        """Whether a batch is left to do, by whomever."""
        return bool(self._dbos.list_workflows(queue_name=self._name, status=list(_OPEN), limit=1, **_BRIEF))

    def recover(self) -> None:
        """Gives the batches of dead executors to the living, through DBOS; one process at a time."""
        if time.monotonic() - self._recovered < BEAT:
            return
        self._recovered = time.monotonic()
        with self.journal.exclusive() as mine:
            if not mine:
                return
            living = self.journal.living()
            pending = self._dbos.list_workflows(queue_name=self._name, status="PENDING", **_BRIEF)
            left = [found.workflow_id for found in pending if found.executor_id not in living]
            if left:
                self._dbos.resume_workflows(left, queue_name=self._name)

    def stop(self) -> None:
        """Ends the executor, and removes the batches that ended."""
        if not self._running:
            return
        try:
            self._delete([found.workflow_id for found in self._all() if found.status not in _OPEN])
        finally:
            self._dbos.destroy()

    def _all(self) -> Any:
        return self._dbos.list_workflows(queue_name=self._name, **_BRIEF)

    def _delete(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), 500):
            self._dbos.delete_workflows(list(names[start : start + 500]))


_BRIEF: Mapping[str, Any] = MappingProxyType({"load_input": False, "load_output": False})


def _import_dbos() -> Any:
    try:
        from dbos import DBOS
    except ImportError:
        raise ConfigurationError("engine='dbos' needs DBOS: python -m pip install 'asyncllm-client[dbos]'") from None
    return DBOS


def _digest(keys: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(keys).encode()).hexdigest()[:32]
