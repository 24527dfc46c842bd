"""A PostgreSQL server of the tests' own, in a scratch folder, from the binaries that Debian installs.

The server refuses to run as root: then it runs as ``nobody``. Nothing listens on the network, only on a socket in the
folder.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

BINARIES = Path("/usr/lib/postgresql")


def binaries() -> Path | None:
    """The folder of the newest server that is installed."""
    found = sorted(BINARIES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def _run(folder: Path, *words: str) -> None:
    who: dict[str, int] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": ""}, **who)
    assert 0 == done.returncode, done.stderr


@contextmanager
def running_server(options: Sequence[str] = ()) -> Iterator[str]:
    """A server; gives the URL of its first database. Skips the test where none is installed."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: python -m pip install 'asyncllm-client[postgres]'")
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short: a socket's path has at most 107 letters
    folder.chmod(0o777)
    data = str(folder / "data")
    try:
        _run(folder, f"{programs}/initdb", "-D", data, "-U", "tests", "-A", "trust", "--no-sync", "-E", "UTF8")
        settings = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=100 {' '.join(options)}"
        log = str(folder / "log")
        _run(folder, f"{programs}/pg_ctl", "-D", data, "-l", log, "-w", "-o", settings, "start")
        try:
            yield f"postgresql://tests@/postgres?host={folder}"
        finally:
            _run(folder, f"{programs}/pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_database(url: str) -> str:
    """An empty database on a server; gives its URL."""
    import psycopg

    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return url.replace("/postgres?", f"/{name}?")
