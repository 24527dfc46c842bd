"""What the tests of the commands share: a simulator in a thread, and a configuration file that points to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from asyncllm.testing import Simulator


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own, so that no command reads or writes the user's files."""
    home = tmp_path_factory.mktemp("home")
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(home))
    return home


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator.in_thread() as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    running.reset()
    return running


@pytest.fixture
def folder(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a config.yaml of simulated providers in it."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(simulator.config()), encoding="utf8")
    monkeypatch.chdir(tmp_path)
    return tmp_path
