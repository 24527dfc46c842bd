"""The journal: a file to which a process writes its attempts at once, before they are in the database.

An attempt must be open before its first byte leaves, and both its opening and its end must survive the death of the
process. Waiting for another thread to commit a transaction costs two wake-ups, 0.3 to 0.6 ms of CPU a call; one
``write`` to a file costs a few microseconds, and what was written survives the process as well. So attempts under no
hard budget are written here, and the ledger's thread *folds* them into the database in large transactions
(`stores.sqlite`).

**Files.** Each ledger of each process has a file of its own, ``<database>.journal/<owner>.<n>``, on a local disk,
mode 0600. The owner is the ULID whose lock the process holds (`locks`). A file of 8 MB is closed and the next one is
begun. Files are never truncated, and nothing ever fsyncs them: they survive the process, not the power supply.

**Frames.** A file begins with `MAGIC`, the number of the format, and a frame that names the database, the owner and
the facts in the order in which frames hold them. Each frame is a mark, the length, the CRC-32 and the kind, then the
values in Python's marshal format, version 2, which no Python has changed. It is as fast as a write, where JSON takes
three times as long as everything else together. It is read only after its checksum, from a file that only this user
can write.

**Rules.**

- A frame is one ``os.write`` of one bytes object, at most 64 KiB, under no lock of ours. So a finaliser that settles
  an attempt in the middle of another write is safe, and so are several threads.
- A short write or an `OSError` ends the file: the torn frame's checksum fails, and readers go on at the next mark. If
  the next file cannot be begun either, `append` returns False, and the attempt goes by the queue of the ledger's
  thread.
- A file that another thread may still be writing to is kept open: it is closed when nobody holds it any more.
- Who reads takes the sizes of the files newest first, and reads them oldest first. So whoever finds the end of an
  attempt has found its opening before.
- Every frame is complete: the end of an attempt repeats what was known at its beginning. Nothing has to be looked up.
- Two writes in a row that take more than 20 ms each mean a slow disk: it is reported once, and the attempts of the next
  minute go by the queue. (One alone is a busy machine, where the queue would cost even more.)
"""

from __future__ import annotations

import itertools
import logging
import os
import struct
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from marshal import dumps, loads
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from ..errors import LedgerError

MAGIC = b"asyncllm journal"
FORMAT = 1
OPEN, SETTLE, VOID = 1, 2, 3
MOST_FRAME = 64 << 10
MOST_FILE = 8 << 20
MOST_UNFOLDED = 64 << 20
AT_ONCE = 256
SLOW_SECONDS = 0.02
SLOW_WRITES = 2
SLOW_PAUSE = 60.0

_MARSHAL = 2
_MARK = b"\xf1\x9eaj"
_FRAME = struct.Struct("<4sIIB")
_PREFIX = struct.Struct(f"<{len(MAGIC)}sI")
_HEADER = 0
_SEEDS = tuple(crc32(bytes([kind])) for kind in range(4))
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

_log = logging.getLogger("asyncllm.ledger")


def frame(kind: int, values: Any) -> bytes:
    """Returns a frame in its written form."""
    try:
        payload = dumps(values, _MARSHAL)
    except ValueError:  # a subclass of str or int, or a mapping of another kind
        payload = dumps(_simple(values), _MARSHAL)
    return _FRAME.pack(_MARK, len(payload), crc32(payload, _SEEDS[kind]), kind) + payload


