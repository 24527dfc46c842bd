"""OpenAI's Responses API: items in, items out; the only wire on which OpenAI's reasoning can be sent back.

``request``, ``conversation``, ``assistant`` and ``content`` write; ``output``, ``response``, ``stream`` and
``open_items`` read. Calls are stateless: nothing is stored, and reasoning travels encrypted. What a host does otherwise
than OpenAI is a field of `ResponsesDialect`.
"""

from .codec import OpenAIResponses
from .dialect import ResponsesDialect

__all__ = ["OpenAIResponses", "ResponsesDialect"]
