"""Tools to test applications: a server that speaks the wire formats of the providers, and recorded real traffic.

Importing this package is cheap, because pytest imports its plugin in every run: each name brings its own module when it
is first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._testing.faults import Fault
    from .._testing.listing import ListedModel
    from .._testing.model import HostedUse, ModelBehaviour, ModelRequest, OfferedTool, Reply, ToolUse
    from .._testing.offline import NetworkForbiddenError, network_forbidden
    from .._testing.record import Received
    from .._testing.recording import Recording, UnrecordedRequestError
    from .._testing.scenario import Scenario, ScenarioFault, ScenarioReply, load_scenario
    from .._testing.scripted import ScriptUsedUpError
    from .._testing.simulator import Simulator

__all__ = [
    "Fault",
    "HostedUse",
    "ListedModel",
    "ModelBehaviour",
    "ModelRequest",
    "NetworkForbiddenError",
    "OfferedTool",
    "Received",
    "Recording",
    "Reply",
    "Scenario",
    "ScenarioFault",
    "ScenarioReply",
    "ScriptUsedUpError",
    "Simulator",
    "ToolUse",
    "UnrecordedRequestError",
    "load_scenario",
    "network_forbidden",
]

_MODULES: Mapping[str, tuple[str, ...]] = {
    "faults": ("Fault",),
    "listing": ("ListedModel",),
    "model": ("HostedUse", "ModelBehaviour", "ModelRequest", "OfferedTool", "Reply", "ToolUse"),
    "offline": ("NetworkForbiddenError", "network_forbidden"),
    "record": ("Received",),
    "recording": ("Recording", "UnrecordedRequestError"),
    "scenario": ("Scenario", "ScenarioFault", "ScenarioReply", "load_scenario"),
    "scripted": ("ScriptUsedUpError",),
    "simulator": ("Simulator",),
}
_HOME = MappingProxyType({name: module for module, names in _MODULES.items() for name in names})


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".._testing.{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
