"""Ray Data: answers for the rows of a dataset, on any number of machines (`asyncllm-client[ray]`).

::

    ds.map_batches(
        Complete,
        fn_constructor_kwargs={"config": "config.yaml", "job": "reviews", "key": "id", "prompt": "Classify: {text}"},
        concurrency=4,
        batch_size=64,
    )

Ray spreads the batches, starts dead actors anew and gives them their batch again. What was answered is in the journal
of the job, in the ledger's database, so that it is not asked for again. Over several machines that is PostgreSQL.

`Complete` itself needs no Ray. It answers a batch of rows in pipelines of Daft, Dask and others too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from ..._bulk_job import ANSWER_COLUMNS, BulkJob, answer_columns, is_path, key_of
from ..._row_files import columns_of, read_rows, with_columns
from ...client import Client
from ...errors import BadRequestError, ConfigurationError

if TYPE_CHECKING:
    from ..._config import Settings

__all__ = ["Complete"]


class Complete:
    """A class for ``ds.map_batches``: gives each row the columns ``answer``, ``error``, ``cost`` and ``recorded``.

    An instance is called with one batch after the other. A batch is a mapping from column to values, a pandas or Polars
    DataFrame, or an Arrow table; what comes back is of the same kind. It is made where it works, and is not pickled.

    Args:
        config: the path of a config file, a mapping, or Settings; read on the machine of the actor.
        job: the name under which the answers are kept.
        key: the column whose values name the rows, or a function from a row to a text.
        prompt: what is asked: a text with columns in braces, or a function from a row to an input of `Client.map`.
        response_format: the type or format of each answer.
        options: keywords of `Client.map`, such as ``model`` or ``concurrency``.

    Raises:
        ConfigurationError: the configuration is wrong, or its ledger is in memory.
    """

    def __init__(
        self,
        config: Any,
        job: str,
        key: Any,
        prompt: Any,
        response_format: Any = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._portal_context: AbstractContextManager[BlockingPortal] | None = start_blocking_portal()
        self._portal: BlockingPortal = self._portal_context.__enter__()
        self._client = Client(config)
        self._said = {"key": key, "prompt": prompt, "response_format": response_format, **(options or {})}
        self._job = job
        self._key = key_of(key)

    def __call__(self, batch: Any) -> Any:
        """Answers one batch.

        Raises:
            BadRequestError: it has a column with the name of one that is added.
        """
        columns = columns_of(batch)
        taken = [name for name in ANSWER_COLUMNS if name in columns]
        if taken:
            raise BadRequestError(f"the rows have a column {taken[0]!r}, which the answers would replace: rename it")
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        answers = self._portal.call(self._answer, rows)
        return with_columns(batch, {name: [answer[name] for answer in answers] for name in ANSWER_COLUMNS})

    def close(self) -> None:
        """Closes the client, which writes what its ledger still holds. The end of the process does the same."""
        portal, self._portal_context = self._portal_context, None
        if portal is not None:
            self._portal.call(self._client.aclose)
            portal.__exit__(None, None, None)

    async def _answer(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        async for item in self._client.bulk(self._job, _Uncounted(rows), **self._said):
            found[item.index] = answer_columns(item)
        return [found[number] for number in range(len(rows))]


class _Uncounted:
    """Rows without a length: a batch does not say how many rows the job has."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._rows)


async def spread_over(
    rows: Any,
    job: BulkJob[Any],
    *,
    settings: Settings,
    key: Any,
    prompt: Any,
    response_format: Any,
    workers: int,
    batch_size: int,
    options: Mapping[str, Any],
) -> None:
    """Works on a job until Ray has given every row to an actor, and every actor its answers to the journal.

    Args:
        rows: as for `Client.bulk`, or a Ray dataset.
        job: the job.
        settings: the configuration of every actor.
        key: as for `Client.bulk`.
        prompt: as for `Client.bulk`.
        response_format: as for `Client.bulk`.
        workers: how many actors work.
        batch_size: how many rows an actor gets at a time.
        options: keywords of `Client.map`.

    Raises:
        ConfigurationError: Ray is not installed.
    """
    said = {
        "config": settings,
        "job": job.name,
        "key": key,
        "prompt": prompt,
        "response_format": response_format,
        "options": dict(options),
    }
    await to_thread.run_sync(_run, rows, job, said, workers, batch_size)


def _run(rows: Any, job: BulkJob[Any], said: Mapping[str, Any], workers: int, batch_size: int) -> None:
    try:
        import ray
        import ray.data
    except ImportError:
        raise ConfigurationError("engine='ray' needs Ray: python -m pip install 'asyncllm-client[ray]'") from None
    if not isinstance(rows, ray.data.Dataset):
        found = list(read_rows(rows))
        if not found:
            raise BadRequestError("the job has no rows" + (f" ({rows})" if is_path(rows) else ""))
        job.note_total(found)
        rows = ray.data.from_items([dict(row) for row in found])
    answered = rows.map_batches(
        Complete,
        fn_constructor_kwargs=dict(said),
        concurrency=workers,
        batch_size=batch_size,
        max_restarts=-1,
        max_task_retries=-1,
    )
    for _ in answered.iter_rows():
        pass  # the answers are in the journal
