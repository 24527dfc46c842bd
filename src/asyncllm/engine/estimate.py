"""How many tokens a request will take, before anybody has counted them: for limits, prices and window sizes.

Four characters make a token, as the providers' own rules of thumb say; a picture is taken for a thousand tokens, any
other medium for two thousand. It is an estimate, used for decisions only and never reported as usage.
"""

from __future__ import annotations

from typing import Any

from ..schema.content import Audio, Document, Image, Text, ToolCall, ToolResult, Video
from ..schema.request import Request, Tool

CHARACTERS_PER_TOKEN = 4
IMAGE_TOKENS = 1000
MEDIA_TOKENS = 2000
ASSUMED_OUTPUT_TOKENS = 1024  # of a call that sets no max_tokens


def estimate(request: Request) -> tuple[int, int]:
    """Input and output tokens of a request, roughly."""
    characters, tokens = 0, 0
    for message in request.messages:
        for part in message.content:
            if type(part) is Text:
                characters += len(part.text)
            else:
                more_characters, more_tokens = _weigh(part)
                characters += more_characters
                tokens += more_tokens
    for tool in request.tools:
        characters += len(tool.description) + len(str(tool.parameters)) if isinstance(tool, Tool) else 400
    return tokens + characters // CHARACTERS_PER_TOKEN + 1, request.max_tokens or ASSUMED_OUTPUT_TOKENS


def _weigh(part: Any) -> tuple[int, int]:
    """Characters, and tokens besides them."""
    if isinstance(part, ToolCall):
        return len(part.raw_arguments), 0
    if isinstance(part, Image):
        return 0, IMAGE_TOKENS
    if isinstance(part, (Audio, Document, Video)):
        return 0, MEDIA_TOKENS
    if isinstance(part, ToolResult):
        weights = [_weigh(inner) for inner in part.content]
        return sum(characters for characters, _ in weights), sum(tokens for _, tokens in weights)
    text = getattr(part, "text", "")
    return (len(text) if isinstance(text, str) else 0), 0