def _simple(value: Any) -> Any:
    if isinstance(value, str):
        return "".join(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {_simple(name): _simple(one) for name, one in value.items()}
    return tuple(map(_simple, value)) if isinstance(value, (tuple, list)) else str(value)


class _OpenFile:
    """A file that is being written. It is closed after the last thread that may write to it."""

    __slots__ = ("__weakref__", "descriptor", "n", "path", "size")

    def __init__(self, path: Path, n: int, header: bytes) -> None:
        self.path = path
        self.n = n
        self.descriptor = -1
        self.descriptor = os.open(path, _FLAGS, 0o600)
        self.size = os.write(self.descriptor, header)
        if self.size != len(header):
            path.unlink(missing_ok=True)
            raise OSError(f"{path} cannot be written: the disk is full")

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFile:
    """A file to fold.

    Attributes:
        path: where it is.
        owner: whose it is.
        n: its number among the owner's.
        size: the bytes that may be read.
        ended: nothing will be written to it any more.
        facts: the names of the values in its frames; None for the order of this version.
        opened: the open file, where somebody has removed its name.
    """

    path: Path
    owner: str
    n: int
    size: int
    ended: bool
    facts: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    opened: _OpenFile | None = None


class Journal:
    """The journal of one ledger in one process. `append` may be called from any thread, and by a finaliser.

    Args:
        folder: where the files are; made where it is missing.
        owner: the ULID whose lock this process holds.
        database: the id of the database that the frames are folded into.
        facts: the names of what is known before an attempt and after it, as frames hold them.
        wake: called for the first frame that is not folded, with False, and again with True when there are many.

    Raises:
        OSError: the first file cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        owner: str,
        database: str,
        facts: tuple[tuple[str, ...], tuple[str, ...]],
        wake: Callable[[bool], None],
    ) -> None:
        self.owner = owner
        self.slow_until: float = 0.0
        self._folder = folder
        self._wake = wake
        self._header = _PREFIX.pack(MAGIC, FORMAT) + frame(_HEADER, (database, owner, *facts))
        self._numbers = itertools.count()
        self._files: list[tuple[int, Path, weakref.ref[_OpenFile]]] = []
        self._file: _OpenFile | None = None
        self._nameless: dict[int, _OpenFile] = {}
        self._ended = False
        self._slow = 0
        self._awake = False
        self._count = 0
        self._reported = False
        folder.mkdir(mode=0o700, exist_ok=True)
        self._file = self._begin()

    def append(self, kind: int, values: tuple[Any, ...]) -> bool:
        """Writes a frame. Returns whether it is in the file."""
        file = self._file
        written = frame(kind, values)
        if file is None or len(written) > MOST_FRAME:
            return False
        began = time.monotonic()
        try:
            count = os.write(file.descriptor, written)
        except OSError:
            count = -1
        if count != len(written):
            return self._append_elsewhere(file, written)
        if time.monotonic() - began > SLOW_SECONDS:
            self._note_slow(time.monotonic() - began)
        elif self._slow:
            self._slow = 0
        file.size += count
        if file.size > MOST_FILE:
            self._go_on(file)
        self._count += 1
        if not self._awake:
            self._awake = True
            self._wake(False)
        elif self._count >= AT_ONCE:
            self._count = 0
            self._wake(True)
        return True

    def _append_elsewhere(self, torn: _OpenFile, written: bytes) -> bool:
        """Writes a frame to the next file, after a file that could not take it whole."""
        file = self._go_on(torn)
        if file is None:
            return False
        try:
            count = os.write(file.descriptor, written)
        except OSError:
            count = -1
        if count != len(written):
            self._file = None
            return False
        self._wake(True)
        return True

    def _go_on(self, file: _OpenFile) -> _OpenFile | None:
        """Begins the next file, unless another thread did."""
        if self._file is file:
            try:
                self._file = self._begin()
            except OSError:
                self._file = None
        return self._file

    def _begin(self) -> _OpenFile:
        n = next(self._numbers)
        path = self._folder / f"{self.owner}.{n}"
        file = _OpenFile(path, n, self._header)
        self._files.append((n, path, weakref.ref(file)))
        return file

    def _note_slow(self, seconds: float) -> None:
        self._slow += 1
        if self._slow < SLOW_WRITES:
            return
        self.slow_until = time.monotonic() + SLOW_PAUSE
        self._wake(True)
        if not self._reported:
            self._reported = True
            _log.warning(
                "a write to the ledger's journal took %.0f ms; while the disk is slow, attempts wait for the ledger's "
                "thread instead",
                seconds * 1000,
                extra={"event": "ledger_journal"},
            )

    # On the ledger's thread

    def mend(self) -> None:
        """Begins a new file where the last one failed and there may be room again."""
        if self._file is None and not self._ended:
            try:
                self._file = self._begin()
            except OSError:
                return

    @property
    def size(self) -> int:
        """About how many bytes are not folded yet, without the file that is being written."""
        return MOST_FILE * max(0, len(self._files) - 1)

    @property
    def works(self) -> bool:
        """Whether frames can be written, as far as is known."""
        return self._file is not None and time.monotonic() >= self.slow_until

    def files(self) -> list[JournalFile]:
        """The files that are there, oldest first, with the sizes that they have now."""
        self._awake, self._count = False, 0  # first: a frame that comes from now on wakes the thread again
        found = []
        for n, path, reference in sorted(self._files, reverse=True):
            opened = reference()
            ended = opened is None
            try:
                size = path.stat().st_size
            except FileNotFoundError:  # somebody took this process for dead, or tidied up
                if opened is None:
                    self.forget(n)
                    continue
                self._nameless[n] = opened  # it can be read as long as it is open
                self._go_on(opened)
                size = os.fstat(opened.descriptor).st_size
            else:
                opened = None
            found.append(JournalFile(path=path, owner=self.owner, n=n, size=size, ended=ended, opened=opened))
        return found[::-1]

    def has_more(self, folded: Mapping[int, int]) -> bool:
        """Returns whether there is something to fold or a file to remove."""
        return any(file.ended or file.size > folded.get(file.n, 0) for file in self.files())

    def forget(self, n: int) -> None:
        """Forgets a file that was folded to its end and removed."""
        self._files = [one for one in self._files if one[0] != n]

    def end(self) -> None:
        """Ends the journal. What is settled from now on goes through the queue."""
        self._ended = True
        self._file = None

    def leave_to_parent(self) -> None:
        """In a forked child: closes the copies of its parent's files."""
        self._file = None
        for _, _, reference in self._files:
            file = reference()
            if file is not None:
                file.close()
        self._files = []


# Reading


class Found(NamedTuple):
    """The frames that were read from a file.

    Attributes:
        frames: kind and values of each whole frame.
        offset: the first byte that is not read.
        whole: whether everything was read that may be read now.
    """

    frames: list[tuple[int, Any]]
    offset: int
    whole: bool


def read_frames(file: JournalFile, offset: int, most: int) -> Found:
    """The frames of a file from an offset on.

    Args:
        file: the file.
        offset: where to begin; 0 is the header.
        most: the bytes to read at most; at least one whole frame is.

    Raises:
        OSError: the file cannot be read, or is gone.
    """
    size = min(file.size - offset, max(most, MOST_FRAME))
    if file.opened is not None:
        data = os.pread(file.opened.descriptor, size, offset)
    else:
        with file.path.open("rb", buffering=0) as opened:
            opened.seek(offset)
            data = opened.read(size)
    whole = offset + len(data) >= file.size
    return _scan(data, offset, ended=file.ended and whole, whole=whole)


def _scan(data: bytes, base: int, *, ended: bool, whole: bool) -> Found:
    frames: list[tuple[int, Any]] = []
    at, end = 0, len(data)
    if base == 0:
        at = _PREFIX.size
    while at < end:
        if at + _FRAME.size <= end:  # as `_frame_at` does, without the call: nearly all are whole
            mark, length, checksum, kind = _FRAME.unpack_from(data, at)
            after = at + _FRAME.size + length
            if mark == _MARK and kind <= VOID and length <= MOST_FRAME and after <= end:
                payload = data[at + _FRAME.size : after]
                if crc32(payload, _SEEDS[kind]) == checksum:
                    if kind != _HEADER:
                        frames.append((kind, loads(payload)))  # noqa: S302  # its checksum is right, and only we can write it
                    at = after
                    continue
        _, short = _frame_at(data, at)
        if short and (not whole or not ended) and (at > 0 or whole):
            break  # the rest is in the next read, or on its way
        following = data.find(_MARK, at + 1)
        if following < 0 and whole and not ended:
            break
        at = end if following < 0 else following
    return Found(frames, base + at, whole)


def _frame_at(data: bytes, at: int) -> tuple[tuple[int, bytes, int] | None, bool]:
    """Returns kind, payload and end of the frame that begins here, and whether more bytes could complete one."""
    if at + _FRAME.size > len(data):
        return None, True
    mark, length, checksum, kind = _FRAME.unpack_from(data, at)
    after = at + _FRAME.size + length
    if mark != _MARK or kind >= len(_SEEDS) or length > MOST_FRAME:
        return None, False
    if after > len(data):
        return None, True
    payload = data[at + _FRAME.size : after]
    return ((kind, payload, after) if crc32(payload, _SEEDS[kind]) == checksum else None), False


def left_behind(path: Path, database: str) -> JournalFile | None:
    """Returns the journal of a dead process, or None if it holds nothing.

    Args:
        path: its file.
        database: the id of the database that it must be for.

    Raises:
        LedgerError: it is of another database, or of a later version, or no journal: leave it alone.
        OSError: it cannot be read.
    """
    owner, _, number = path.name.partition(".")
    size = path.stat().st_size
    with path.open("rb") as opened:
        data = opened.read(MOST_FRAME)
    if len(data) < _PREFIX.size:
        return None  # its process died when it had just made it
    magic, version = _PREFIX.unpack_from(data)
    if magic != MAGIC or not number.isdigit():
        raise LedgerError(f"{path} is no journal of a ledger and is left alone")
    if version > FORMAT:
        raise LedgerError(f"{path} was written by a later version of asyncllm and is left alone; upgrade asyncllm")
    found, _ = _frame_at(data, _PREFIX.size)
    if found is None:
        if size < len(data) + 1 and _MARK not in data[_PREFIX.size + 1 :]:
            return None  # the same, in the middle of its header
        raise LedgerError(f"{path} is a damaged journal and is left alone: its header cannot be read")
    whose, said, head, end = loads(found[1])  # noqa: S302  # as above
    if whose != database or said != owner:
        raise LedgerError(f"{path} belongs to another database and is left alone; move it to that one, or delete it")
    return JournalFile(path=path, owner=owner, n=int(number), size=size, ended=True, facts=(tuple(head), tuple(end)))
