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
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
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


@contextmanager
def running_pooler(url: str) -> Iterator[Callable[[str], str]]:
    """Pgbouncer in transaction mode before a server; gives what makes a server's URL one of the pooler.

    Skips the test where it is not installed.
    """
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("no pgbouncer is installed: apt-get install pgbouncer")
    server = url.split("host=")[1]
    folder = Path(tempfile.mkdtemp(prefix="pb-", dir="/tmp"))
    folder.chmod(0o777)
    (folder / "ini").write_text(
        f"[databases]\n* = host={server} user=tests\n[pgbouncer]\nlisten_port = 6543\nlisten_addr =\n"
        f"unix_socket_dir = {folder}\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 4\n"
    )
    who: dict[str, int] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([program, str(folder / "ini")], stderr=log, **who) as process,
    ):
        try:
            for _ in range(100):
                if (folder / ".s.PGSQL.6543").exists():
                    break
                time.sleep(0.05)
            yield lambda one: one.replace(f"host={server}", f"host={folder}&port=6543")
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)


def new_database(url: str) -> str:
    """An empty database on a server; gives its URL."""
    import psycopg

    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return url.replace("/postgres?", f"/{name}?")
