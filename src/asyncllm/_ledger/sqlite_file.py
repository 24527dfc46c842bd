"""SQLite files that several processes share, whatever they keep there."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

_AGAIN_SECONDS = 0.01


def open_shared(path: str | Path, patience: float) -> sqlite3.Connection:
    """Opens or creates a file for any thread, in write-ahead mode, each statement a transaction unless one is begun.

    Args:
        path: the file.
        patience: seconds to wait while other processes write or open it.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    try:
        write_ahead(connection, patience)
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def write_ahead(connection: sqlite3.Connection, patience: float) -> None:
    """Switches the file to write-ahead logging, if it is not in that mode yet.

    SQLite does not wait where two processes make this switch at once, or where one finds the log of a process that was
    killed: whoever comes second is told at once that the file is locked. So it is tried again.
    """
    give_up_at = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= give_up_at:
                raise
            time.sleep(_AGAIN_SECONDS)
        else:
            return
