"""The pytest plugin: fixtures, a marker and an option. pytest finds it by itself where asyncllm is installed.

A test run that does not use it pays for the import of this file only: the rest is imported when a fixture is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .._testing.recording import RecordMode
    from ..client import Client
    from ..sync import SyncClient
    from . import Recording, Simulator

_MARKERS = (
    "llm_no_network: the test fails when it connects to another machine; the loopback is allowed",
    "llm_recording(path=None, timing=0, scrub=(), ignore=()): how the fixture llm_recording replays and records",
    "llm_simulator(**settings): arguments of asyncllm.testing.Simulator for the fixture llm_simulator",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--llm-record`` and the setting ``llm_no_network``."""
    parser.getgroup("asyncllm").addoption(
        "--llm-record",
        choices=["new", "all"],
        default=None,
        help="let the fixture llm_recording ask the real providers: 'new' what is not recorded yet, 'all' everything",
    )
    parser.addini("llm_no_network", "forbid the network in every test, as the marker does", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Declares the markers."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.hookimpl(hookwrapper=True)  # the form that older versions of pytest know as well
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Forbids the network where the marker or the setting says so, but not to a test that records."""
    if not _is_forbidden(item):
        yield
        return
    from .._testing.offline import NetworkForbiddenError, network_forbidden

    guard = network_forbidden()
    guard.__enter__()
    outcome: Any = yield
    failed = outcome.excinfo is not None
    try:
        guard.__exit__(None, None, None)
    except NetworkForbiddenError as error:
        if not failed:  # something caught it where it was raised
            outcome.force_exception(error.with_traceback(None))


def _is_forbidden(item: pytest.Item) -> bool:
    if item.get_closest_marker("llm_no_network") is None and not item.config.getini("llm_no_network"):
        return False
    records = item.config.getoption("--llm-record") is not None
    return not (records and "llm_recording" in getattr(item, "fixturenames", ()))


@pytest.fixture
def llm_simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A fresh `Simulator` in a thread of its own, for blocking and async tests under any async plugin."""
    from . import Simulator

    marker = request.node.get_closest_marker("llm_simulator")
    with Simulator.in_thread(**(marker.kwargs if marker else {})) as running:
        yield running


@pytest.fixture
def llm_client(llm_simulator: Simulator) -> Iterator[Client]:
    """An async `Client` of the simulator. It need not be closed."""
    from ..client import Client

    client = Client(llm_simulator.config(), environ={})
    yield client
    _close(client)


@pytest.fixture
def llm_sync_client(llm_simulator: Simulator) -> Iterator[SyncClient]:
    """A `SyncClient` of the simulator."""
    from ..sync import SyncClient

    with SyncClient(llm_simulator.config(), environ={}) as client:
        yield client


@pytest.fixture
def llm_recording(request: pytest.FixtureRequest) -> Iterator[Recording]:
    """The `Recording` of this test: ``recordings/<module>/<test>.json`` beside the test's file.

    It replays. With ``pytest --llm-record=new`` (or ``all``) it asks the real providers and stores what they answer.
    """
    from . import Recording

    marker = request.node.get_closest_marker("llm_recording")
    options = dict(marker.kwargs) if marker else {}
    given = options.pop("path", None)
    path = request.path.parent / (given or Path("recordings") / request.path.stem / f"{_file_name(request)}.json")
    mode: RecordMode = request.config.getoption("--llm-record") or "replay"
    with Recording(path, mode=mode, **options) as recording:
        yield recording


def _file_name(request: pytest.FixtureRequest) -> str:
    return re.sub(r"[^\w.-]+", "_", request.node.name).strip("_")


def _close(client: Client) -> None:
    """Closes a client whose event loop has ended with its test."""
    import anyio

    anyio.run(client.aclose)
