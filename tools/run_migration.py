"""Runs both programs of pages in docs/migration, the other library's and ours, on simulated models.

python tools/run_migration.py openai anthropic     the libraries must be installed beside asyncllm
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGES = Path(__file__).resolve().parent.parent / "docs" / "migration"
PEERS = {
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "google-genai": ("google-genai",),
    "boto3": ("boto3",),
    "litellm": ("litellm",),
    "langchain": ("langchain", "langchain-openai", "langchain-anthropic"),
    "instructor": ("instructor", "openai"),
    "pydantic-ai": ("pydantic-ai-slim[openai,anthropic]",),
}
"""Pages, and what has to be installed for the other library's program."""


def programs(page: str) -> dict[str, str]:
    """The two programs of a page, by the heading that they stand under."""
    text = (PAGES / f"{page}.md").read_text(encoding="utf8")
    return dict(re.findall(r"^## (Before|After)\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a folder of its own, with simulated models in the place of the providers."""
    environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # it would fetch its prices
    command = [sys.executable, "-m", "asyncllm", "simulate", "--", sys.executable, "program.py"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "program.py").write_text(program, encoding="utf8")
        return subprocess.run(
            command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False, encoding="utf8"
        )


def main(pages: list[str]) -> int:
    """Prints a line for each program, and what a failed one said; returns how many failed."""
    failed = 0
    for page in pages or list(PEERS):
        for which, program in programs(page).items():
            done = run(program)
            failed += done.returncode != 0
            print(f"{page:14} {which:6} {'failed' if done.returncode else 'ran'}")
            if done.returncode:
                print(done.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
