"""The servers, each started once a run, and the table of what worked on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import running_aimock, running_llama, running_llmock
from targets import FIXTURES, WIRES, Wire

VERBS = ("send", "stream", "tools", "structured", "errors", "counts", "models", "embed", "check", "map")
results = pytest.StashKey[dict[tuple[str, str], str]]()
versions = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--field-table", metavar="FILE", help="where the table of servers and verbs is written")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[results] = {}
    config.stash[versions] = {}


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A function from the name of a server to its address; each is started at its first use."""
    from contextlib import ExitStack

    running: dict[str, str] = {}
    start = {
        "llama": running_llama,
        "aimock": lambda: running_aimock(FIXTURES, tmp_path_factory.mktemp("aimock")),
        "llmock": running_llmock,
    }
    with ExitStack() as stack:

        def address(name: str) -> str:
            if name not in running:
                running[name], request.config.stash[versions][name] = stack.enter_context(start[name]())
            return running[name]

        yield address


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: both are tested elsewhere, these servers are about wires."""
    return "asyncio"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    wire = getattr(item, "callspec", None) and item.callspec.params.get("wire")  # type: ignore[attr-defined]
    if isinstance(wire, Wire) and (report.when == "call" or not report.passed):
        verb = item.originalname.removeprefix("test_")  # type: ignore[attr-defined]
        word = "works" if report.passed else "FAILED"
        if report.skipped:
            word = str(call.excinfo.value) if call.excinfo else "skipped"
        item.config.stash[results].setdefault((wire.title, verb), word)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the table of servers and verbs, and writes it to the file of ``--field-table``."""
    found = config.stash[results]
    if not found:
        return
    lines = [f"| server and wire | {' | '.join(VERBS)} |", f"|---|{'---|' * len(VERBS)}"]
    for wire in WIRES:
        if any(title == wire.title for title, _ in found):
            cells = [found.get((wire.title, verb), "") for verb in VERBS]
            lines.append(f"| {wire.title} | {' | '.join(cells)} |")
    table = "\n".join([*lines, "", *(f"- {name}: {text}" for name, text in config.stash[versions].items())])
    terminalreporter.write_line(table)
    if path := config.getoption("--field-table", None):
        Path(path).write_text(table + "\n", encoding="utf-8")
