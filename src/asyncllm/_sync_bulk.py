"""The blocking twin of a bulk job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal

from typing_extensions import TypeVar, Unpack

from ._run_options import RunOptions

if TYPE_CHECKING:
    from ._bulk_job import BulkJob
    from ._ledger.row_journal import BulkStatus
    from ._map.item import Item
    from ._schema.response import Response
    from .client import Client

__all__ = ["SyncBulkJob", "SyncBulkVerb"]

T = TypeVar("T", default=Any)
Wait = Callable[[Callable[[], Awaitable[Any]]], Any]


class SyncBulkJob(Generic[T]):
    """As `BulkJob`, blocking.

    Args:
        job: the job.
        call: runs a coroutine on the client's loop and waits for it.
    """

    def __init__(self, job: BulkJob[T], call: Wait) -> None:
        self._job = job
        self._call = call

    @property
    def name(self) -> str:
        """The name under which its answers are kept."""
        return self._job.name

    def run(self) -> BulkStatus:
        """Works until every row has been asked for or found, and says how it went."""
        try:
            found: BulkStatus = self._call(self._job.run)
        except KeyboardInterrupt:
            self._call(self._job.aclose)  # what is in flight may end and is recorded
            raise
        return found

    def __iter__(self) -> Iterator[Item[T]]:
        items = self._job.__aiter__()
        try:
            while (item := self._call(lambda: anext(items, None))) is not None:
                yield item
        finally:
            self._call(self._job.aclose)

    def status(self) -> BulkStatus:
        """How far the job is, over all processes that work on it."""
        found: BulkStatus = self._call(self._job.status)
        return found

    def answers(self) -> Iterator[tuple[str, Response[Any]]]:
        """Every key with its answer, in the order of the keys."""
        found = self._job.answers()
        while (row := self._call(lambda: anext(found, None))) is not None:
            yield row


class SyncBulkVerb:
    """The verb ``bulk`` of a blocking client."""

    _client: Client
    _call: Any

    def bulk(
        self,
        name: str,
        rows: Any,
        *,
        key: str | Callable[[Mapping[str, Any]], str],
        prompt: str | Callable[[Mapping[str, Any]], Any],
        engine: Literal["local", "ray", "dbos"] = "local",
        response_format: Any = None,
        workers: int = 2,
        batch_size: int = 64,
        concurrency: int | Literal["auto"] = 16,
        progress: bool | Callable[..., None] = False,
        **options: Unpack[RunOptions],
    ) -> SyncBulkJob[Any]:
        """A job over many rows, whose answers are kept in the ledger's database under its name.

        A row with an answer is never asked for again, whatever dies meanwhile. The same line in another process joins
        the job, and goes on with it after a crash.

        Args:
            name: of the job.
            rows: a path (.parquet, .csv, .jsonl), a DataFrame, or an iterable of mappings from column to value.
            key: the column whose values name the rows, or a function from a row to a text.
            prompt: what is asked: a text with columns in braces, or a function from a row to an input of `map`.
            engine: who spreads the work: ``"local"`` is this process, ``"ray"`` is Ray Data on a cluster, ``"dbos"`` is
                every process that runs this line, by a queue in the ledger's PostgreSQL.
            response_format: the type or format of each answer.
            workers: on Ray, how many actors work.
            batch_size: on Ray and DBOS, how many rows an actor or process gets at a time.
            concurrency: as for `map`, in each process or actor.
            progress: as for `map`; on DBOS it tells of the whole job; not on Ray.
            **options: every keyword of `CallOptions` and of `run`.

        Raises:
            BadRequestError: an argument is wrong.
            ConfigurationError: the ledger is in memory.
        """
        asked: dict[str, Any] = {"key": key, "prompt": prompt, "response_format": response_format, **options}
        asked |= {"engine": engine, "workers": workers, "batch_size": batch_size, "concurrency": concurrency}
        job = self._client.bulk(name, rows, progress=progress, **asked)
        return SyncBulkJob(job, self._call)
