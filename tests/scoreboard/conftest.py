"""Figures of reliability: each test measures one, and the run ends with the table of them.

The ordinary test run takes a quick form of each; ``nox -s scoreboard`` sets ``ASYNCLLM_FULL=1`` and takes the full one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

FULL = os.environ.get("ASYNCLLM_FULL") == "1"
Record = Callable[[str, str, str], None]
_TABLE = pytest.StashKey[list[tuple[str, str, str]]]()


@pytest.fixture
def full() -> bool:
    """Whether this is the full form."""
    return FULL


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Writes a line of the table: what was measured, the figure, and what it must be."""
    table = request.config.stash.setdefault(_TABLE, [])

    def write(what: str, figure: str, passes_at: str) -> None:
        table.append((what, figure, passes_at))

    return write


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    table = config.stash.get(_TABLE, [])
    if not table or not FULL:
        return
    terminalreporter.section("scoreboard")
    widths = [max(len(line[column]) for line in table) for column in range(2)]
    for what, figure, passes_at in table:
        terminalreporter.write_line(f"{what:{widths[0]}}  {figure:{widths[1]}}  passes at {passes_at}")
