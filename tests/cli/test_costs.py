"""asyncllm costs: the report of a ledger, as a table, a chart and CSV."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from asyncllm._ledger.ledger import Ledger
from asyncllm._ledger.stores.sqlite import SQLiteStore
from asyncllm.cli.costs import bar
from asyncllm.cli.main import main
from ledger_books import DOLLAR, DONE, HEAD


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A ledger with a few days of calls."""
    now = datetime.now(timezone.utc)

    async def fill() -> None:
        clock = [0.0]
        ledger = Ledger(SQLiteStore(tmp_path / "ledger.db"), clock=lambda: clock[0])
        for days, model, cost in ((0, "a", 3 * DOLLAR), (1, "a", DOLLAR), (1, "=b", 2 * DOLLAR), (20, "old", DOLLAR)):
            clock[0] = (now - timedelta(days=days)).timestamp()
            ledger.settle(await ledger.open(HEAD._replace(model=model)), DONE._replace(cost=cost))
        clock[0] = now.timestamp()
        ledger.settle(await ledger.open(HEAD._replace(model="free", user=None)), DONE._replace(cost=None, latency=None))
        await ledger.aclose()

    asyncio.run(fill())
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def test_a_table_with_a_chart(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The dearest group first, a bar for each, and a line of totals."""
    assert 0 == main(["costs", "--since", "7d", "--database", database])
    lines = capsys.readouterr().out.splitlines()
    assert ["provider", "model", "requests", "failed", "unpriced", "input", "output", "cost", "p50", "p95"] == (
        lines[0].split()
    )
    assert ["openai", "a", "2", "0", "0", "20", "40", "$4.0000", "0.50", "s", "0.50", "s", "█" * 24] == lines[1].split()
    assert "█" * 12 == lines[2].split()[-1]
    assert ["openai", "free", "1", "0", "1", "10", "20", "unknown", "-", "-"] == lines[3].split()
    assert ["total", "4", "0", "1", "40", "80", "$6.0000", "+", "?"] == lines[4].split()
    assert 5 == len(lines)


@pytest.mark.parametrize(
    ("by", "since", "rows"),
    [
        ("day", "7d", 2),
        ("day,model", "7d", 4),
        ("user", "all", 2),
        ("", "all", 1),
        ("hour", "4w", 3),
        ("status", "1h", 1),
    ],
)
def test_csv(by: str, since: str, rows: int, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A heading and a line for each group, by anything a report groups by."""
    assert 0 == main(["costs", "--by", by, "--since", since, "--csv", "--database", database])
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows == len(found)
    assert {"requests", "cost", "latency_p95"} <= set(found[0])


def test_json(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A list of objects; money is decimal text, and what nobody knows is null."""
    assert 0 == main(["costs", "--by", "model", "--since", "7d", "--json", "--database", database])
    found = {row["model"]: row for row in json.loads(capsys.readouterr().out)}
    assert ("4.00", None, 1) == (found["a"]["cost"], found["free"]["cost"], found["free"]["unpriced"])


def test_a_part_of_the_records(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``--where`` chooses by columns and tags, ``--until`` ends, and both are checked."""
    words = ["costs", "--by", "model", "--json", "--database", database]
    assert 0 == main([*words, "--where", "model=a", "--where", "provider=openai"])
    assert ["a"] == [row["model"] for row in json.loads(capsys.readouterr().out)]
    assert 0 == main([*words, "--since", "all", "--until", "4d"])
    assert ["old"] == [row["model"] for row in json.loads(capsys.readouterr().out)]
    assert 0 == main([*words, "--where", "tag:team=red"])
    assert [] == json.loads(capsys.readouterr().out)
    for wrong, sentence in (("colour=red", "cannot be chosen by 'colour'"), ("user", "write NAME=VALUE")):
        with pytest.raises(SystemExit):
            main([*words, "--where", wrong])
        assert sentence in capsys.readouterr().err


def test_days_by_another_clock(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``--tz`` begins days by that clock; a line of bars shows the course."""
    assert 0 == main(["costs", "--by", "day", "--tz", "Asia/Tokyo", "--since", "all", "--json", "--database", database])
    assert all(row["day"].endswith("T00:00:00+09:00") for row in json.loads(capsys.readouterr().out))
    assert 0 == main(["costs", "--by", "day", "--since", "all", "--database", database])
    last = capsys.readouterr().out.splitlines()[-1]
    assert {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"} >= set(last.split()[0])
    with pytest.raises(SystemExit):
        main(["costs", "--tz", "Mars/Olympus", "--database", database])
    assert "is no time zone" in capsys.readouterr().err


def test_csv_has_no_formulas(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A model's name is whatever a caller wrote."""
    assert 0 == main(["costs", "--by", "model", "--csv", "--database", database])
    assert "'=b" in {row["model"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}


def test_the_ledger_of_a_configuration(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From --config, else from ./config.yaml; the path is relative to the file."""
    text = "active_provider: openai\nproviders:\n  openai: {api_key: sk-x, fallback_models: [m]}\n"
    (tmp_path / "config.yaml").write_text(f"{text}cost_tracking: {{database: 'sqlite:///ledger.db'}}\n")
    assert 0 == main(["costs", "--config", str(tmp_path / "config.yaml"), "--since", "2000-01-01"])
    assert "$7.0000" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    assert 0 == main(["costs", "--by", "session", "--since", "all"])
    assert "$7.0000" in capsys.readouterr().out


def test_an_empty_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence instead of an empty table."""
    assert 0 == main(["costs", "--database", f"sqlite:///{tmp_path / 'new.db'}"])
    assert "The ledger has no records of that time.\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--database", ":memory:"], "keeps its ledger in memory"),
        ([], "there is no ./config.yaml"),
        (["--database", "mysql://x"], "must be sqlite:///path"),
        (["--by", "colour", "--database", "sqlite:///x.db"], "cannot group by 'colour'"),
    ],
)
def test_what_cannot_be_shown(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, and exit code 1."""
    monkeypatch.chdir(tmp_path)
    assert 1 == main(["costs", *words])
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("since", ["yesterday", "7x", "999999w", "-1d"])
def test_a_time_that_is_none(since: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence says how to write one."""
    with pytest.raises(SystemExit):
        main(["costs", f"--since={since}"])
    assert "write 12h, 7d, 4w, 2026-11-01 or all" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "expected"), [("8", "█" * 24), ("4", "█" * 12), ("0.1", "▎"), ("0", ""), ("-1", "")])
def test_bars(value: str, expected: str) -> None:
    """As long as the value's part of the most, to an eighth of a letter."""
    assert expected == bar(Decimal(value), Decimal(8))
    assert "" == bar(Decimal(0), Decimal(0))
