"""What stores with a journal have in common: they fold journals into the database (`asyncllm._ledger.journal`).

The rules:

* One transaction reads how far a file is folded, books what follows and moves that offset. So a frame counts once, even
  if two processes fold the same file, or one of them dies anywhere.
* A process folds its own file and those of dead processes: those whose lock nobody holds.
* A file that has ended and is folded to its end is removed after the commit; its offset is removed later, as whoever
  still knows the file must find either of them.
"""

from __future__ import annotations

import logging
import os
import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from ...errors import LedgerError
from ..booking import Booked, JournalledEnd, Opening, Operation, Settling
from ..budgets import Charge, Hold
from ..columns import FACTS, Head, in_this_order
from ..journal import OPEN, SETTLE, VOID, Found, Journal, JournalFile, left_behind, read_frames
from ..locks import FileLock, is_free
from ..units import new_ulid
from .sql import SQLStore

MOST_SLICE = 1 << 18  # bytes of journals that are folded in one transaction
_NOBODY = Head(provider="", model="")
_COST = FACTS[1].index("cost")
_CHARGES = 4  # the place of what budgets are charged, in the values of a frame
_log = logging.getLogger("asyncllm.ledger")


class JournalledStore(SQLStore):
    """A store whose attempts under no hard budget may be opened in a journal."""

    def __init__(self) -> None:
        super().__init__()
        self._lock: FileLock | None = None
        self._journal: Journal | None = None
        self._adopted: list[JournalFile] = []
        self._done: list[JournalFile] = []
        self._moves: dict[int, int] = {}
        self._folded_to: dict[int, int] = {}
        self._left_alone: set[Path] = set()

    @property
    @abstractmethod
    def _journals(self) -> Path | None:
        """The folder of the journals; None where there are none."""

    @abstractmethod
    def _lock_path(self, owner: str) -> Path:
        """The file whose lock a living process holds."""

    def journal(self, wake: Callable[[bool], None]) -> Journal | None:
        """The journal of this process; None where this store has none."""
        self._translated(lambda: self._begin_journal(wake))
        return self._journal

    def _begin_journal(self, wake: Callable[[bool], None]) -> None:
        folder = self._journals
        if self._journal is not None or folder is None or self._lock is None:
            return
        database, self._folded_to = self._database_id(), {}
        try:
            self._journal = Journal(folder, owner=self.owner, database=database, facts=FACTS, wake=wake)
        except OSError as error:
            self._tell_of(folder, error)

    def _tell_of(self, folder: Path, error: OSError) -> None:
        """Logs once that there is no journal."""
        if folder not in self._left_alone:
            self._left_alone.add(folder)
            _log.warning(
                "the ledger has no journal (%s); attempts wait for its thread instead",
                error,
                extra={"event": "ledger_journal"},
            )

    def _database_id(self) -> str:
        made = new_ulid(time.time_ns() // 1_000_000, os.urandom(16))
        self._execute("INSERT INTO about VALUES ('id', ?) ON CONFLICT (name) DO NOTHING", (made,))
        return str(self._execute("SELECT value FROM about WHERE name = 'id'")[0][0][0])

    def adopt(self) -> None:
        """Finds the journals of processes that are dead."""
        self._translated(self._adopt)

    def _adopt(self) -> None:
        folder = self._journals
        if folder is None or not folder.is_dir():
            return
        known = {file.path for file in self._adopted}
        database = ""
        for path in sorted(folder.iterdir()):
            owner = path.name.partition(".")[0]
            if path in known or path in self._left_alone or owner == self.owner or not is_free(self._lock_path(owner)):
                continue
            database = database or self._database_id()
            try:
                found = left_behind(path, database)
            except LedgerError as error:
                self._left_alone.add(path)
                _log.warning("%s", error, extra={"event": "ledger_journal"})
            except FileNotFoundError:
                continue  # somebody else was faster
            except OSError as error:
                self._left_alone.add(path)
                _log.warning(
                    "the journal %s cannot be read and is left alone: %s",
                    path,
                    error,
                    extra={"event": "ledger_journal"},
                )
            else:
                if found is None:
                    path.unlink(missing_ok=True)
                else:
                    self._adopted.append(found)
        self._adopted.sort(key=lambda file: (file.owner, file.n))
        self.more: bool = bool(self._adopted)

    def _folded(self) -> list[Operation]:
        own = [] if self._journal is None else self._journal.files()
        operations: list[Operation] = []
        self._done, self._moves, room, self.more = [], {}, MOST_SLICE, False
        for file in (*self._adopted, *own):
            if room <= 0:
                self.more = True
                break
            offset = max(self._offset(file), self._folded_to.get(file.n, 0) if file.owner == self.owner else 0)
            try:
                found = read_frames(file, offset, room) if offset < file.size else Found([], offset, True)
            except FileNotFoundError:
                self._done.append(file)  # somebody else was faster
                continue
            if found.offset != offset:
                self._execute(
                    "INSERT INTO journals VALUES (?, ?, ?) "
                    "ON CONFLICT (owner, n) DO UPDATE SET folded = excluded.folded",
                    (file.owner, file.n, found.offset),
                )
            operations += self._operations(file, found.frames)
            room -= found.offset - offset
            if file.owner == self.owner:
                self._moves[file.n] = found.offset
            if not found.whole:
                self.more = True
                break
            if file.ended:
                self._done.append(file)
        return operations

    def _offset(self, file: JournalFile) -> int:
        """How far a file is folded. Nobody else folds it until the commit."""
        rows, _ = self._execute("SELECT folded FROM journals WHERE owner = ? AND n = ?", (file.owner, file.n))
        return int(rows[0][0]) if rows else 0

    def _operations(self, file: JournalFile, frames: Sequence[tuple[int, Any]]) -> list[Operation]:
        """What frames say. An attempt without budgets that begins and ends here is one operation, as its end says all
        that its beginning did.
        """
        ended = {values[0] for kind, values in frames if kind == SETTLE and values[_CHARGES] is None}
        operations = []
        whole = set()
        for kind, values in frames:
            if kind == OPEN and values[0] in ended and values[_CHARGES] is None:
                whole.add(values[0])
            else:
                operations.append(self._operation(file, kind, values, whole))
        return operations

    def _operation(self, file: JournalFile, kind: int, values: Any, whole: Collection[str]) -> Operation:
        key, moment, head, amount, charges, *end = values
        if kind == VOID:
            head = _NOBODY
        elif file.facts is not None:
            head = in_this_order(head, file.facts[0], FACTS[0])
        hold = None if charges is None else self._hold(file, amount, charges)
        opening = Opening(key, moment, Head._make(head), hold, None)
        opening.owner = file.owner
        if kind == OPEN:
            return opening
        if kind == VOID:
            return Settling(opening, None)
        facts = end[0] if file.facts is None else in_this_order(end[0], file.facts[1], FACTS[1])
        return Settling(opening, JournalledEnd(facts[_COST], facts), key in whole)

    def _hold(self, file: JournalFile, amount: int | None, charges: Any) -> Hold:
        mine = self.budgets if file.facts is None else ()
        return Hold(
            amount,
            tuple(
                Charge(key=key, start=start, end=end, scope=scope, budget=mine[place] if mine else None, place=place)
                for key, start, end, scope, place in charges
            ),
        )

    def _write(self, batch: Sequence[Operation]) -> Booked:
        if not batch and not self._adopted and (self._journal is None or not self._journal.has_more(self._folded_to)):
            self.more = False
            return Booked(windows={})
        booked = super()._write(batch)
        for file in self._done:  # after the commit: nobody reads it again
            file.path.unlink(missing_ok=True)
            self._forget(file)
            if self._journal is not None and file.owner == self.owner:
                self._journal.forget(file.n)
        self._folded_to.update(self._moves)
        if self._done:
            self._adopted = [file for file in self._adopted if file not in self._done]
            for owner in {file.owner for file in self._done} - {file.owner for file in self._adopted} - {self.owner}:
                self._lock_path(owner).unlink(missing_ok=True)
            self._done = []
        return booked

    def _forget(self, file: JournalFile) -> None:
        """Removes the offset of a file that is gone, where nothing else does."""

    def _leave_to_parent(self) -> None:
        """In a forked child: leaves the lock and the files to the parent."""
        if self._lock is not None:
            self._lock.close()
        self._lock, self._journal = None, None
        self._adopted, self._done = [], []
        self.owner = ""

    def _let_go(self) -> None:
        """Lets go of the lock: from now on this process is over for the others."""
        self._journal = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None
