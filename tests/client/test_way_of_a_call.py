"""How far a warm call walks: the functions and modules of the package that one ``send("Hi")`` enters."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import asyncllm
from asyncllm import Client
from asyncllm.testing import Simulator

pytestmark = pytest.mark.anyio

ROOT = f"{Path(asyncllm.__file__).parent}/"
MOST_FUNCTIONS = 130
MOST_MODULES = 28


async def walked(client: Client) -> Counter[str]:
    """The modules that a warm call enters -> how many of their functions; comprehensions and tests left out."""
    entered: set[CodeType] = set()

    def enter(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(ROOT) and not code.co_name.startswith("<"):
            entered.add(code)

    for _ in range(2):
        await client.send("Hi")
    before = sys.getprofile()
    sys.setprofile(enter)
    try:
        await client.send("Hi")
    finally:
        sys.setprofile(before)
    files = Counter(code.co_filename.removeprefix(ROOT) for code in entered)
    return Counter({file: count for file, count in files.items() if "testing" not in file})


@pytest.mark.parametrize("on_disk", [False, True])
async def test_a_warm_call_walks_a_short_way(on_disk: bool, tmp_path: Path) -> None:
    """At most 130 functions in at most 28 modules, whether the ledger is in memory or on disk."""
    database = f"sqlite:///{tmp_path}/ledger.db" if on_disk else ":memory:"
    async with (
        Simulator() as sim,
        Client(sim.config(cost_tracking={"database": database}), environ={}) as client,
    ):
        modules = await walked(client)
    told = "\n".join(f"{count:4} {file}" for file, count in sorted(modules.items()))
    functions = sum(modules.values())
    assert functions <= MOST_FUNCTIONS, f"{functions} functions:\n{told}"
    assert len(modules) <= MOST_MODULES, f"{len(modules)} modules:\n{told}"
