"""``asyncllm bulk`` as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from asyncllm._bulk_job import read_status
from asyncllm.cli.main import main
from asyncllm.testing import Fault, Simulator


def test_a_job_is_run_told_and_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """The answers go to a file, the status tells how far the job is, and resume asks for nothing twice."""
    monkeypatch.chdir(tmp_path)
    rows = [{"id": str(number), "text": f"text {number}"} for number in range(5)]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    Path("job.yaml").write_text('name: friendly\nkey: id\nprompt: "Is it? {text}"\nmax_tokens: 9\n', encoding="utf8")
    with Simulator.in_thread(reply="yes") as sim:
        entry = {"api_key": "sk-sim-x", "base_url": sim.url("openai"), "fallback_models": ["gpt-sim"]}
        config = {"active_provider": "openai", "providers": {"openai": entry}}
        Path("config.yaml").write_text(yaml.safe_dump(config), encoding="utf8")
        assert 1 == main(["bulk", "resume", "job.yaml", "--in", "rows.jsonl"])
        assert "begin it with run" in capsys.readouterr().err
        assert 0 == main(["bulk", "run", "job.yaml", "--in", "rows.jsonl", "--out", "out.jsonl"])
        told = capsys.readouterr().out
        assert "friendly: 5 of 5 rows answered" in told
        assert "cost unknown" in told
        assert 0 == main(["bulk", "resume", "job.yaml", "--in", "rows.jsonl"])
        assert 0 == main(["bulk", "status", "friendly"])
        assert 5 == sim.count()
    out = [json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf8").splitlines()]
    assert [(row["id"], row["answer"]) for row in out] == [(row["id"], "yes") for row in rows]
    assert 1 == main(["bulk", "status", "nothing"])
    assert "no job 'nothing'" in capsys.readouterr().err


def test_mistakes_are_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is asked: wrong keys of the job, files of other kinds, columns that would be lost."""
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text('{"id": "a", "text": "x"}\n', encoding="utf8")
    Path("taken.jsonl").write_text('{"id": "a", "text": "x", "cost": 3}\n', encoding="utf8")
    Path("broken.csv").write_text("id,text\na,b,c\n", encoding="utf8")
    with Simulator.in_thread() as sim:
        entry = {"api_key": "sk-sim-x", "base_url": sim.url("openai"), "fallback_models": ["gpt-sim"]}
        config = {"active_provider": "openai", "providers": {"openai": entry}}
        Path("config.yaml").write_text(yaml.safe_dump(config), encoding="utf8")
        for more, arguments, sentence in (
            ("engin: dbos", "--in rows.jsonl", "job.yaml: got an unexpected keyword argument 'engin'"),
            ("concurrency: many", "--in rows.jsonl", "concurrency must be a whole number"),
            ("checkpoint: run.db", "--in rows.jsonl", "unexpected keyword argument 'checkpoint'"),
            ("engine: spark", "--in rows.jsonl", "engine must be 'local', 'ray' or 'dbos'"),
            ("", "--in rows.xlsx", "rows are read from"),
            ("", "--in broken.csv", "line 2 has more values"),
            ("", "--in rows.jsonl --out out.xls", "rows are written to"),
            ("", "--in taken.jsonl --out out.jsonl", "column 'cost'"),
        ):
            Path("job.yaml").write_text(f'name: j\nkey: id\nprompt: "Is it? {{text}}"\n{more}\n', encoding="utf8")
            assert 1 == main(["bulk", "run", "job.yaml", *arguments.split()])
            assert sentence in capsys.readouterr().err
        assert 0 == sim.count()


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_rows_and_answers_in_every_kind_of_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What pandas wrote is read, and what is written pandas reads; a row that failed has its error."""
    pandas = pytest.importorskip("pandas")
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    frame = pandas.DataFrame({"id": [1, 2, 3], "text": ["a", "b\nc", 'd, "e"']})
    if kind == "jsonl":
        frame.to_json("rows.jsonl", orient="records", lines=True)
    else:
        getattr(frame, f"to_{kind}")(f"rows.{kind}", index=False)
    Path("job.yaml").write_text('name: j\nkey: id\nprompt: "Is it? {text}"\n', encoding="utf8")
    with Simulator.in_thread(reply='yes, "it"\nis') as sim:
        sim.on("*", Fault.status(400, times=1, when=lambda got: "b\nc" in got.body["messages"][-1]["content"]))
        entry = {"api_key": "sk-sim-x", "base_url": sim.url("openai"), "fallback_models": ["gpt-sim"]}
        config = {"active_provider": "openai", "providers": {"openai": entry}}
        Path("config.yaml").write_text(yaml.safe_dump(config), encoding="utf8")
        assert 1 == main(["bulk", "run", "job.yaml", "--in", f"rows.{kind}", "--out", f"out.{kind}"])
    capsys.readouterr()
    if kind == "jsonl":
        out = pandas.read_json("out.jsonl", lines=True)
    else:
        out = getattr(pandas, f"read_{kind}")(f"out.{kind}")
    assert ["id", "text", "answer", "finish_reason", "cost", "error"] == list(out.columns)
    assert list(frame["text"]) == list(out["text"])
    assert ["1", "2", "3"] == [str(value) for value in out["id"]]
    assert [True, False, True] == list(out["answer"] == 'yes, "it"\nis')
    assert [False, True, False] == [str(error).startswith("BadRequestError") for error in out["error"]]


def test_an_interrupted_job_says_how_to_go_on(tmp_path: Path) -> None:
    """After Ctrl-C the calls under way end and are kept, and the command that goes on is printed."""
    rows = [{"id": str(number), "text": f"text {number}"} for number in range(500)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    (tmp_path / "job.yaml").write_text('name: long\nkey: id\nprompt: "{text}"\nconcurrency: 4\n', encoding="utf8")
    with Simulator.in_thread(latency=0.1) as sim:
        entry = {"api_key": "sk-sim-x", "base_url": sim.url("openai"), "fallback_models": ["gpt-sim"]}
        config = {"active_provider": "openai", "providers": {"openai": entry}}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf8")
        start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # a shell may ignore it
        words = [sys.executable, "-c", f"{start}; from asyncllm.cli.main import main; raise SystemExit(main())"]
        words += ["bulk", "run", "job.yaml", "--in", "rows.jsonl", "--out", "out.csv"]
        with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            give_up_at = time.monotonic() + 120
            while sim.count() < 8 and time.monotonic() < give_up_at:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
        assert 130 == process.returncode
        assert "go on with: asyncllm bulk resume job.yaml --in rows.jsonl --out out.csv" in said
        asked = sim.count()
    status = read_status(f"sqlite:///{tmp_path / 'asyncllm.db'}", "long")
    assert (asked, 500) == (status.done, status.total)
