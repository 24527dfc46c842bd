"""Tools to test applications: a server that speaks the providers' wire formats and fails on demand."""

from .._testing.faults import Fault
from .._testing.listing import ListedModel
from .._testing.model import ModelBehaviour, ModelRequest, OfferedTool, Reply, ToolUse
from .._testing.record import Received
from .._testing.simulator import Simulator

__all__ = [
    "Fault",
    "ListedModel",
    "ModelBehaviour",
    "ModelRequest",
    "OfferedTool",
    "Received",
    "Reply",
    "Simulator",
    "ToolUse",
]
