"""Tries an installed asyncllm as a newcomer does: the first programs of the documentation, and what an extra adds.

python tools/try_installation.py                 the first programs, with the Python of the environment that is tried
python tools/try_installation.py --quick         only the very first one of each page
python tools/try_installation.py EXTRA ...       what these extras add

It needs nothing but the package: no key, no server, no network. Each step is a line; the exit code counts the failures.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIMULATED = ("simulate", "--", sys.executable, "-W", "error")

_CALL = """
import asyncllm
from asyncllm.testing import Simulator

with Simulator.in_thread() as simulator:
    with asyncllm.SyncClient({{**simulator.config(), {sections}}}{arguments}) as client:
        assert client.send("What is 2+2?").text == "4"
        assert "".join(map(str, client.stream("Count to 3"))) == "1 2 3"
{after}
"""
_DASHBOARD = """
import subprocess, sys, urllib.request

command = [sys.executable, "-m", "asyncllm", "dashboard", "--database", "sqlite:///costs.db", "--port", "0"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    try:
        url = next(word for word in server.stdout.readline().split() if word.startswith("http"))
        assert b"</script>" in urllib.request.urlopen(url, timeout=10).read()
    finally:
        server.terminate()
"""
_NO_SERVER = """
try:
    asyncllm.SyncClient({"active_provider": "ollama", "providers": {"ollama": {}}, "cost_tracking": {
        "database": "postgresql://127.0.0.1:1/ledger", "on_error": "error"}}).send("Hi", model="m")
except asyncllm.LedgerError as error:
    assert "127.0.0.1" in str(error) or "refused" in str(error), error
"""


def call(sections: str = "", arguments: str = "", after: str = "") -> str:
    """Returns a program that sends and streams on simulated models.

    Args:
        sections: what the configuration has besides, as items of a dict.
        arguments: further arguments of the client, with the comma before them.
        after: what else the program does with the client.
    """
    return _CALL.format(sections=sections, arguments=arguments, after=after)


EXTRAS = {
    "aiohttp": call("'http': {'library': 'aiohttp'}"),
    "asgi": "from asyncllm.contrib.asgi import admin, sse\n"
    + call(after="        assert admin(client._client, unprotected=True)"),
    "cli": "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'asyncllm', 'demo'], check=True)\n",
    "dashboard": _DASHBOARD,
    "dbos": "import dbos, asyncllm.contrib.dbos\n" + call(),
    "fast": "import orjson\n" + call(),
    "httpx2": call("'http': {'library': 'httpx2'}"),
    "mcp": "from asyncllm.contrib.mcp import MCPTools\nassert MCPTools.stdio('true')\n" + call(),
    "otel": "from asyncllm.contrib.opentelemetry import OpenTelemetry\n" + call("", ", hooks=[OpenTelemetry()]"),
    "parquet": call(
        after="        client.ledger.export_parquet('costs.parquet')\n"
        "        assert open('costs.parquet', 'rb').read(4) == b'PAR1'"
    ),
    "postgres": "import asyncllm\n" + _NO_SERVER,
    "ray": "import ray.data, asyncllm.contrib.ray\n" + call(),
    "redis": call("'shared': {'url': 'redis://127.0.0.1:1', 'on_error': 'local'}"),
    "truststore": call("'http': {'ca_bundle': 'system'}"),
}
"""What shows that an extra has brought what it is for."""


def first_programs(*, quick: bool) -> dict[str, str]:
    """Returns the programs that a newcomer copies first, by the page and line where they stand.

    Args:
        quick: only the first of each page.
    """
    found = {}
    for name in ("README.md", "docs/tutorial/1-first-answer.md"):
        text = (ROOT / name).read_text(encoding="utf8")
        for block in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            found[f"{name}:{text.count(chr(10), 0, block.start()) + 1}"] = block[1]
            if quick:
                break
    return found


def configuration() -> str:
    """Returns the configuration of the first page of the tutorial."""
    text = (ROOT / "docs/tutorial/1-first-answer.md").read_text(encoding="utf8")
    return text.partition("```yaml\n")[2].partition("```")[0]


def run(program: str, command: tuple[str, ...], folder: str) -> str:
    """Runs a program in a folder of its own and returns what went wrong; ``""`` if nothing did."""
    (Path(folder) / "first.py").write_text(program, encoding="utf8")
    (Path(folder) / "config.yaml").write_text(configuration(), encoding="utf8")
    hidden = ("PYTHONPATH", "PYTHONHOME")
    environ = {name: value for name, value in os.environ.items() if name not in hidden and not name.endswith("_KEY")}
    done = subprocess.run(
        [*command, "first.py"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        encoding="utf8",
    )
    return "" if done.returncode == 0 else done.stderr or done.stdout or f"exit code {done.returncode}"


def main(words: list[str]) -> int:
    """Runs the first programs, or those of extras; prints a line for each and returns how many failed."""
    extras = [word for word in words if word != "--quick"]
    found = distribution("asyncllm-client")
    print(f"{found.name} {found.version}, Python {sys.version.split()[0]}, extras: {', '.join(extras) or 'none'}")
    simulated = (sys.executable, "-m", "asyncllm", *SIMULATED)
    steps = {f"[{extra}]": (EXTRAS[extra], (sys.executable,)) for extra in extras} or {
        name: (program, simulated) for name, program in first_programs(quick="--quick" in words).items()
    }
    failed = 0
    for name, (program, command) in steps.items():
        with tempfile.TemporaryDirectory() as folder:
            wrong = run(program, command, folder)
        failed += bool(wrong)
        print(f"{'failed' if wrong else 'ran':6} {name}")
        if wrong:
            print(wrong)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
