"""SQLite files that several processes share, whatever they keep there."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

_AGAIN_SECONDS = 0.01


def open_shared(path: str | Path, patience: float, *, private: bool = False) -> sqlite3.Connection:
    """Opens or creates a file for any thread, in write-ahead mode, each statement a transaction unless one is begun.

    Args:
        path: the file.
        patience: seconds to wait while other processes write or open it.
        private: a new file can be read by its owner only: it holds prompts and answers.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    if private and str(path) != ":memory:" and not Path(path).exists() and Path(path).parent.is_dir():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
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
