"""The oldest versions that are tested are the oldest that may be installed."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOOR = re.compile(r'"(anyio|botocore|google-auth|httpx|httpx2|pydantic|pyyaml|sniffio)>=([\d.]+)')


def parts(version: str) -> tuple[int, ...]:
    """A version as numbers, without zeros at its end."""
    numbers = [int(number) for number in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def test_the_constraints_are_the_floors() -> None:
    """Each library's version in tests/oldest.txt is the least that pyproject.toml allows."""
    lines = (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    floors = dict(FLOOR.findall((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    assert {name: parts(version) for name, version in floors.items()} == {
        name: parts(version) for name, version in tested.items()
    }
