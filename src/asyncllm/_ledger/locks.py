"""A file lock that the operating system releases when its process dies, however it dies.

``flock`` belongs to the open file, so a second ledger of the same process meets it too. A forked child inherits the
open file and would keep its parent's lock alive: its ledger closes that copy.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0)  # Windows has no O_CLOEXEC: nothing is inherited there


def _try_lock(descriptor: int) -> bool:
    try:
        _lock(descriptor)
    except OSError:
        return False
    return True


class FileLock:
    """The lock of one ledger in one process, in a folder that all its processes share."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: Path) -> None:
        """Makes the file and takes its lock.

        Raises:
            OSError: the file cannot be made, or somebody else has it.
        """
        self.path = path
        path.parent.mkdir(exist_ok=True)
        self._descriptor: int | None = os.open(path, os.O_CREAT | _FLAGS, 0o666)
        if not _try_lock(self._descriptor):
            self.close()
            raise OSError(f"{path} is locked by another process")

    def release(self) -> None:
        """Removes the file, and with it the lock."""
        if self._descriptor is None:
            return
        if sys.platform == "win32":  # an open file cannot be removed there
            self.close()
            with suppress(OSError):  # somebody looks at it now, and removes it
                self.path.unlink()
        else:
            self.path.unlink(missing_ok=True)
            self.close()

    def close(self) -> None:
        """Closes this process's copy of the open file, as a forked child must; the file stays."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def is_free(path: Path) -> bool:
    """Returns whether nobody holds the lock of a file, or the file is gone."""
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # it cannot be told, so it is alive
    try:
        return _try_lock(descriptor)
    finally:
        os.close(descriptor)
