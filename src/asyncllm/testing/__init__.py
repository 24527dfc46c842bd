"""What applications test themselves with: a server that speaks the providers' wire formats, and fails on demand."""

from .faults import Fault
from .listing import ListedModel
from .model import ModelBehaviour, ModelRequest, OfferedTool, Reply, ToolUse
from .record import Received
from .simulator import Simulator

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
