"""``asyncllm bulk`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from asyncllm.cli.main import main
from asyncllm.testing import Simulator


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
