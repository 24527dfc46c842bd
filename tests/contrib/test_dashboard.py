"""``asyncllm dashboard``: any ledger in a real browser, on a phone and on a desk, read only and without keys."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

pytest.importorskip("uvicorn", reason="needs asyncllm-client[dashboard]")

from asyncllm import SyncClient, errors
from asyncllm._ledger.reader import LedgerReader
from asyncllm._ledger.stores import store_of
from asyncllm.testing import Fault, Simulator

KEY = "sk-canary-0123456789abcdefghij"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of some calls, one of them failed, which an application has closed."""
    path = tmp_path_factory.mktemp("dashboard") / "ledger.db"
    with Simulator.in_thread() as sim:
        config = sim.config(
            cost_tracking={"database": f"sqlite:///{path}"},
            catalog={"prices": {"gpt-sim": {"input": 1, "output": 10}}},
            retry={"max_attempts": 1},
        )
        for entry in config["providers"].values():
            if "api_key" in entry:
                entry["api_key"] = KEY
        with SyncClient(config, environ={}) as client:
            for user in ("ann", "bob", "<img src=x onerror=alert(1)>"):
                client.send("x", user=user, agent="reviewer", tags={"team": "red"})
            client.send("x", model="gpt-sim-mini")
            sim.on("*", Fault(status=500, times=1))
            with pytest.raises(errors.ServerError):
                client.send("x", user="ann", fallback=[])
    return path


@pytest.fixture(scope="module")
def url(ledger: Path) -> Iterator[str]:
    """The command as a process of its own."""
    words = [sys.executable, "-m", "asyncllm", "dashboard", "--database", f"sqlite:///{ledger}", "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
    assert found is not None
    yield found[0]
    process.send_signal(signal.SIGINT)
    assert 0 == process.wait(10)
    process.stdout.close()


def test_it_needs_no_configuration_and_writes_nothing(ledger: Path, url: str) -> None:
    """Costs are shown, what writes is refused, and the files beside the ledger are those that were there."""
    before = sorted(path.name for path in ledger.parent.iterdir() if not path.name.endswith(("-shm", "-wal")))
    bytes_before = ledger.read_bytes()
    with httpx.Client(base_url=url) as http:
        rows = http.get("/providers/costs/stats", params={"by": "model"}).json()["rows"]
        assert {"gpt-sim": 4, "gpt-sim-mini": 1} == {row["group"]["model"]: row["requests"] for row in rows}
        assert {"targets": []} == http.get("/providers/health").json()
        assert 404 == http.post("/providers/health/openai/reset").status_code
        assert 409 == http.post("/budgets/daily/reset").status_code
        assert ["error"] == [one["status"] for one in http.get("/calls?newest=true&status=error").json()["calls"]]
        for path in ("/", "/providers/configuration", "/models", "/calls", "/providers/costs/export?format=csv"):
            answer = http.get(path)
            assert 200 == answer.status_code
            assert KEY not in answer.text
        assert 421 == http.get("/calls", headers={"host": "evil.example"}).status_code
    assert bytes_before == ledger.read_bytes()
    after = sorted(path.name for path in ledger.parent.iterdir() if not path.name.endswith(("-shm", "-wal")))
    assert before == after


def test_a_token_may_be_asked_for(ledger: Path) -> None:
    """With ``--token`` nothing is told without it."""
    from asyncllm.cli.dashboard import application
    from asyncllm.cli.main import build_parser

    words = ["dashboard", "--database", f"sqlite:///{ledger}", "--token", "a-token-of-the-operator"]
    app = application(build_parser().parse_args(words))

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            told = {"authorization": "Bearer a-token-of-the-operator"}
            return [(await http.get("/calls")).status_code, (await http.get("/calls", headers=told)).status_code]

    assert [401, 200] == anyio.run(ask)


def test_what_is_no_ledger_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is not made, an older one is not changed, and one in memory is refused."""
    from asyncllm.cli.main import main

    assert 1 == main(["dashboard", "--database", ":memory:"])
    assert "in memory" in capsys.readouterr().err

    async def read(path: Path) -> str:
        with pytest.raises(errors.LedgerError) as caught:
            await LedgerReader(store_of(f"sqlite:///{path}")).report()
        return caught.value.message

    assert "cannot be opened" in anyio.run(read, tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    sqlite3.connect(tmp_path / "old.db").execute("PRAGMA user_version = 1").connection.close()
    assert "made by an earlier version" in anyio.run(read, tmp_path / "old.db")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1440, 900)], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(url: str, width: int, height: int, scheme: Any, tmp_path: Path) -> None:
    """It fills without an error of the console, fits its width, and shows foreign text as text."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    problems: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(url)
        page.wait_for_selector("body[data-ready=true]", timeout=20_000)
        text = page.inner_text("body")
        for word in ("gpt-sim", "ann", "reviewer", "ServerError", "<img src=x onerror=alert(1)>"):
            assert word in text
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=str(tmp_path / f"dashboard-{'phone' if width < 500 else 'desktop'}-{scheme}.png"))
        page.keyboard.press("Tab")
        assert "BODY" != page.evaluate("document.activeElement.tagName")
        browser.close()
    assert [] == problems
