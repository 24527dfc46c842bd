"""The operators' commands: health, budgets, export, completion, and one style of help."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from asyncllm import Client
from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from asyncllm.cli.ledgers import dollars, sparkline
from asyncllm.cli.main import COMMANDS, build_parser, main
from ledger_books import DOLLAR, DONE, HEAD

BUDGETS = [
    {"name": "daily", "limit": 10, "per": "day"},
    {"name": "each-user", "limit": 1, "per": "day", "scope": {"user": "*"}},
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a configuration and a ledger of today's calls, half of one target failed."""
    config = {
        "active_provider": "openai",
        "providers": {"openai": {"api_key": "sk-x", "fallback_models": ["m"]}},
        "cost_tracking": {"database": "sqlite:///ledger.db"},
        "budgets": BUDGETS,
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf8")

    async def fill() -> None:
        ledger = Ledger(SQLiteStore(tmp_path / "ledger.db"))
        for model, error in (("good", None), ("good", None), ("bad", "ServerError"), ("bad", None)):
            done = DONE._replace(cost=2 * DOLLAR)
            if error is not None:
                done = DONE._replace(cost=0, status="error", error=error, latency=None)
            ledger.settle(await ledger.open(HEAD._replace(model=model, user="ann")), done)
        await ledger.aclose()

    asyncio.run(fill())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_health_from_the_ledger(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The worst target first, with what it failed with; the exit code tells a monitor."""
    assert 1 == main(["health"])
    lines = capsys.readouterr().out.splitlines()
    assert ["openai/bad", "failing", "2", "50.0%"] == lines[1].split()[:4]
    assert lines[1].endswith("ServerError 1")
    assert ["openai/good", "ok", "2", "0.0%"] == lines[2].split()[:4]
    assert 0 == main(["health", "--where", "model=good", "--json"])
    assert ["good"] == [one["model"] for one in json.loads(capsys.readouterr().out)]
    assert 0 == main(["health", "--where", "model=none"])
    assert "no records" in capsys.readouterr().out


@pytest.fixture
def application() -> Iterator[str]:
    """An application whose management endpoints are served by uvicorn, on a port of the loopback."""
    uvicorn = pytest.importorskip("uvicorn")
    from asyncllm.contrib.asgi import admin

    config = {"active_provider": "openai", "providers": {"openai": {"api_key": "k", "fallback_models": ["m"]}}}
    app = admin(Client(config, environ={}), token="a-token-of-the-operator")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(5)


def test_health_of_a_running_application(application: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its management endpoints are asked; a wrong token and a wrong address are sentences."""
    assert 0 == main(["health", "--url", application, "--token", "a-token-of-the-operator"])
    assert "used no target yet" in capsys.readouterr().out
    for words, sentence in (
        (["--url", application], "refused the token"),
        (["--url", f"{application}/nowhere", "--token", "a-token-of-the-operator"], "is no management endpoint"),
        (["--url", "http://127.0.0.1:9"], "cannot be reached"),
        (["--url", "ftp://x"], "must be the http"),
    ):
        assert 1 == main(["health", *words])
        assert sentence in capsys.readouterr().err


def test_budgets_are_listed_raised_and_reset(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bar for each, and what was done holds in the ledger that the application uses."""
    assert 0 == main(["budgets"])
    head, daily = capsys.readouterr().out.splitlines()
    assert ["budget", "limit", "spent", "reserved", "used", "ends"] == head.split()
    assert ["daily", "$10.0000", "$6.0000", "$0.0000", "60%"] == daily.split()[:5]
    assert "█" * 12 + "░" * 8 in daily
    assert 0 == main(["budgets", "raise", "daily", "5", "--json"])
    assert ["15.00"] == [one["limit"] for one in json.loads(capsys.readouterr().out)]
    assert 0 == main(["budgets", "reset", "daily", "--json"])
    (found,) = json.loads(capsys.readouterr().out)
    assert (Decimal(10), Decimal(0)) == (Decimal(found["limit"]), Decimal(found["spent"]))
    assert 0 == main(["budgets", "--of", "user=ann", "--json"])
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert ({"user": "ann"}, "6.00") == (found["each-user"]["scope"], found["each-user"]["spent"])
    assert 0 == main(["budgets", "raise", "each-user", "9", "--of", "user=ann"])
    assert "60%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["reset"], "say which budget"),
        (["raise", "daily"], "say by how much"),
        (["reset", "weekly"], "weekly"),
        (["reset", "each-user"], "each-user"),
        (["--of", "colour=red"], "must be NAME=VALUE"),
    ],
)
def test_budgets_that_cannot_be_changed(
    words: list[str], sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, and exit code 1."""
    assert 1 == main(["budgets", *words])
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export(form: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file by its name, and the same text on stdout."""
    assert 0 == main(["export", f"out.{form}"])
    assert "4 records" in capsys.readouterr().err
    assert 0 == main(["export", "-", "--format", form])
    printed = capsys.readouterr().out
    assert Path(f"out.{form}").read_bytes().decode() == printed
    rows = list(csv.DictReader(io.StringIO(printed))) if form == "csv" else list(map(json.loads, printed.splitlines()))
    assert {"good", "bad"} == {row["model"] for row in rows}
    assert 0 == main(["export", f"some.{form}", "--where", "model=bad", "--since", "all"])
    assert "2 records" in capsys.readouterr().err


def test_an_export_without_a_format(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The name says nothing: the sentence says what to do."""
    for words, sentence in ((["out"], "say the format"), (["-", "--format", "parquet"], "cannot be written to stdout")):
        assert 1 == main(["export", *words])
        assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_is_of_one_style(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence, every argument explained, and examples, each of which the command line accepts."""
    with pytest.raises(SystemExit):
        main([name, "--help"])
    text = capsys.readouterr().out
    assert re.search(r"^examples:\n  \S", text, re.MULTILINE)
    for example in COMMANDS[name].EXAMPLES:
        assert example in text
        words = re.search(r"asyncllm ([^|>)]*)", example)
        assert words is not None
        import shlex

        build_parser().parse_args(shlex.split(words[1]))
    parser = build_parser()._subparsers._group_actions[0].choices[name]  # type: ignore[union-attr,index]
    assert [] == [action.dest for action in parser._actions if not action.help]


def completed(line: str, script: str, folder: Path) -> list[str]:
    """What bash offers for the last word of a line."""
    words = line.split(" ")
    program = (
        f"{script}\nCOMP_WORDS=({' '.join(words)})\nCOMP_CWORD={len(words) - 1}\n_asyncllm\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, cwd=folder)
    return done.stdout.split()


def test_bash_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, options and choices, in a real bash."""
    assert 0 == main(["completion", "bash"])
    script = capsys.readouterr().out
    assert ["completion", "costs"] == sorted(set(completed("asyncllm co", script, tmp_path)))
    assert ["--since"] == completed("asyncllm costs --si", script, tmp_path)
    assert ["reset"] == completed("asyncllm budgets res", script, tmp_path)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command and its options are named."""
    assert 0 == main(["completion", shell])
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)
    assert "since" in script


def test_slow_work_shows_progress_on_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    """After a second a line says how long it has taken, and it is gone at the end; quick work shows nothing."""
    master, slave = pty.openpty()
    program = (
        "import anyio; from asyncllm.cli.ledgers import with_progress\n"
        "anyio.run(with_progress, anyio.sleep(SECONDS), 'reading the ledger')"
    )
    for seconds, shown in (("1.8", True), ("0.1", False)):
        subprocess.run(
            [sys.executable, "-c", program.replace("SECONDS", seconds)], stderr=slave, check=True, env=os.environ
        )
        os.write(slave, b"*end*")
        text = b""
        while not text.endswith(b"*end*"):
            text += os.read(master, 4096)
        assert shown == (b"reading the ledger" in text)
        assert not shown or b"\r*end*" in text
    os.close(master)
    os.close(slave)


def test_a_chart_on_a_terminal(folder: Path) -> None:
    """What a terminal shows of `costs`: a table whose bars end in the same column, and no control characters."""
    master, slave = pty.openpty()
    subprocess.run([sys.executable, "-m", "asyncllm", "costs", "--by", "model"], stdout=slave, check=True, cwd=folder)
    os.close(slave)
    text = b""
    while True:
        try:
            text += os.read(master, 4096)
        except OSError:
            break
    os.close(master)
    lines = text.decode().replace("\r\n", "\n").splitlines()
    assert ["good", "2", "0", "0"] == lines[1].split()[:4]
    assert "█" * 24 in lines[1]
    assert "\x1b" not in text.decode()


@pytest.mark.parametrize(
    ("value", "unpriced", "requests", "expected"),
    [("1.5", 0, 3, "$1.5000"), ("1.5", 1, 3, "$1.5000 + ?"), ("0", 3, 3, "unknown"), ("0", 0, 3, "$0.0000")],
)
def test_unknown_is_shown_as_unknown(value: str, unpriced: int, requests: int, expected: str) -> None:
    """An amount of which nothing is known is no $0; one of which a part is known says so."""
    assert expected == dollars(Decimal(value), unpriced, requests)


def test_a_line_of_bars() -> None:
    """Each as high as its value is beside the largest."""
    assert "▁▅█" == sparkline([Decimal(0), Decimal(4), Decimal(8)])
    assert "▁▁" == sparkline([Decimal(0), Decimal(0)])
