"""The half of a ledger that writes records into files and streams."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from anyio import to_thread

from .export import EXPORTS, texts
from .stores import NOTHING, Query, Store
from .units import to_microseconds

PAGE = 1000
_T = TypeVar("_T")


class LedgerExports(ABC):
    """What a ledger can write its records to."""

    _store: Store

    @abstractmethod
    async def _read(self, action: Callable[[], _T]) -> _T:
        """Runs a reading action in a thread, after everything settled by this ledger is in the store."""

    async def export_csv(
        self,
        path: str | os.PathLike[str],
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        where: Mapping[str, str] = NOTHING,
    ) -> int:
        """Writes records as CSV that a spreadsheet cannot take for formulas; returns how many.

        Raises:
            LedgerError: the store cannot be read.
            OSError: the file cannot be written.
        """
        return await self._export("csv", path, start, end, where)

    async def export_jsonl(
        self,
        path: str | os.PathLike[str],
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        where: Mapping[str, str] = NOTHING,
    ) -> int:
        """Writes records as JSON lines; returns how many. Raises as `export_csv`."""
        return await self._export("jsonl", path, start, end, where)

    async def export_parquet(
        self,
        path: str | os.PathLike[str],
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        where: Mapping[str, str] = NOTHING,
    ) -> int:
        """Writes records as Parquet (``asyncllm-client[parquet]``); returns how many. Raises as `export_csv`.

        Raises:
            ConfigurationError: pyarrow is not installed.
        """
        return await self._export("parquet", path, start, end, where)

    async def lines(
        self,
        form: Literal["csv", "jsonl"],
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        where: Mapping[str, str] = NOTHING,
    ) -> AsyncGenerator[tuple[str, int], None]:
        """The text of an export, piece by piece, for streams; each piece with the number of its records.

        Args:
            form: ``"csv"`` or ``"jsonl"``.
            start: as for `report`.
            end: as for `report`.
            where: as for `report`.

        Raises:
            LedgerError: the store cannot be read.
        """
        pages = await self._read(partial(self._store.pages, query_of(start, end, where), 10 * PAGE))
        pieces = texts(form, pages)
        while True:
            piece = await to_thread.run_sync(next, pieces, None)
            if piece is None:
                return
            yield piece

    async def _export(
        self,
        form: str,
        path: str | os.PathLike[str],
        start: datetime | None,
        end: datetime | None,
        where: Mapping[str, str],
    ) -> int:
        query = query_of(start, end, where)
        return await self._read(lambda: EXPORTS[form](Path(path), self._store.pages(query, 10 * PAGE)))


def query_of(
    start: datetime | None, end: datetime | None, where: Mapping[str, str], *, billed: bool = False, step: int = 1
) -> Query:
    """The query of a report's or an export's arguments."""
    for name, moment in (("start", start), ("end", end)):
        if moment is not None and not isinstance(moment, datetime):
            raise ValueError(f"{name} must be a datetime, not {moment!r}")
    return Query(
        start=None if start is None else to_microseconds(start),
        end=None if end is None else to_microseconds(end),
        where=where,
        billed=billed,
        step=step,
    )
