"""The bill of materials: every distribution that is needed, and none of the extras."""

from __future__ import annotations

import re
import runpy
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).resolve().parent.parent / "tools" / "bill_of_materials.py"


def test_what_is_needed_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The requirements of requirements too, with version and package URL; a test's packages are not there."""

    class Ours(Distribution):
        version = "1.2.3"
        metadata: Any = {"Name": "asyncllm-client"}  # noqa: RUF012  # a fixed value
        requires: Any = ["httpx>=0.28,<1", "pyyaml>=6", 'pytest>=8; extra == "test"']  # noqa: RUF012  # as above

        def read_text(self, filename: str) -> None: ...

        def locate_file(self, path: Any) -> Any: ...

    tool = runpy.run_path(str(TOOL))
    usual = tool["needed"].__globals__["distribution"]
    monkeypatch.setitem(
        tool["needed"].__globals__, "distribution", lambda name: Ours() if name == "asyncllm-client" else usual(name)
    )
    found = tool["bill"]()
    names = {one["name"] for one in found["components"]}
    assert {"httpx", "pyyaml", "httpcore", "h11", "certifi"} <= names
    assert "pytest" not in names
    assert ("CycloneDX", "asyncllm-client") == (found["bomFormat"], found["metadata"]["component"]["name"])
    assert all(re.fullmatch(r"pkg:pypi/[a-z0-9-]+@\S+", one["purl"]) for one in found["components"])
