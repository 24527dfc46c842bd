"""Anthropic's Messages format, for every host that serves it."""

from .codec import AnthropicMessages
from .dialect import AnthropicDialect

__all__ = ["AnthropicDialect", "AnthropicMessages"]
