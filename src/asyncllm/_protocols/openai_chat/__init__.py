"""OpenAI's chat completions: the wire format of OpenAI itself and of some thirty hosts, their differences as data.

``request`` and ``messages`` write, ``response`` and ``stream`` read, ``errors`` classifies what failed. What a host
does otherwise than OpenAI is a field of `ChatDialect`; no code here asks for a host by name.
"""

from .codec import OpenAIChat
from .dialect import ChatDialect

__all__ = ["ChatDialect", "OpenAIChat"]
