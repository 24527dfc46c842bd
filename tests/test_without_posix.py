"""What Windows lacks is not needed: the import, a call, a stream and a ledger in a file work without it.

No Windows is here. So a process of its own takes away what it does not have, after the libraries below us have been
imported, and says that it is Windows. What this cannot show, such as files that cannot be removed while they are open,
is read in the code.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from asyncllm.testing import Simulator

PROGRAM = """
import asyncio, concurrent.futures, fcntl, httpx, json, multiprocessing, os, signal, sqlite3, ssl, subprocess, sys
import anyio, anyio._backends._asyncio, logging.handlers, pydantic, socket, sysconfig, tempfile, types
import urllib.request, yaml, zoneinfo
try:
    import trio
except ImportError:
    pass

locked = types.ModuleType("msvcrt")
locked.LK_NBLCK = 2
locked.locking = lambda descriptor, mode, count: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
sys.modules["msvcrt"] = locked
for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty", "syslog", "posix_ipc", "readline"):
    sys.modules[name] = None  # importing it raises ImportError
for name in ("O_CLOEXEC", "O_NONBLOCK", "fork", "register_at_fork", "getuid", "geteuid", "pread", "pwrite", "killpg",
             "fchmod", "setsid", "statvfs", "getpgid", "uname", "mkfifo", "chown"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGCHLD"):
    if hasattr(signal, name):
        delattr(signal, name)
sys.platform = "win32"

import asyncllm
from asyncllm._ledger.locks import is_free
from pathlib import Path

CONFIG = json.loads(sys.argv[1])

async def main():
    async with asyncllm.Client(CONFIG) as client:
        assert (await client.send("What is 2+2?")).text == "4"
        assert "".join([str(event) async for event in client.stream("Count to 3")]) == "1 2 3"
        rows = await client.ledger.report(by=["day", "model"])
        assert sum(row.requests for row in rows) == 2, rows
        assert not is_free(next(Path("ledger.db.locks").glob("*.lock")))
    assert list(Path("ledger.db.locks").glob("*.lock")) == []

asyncio.run(main())
with asyncllm.SyncClient(CONFIG) as client:
    assert client.send("What is 2+2?").text == "4"
    assert sum(row.requests for row in client.ledger.report()) == 3
from asyncllm.cli.main import main
from asyncllm.cli.folders import user_config
os.environ["APPDATA"] = "roaming"
assert user_config() == Path("roaming", "asyncllm", "config.yaml")
sys.exit(main(["costs", "--database", "sqlite:///ledger.db", "--by", "model"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lacks it by itself")
def test_a_call_needs_nothing_that_windows_lacks(tmp_path: Path) -> None:
    """Without POSIX's modules, flags and signals calls are answered and booked, and the command line reports them."""
    import json

    with Simulator.in_thread() as simulator:
        config = {
            **simulator.config(),
            "budgets": [{"limit": 10, "per": "day", "timezone": "UTC", "on_exceed": "warn"}],
            "cost_tracking": {"database": f"sqlite:///{tmp_path / 'ledger.db'}", "on_error": "error"},
        }
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PROGRAM, json.dumps(config)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert ("", 0) == (done.stderr, done.returncode)
    assert "gpt-sim" in done.stdout
