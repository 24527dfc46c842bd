"""Estimates the input tokens of a request. Limits, budgets and windows use it, and `count_tokens` where the provider
has no endpoint for it.

No tokenizer and no download: a prompt is weighed by its bytes in UTF-8, whose ratio to tokens is much the same for
prose of any script, by its messages, and by what the chat template of a model's family adds unseen, which for short
prompts is most of it (Claude's instructions for tools are 340 tokens and more). `data.token_rules` has a row for each;
its numbers, and `ERROR_BAND`, are measured by ``benchmarks/token_estimates.py`` over recorded exchanges.

A picture is taken for a thousand tokens, any other medium for two thousand: what they really take depends on sizes
that are not known here.
"""

from __future__ import annotations

from typing import Any, Literal

from .._protocols.codec import WireRequest
from .._providers.provider import Provider
from .._schema.content import Audio, Document, Image, Json, Reasoning, Text, ToolCall, ToolResult, Video
from .._schema.hosted import HostedTool
from .._schema.redaction import without_trace
from .._schema.request import ProviderTool, Request, Tool
from .._schema.values import dataclass
from ..errors import BadRequestError, ModelNotFoundError, PermissionDeniedError, UnsupportedError
from .asker import Asker, Way
from .data.token_rules import PROMPT_FAMILIES, PromptFamily

ERROR_BAND = 0.85
"""95 of 100 estimates are within this part of what the provider counted (half of them within 0.15), by
``benchmarks/token_estimates.py`` over 819 recorded exchanges with 43 hosts, most of them under 300 tokens."""
IMAGE_TOKENS = 1000
MEDIA_TOKENS = 2000
_PER_CALL = 5  # the marks around a call or a result


def prompt_family_of(model: str) -> PromptFamily:
    """Returns what the family of a model adds to a prompt."""
    name = model.lower()
    for row in PROMPT_FAMILIES:  # asked before every attempt: generators would take three times as long
        for mark in row.marks:
            if mark in name:
                return row
    return PROMPT_FAMILIES[-1]


def estimate_tokens(request: Request) -> int:
    """Estimates the input tokens of a request; pure, and some microseconds for a short prompt."""
    row = prompt_family_of(request.model)
    messages = request.messages
    size, tokens = 0, row.base + row.message * len(messages)
    for message in messages:
        for part in message.content:
            if type(part) is Text:
                text = part.text
                size += len(text) if text.isascii() else _size(text)
            else:
                more, besides = _weigh(part)
                size += more
                tokens += besides
    choice = request.tool_choice
    if request.tools and (choice is None or choice.mode != "none"):
        tokens += row.tools + row.tool * len(request.tools)
        tokens += sum([_tool_size(tool) for tool in request.tools]) / row.schema
    wanted = request.response_format
    if wanted is not None and wanted.schema:
        tokens += row.answer + row.answer_schema * len(str(wanted.schema))
    return int(tokens + size / row.text) + 1


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _tool_size(tool: Tool | ProviderTool | HostedTool) -> int:
    if isinstance(tool, Tool):
        return len(tool.name) + len(tool.description) + len(str(tool.parameters))
    return len(str(tool.definition if isinstance(tool, ProviderTool) else tool))


def _weigh(part: Any) -> tuple[int, int]:
    """Returns the bytes of a part, and its tokens besides them."""
    if isinstance(part, ToolCall):
        return _size(part.raw_arguments) + len(part.name), _PER_CALL
    if isinstance(part, ToolResult):
        weights = [(_size(inner.text), 0) if type(inner) is Text else _weigh(inner) for inner in part.content]
        return sum([size for size, _ in weights]), _PER_CALL + sum([tokens for _, tokens in weights])
    if isinstance(part, Image):
        return 0, IMAGE_TOKENS
    if isinstance(part, Document) and part.text is not None:
        return _size(part.text), 0
    if isinstance(part, (Audio, Document, Video)):
        return 0, MEDIA_TOKENS
    if isinstance(part, Reasoning):
        return _size(part.text), 0
    if isinstance(part, Json):
        return len(str(part.value)), 0
    text = getattr(part, "text", "")
    return (_size(text) if isinstance(text, str) else 0), 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCount:
    """Holds the input tokens of a request.

    Attributes:
        input_tokens: how many; ``int()`` of this value is the same.
        source: ``"provider"``, or ``"estimated"``.
        error_band: of an estimate: 95 of 100 are within this part of the true count; None for a count.
        reason: why it is an estimate; None for a count.
    """

    input_tokens: int
    source: Literal["provider", "estimated"] = "provider"
    error_band: float | None = None
    reason: str | None = None

    def __int__(self) -> int:
        return self.input_tokens


async def count_tokens(asker: Asker, provider: Provider, request: Request) -> TokenCount:
    """Asks the provider to count, or estimates if it has no endpoint for it or for this model.

    Raises:
        AuthenticationError, RateLimitError, TransportError, ...: the provider counts, but not now or not for this key.
        UnsupportedContentError: the request cannot be sent to this model at all.
    """
    counting = provider.counting(request.model) if provider.counting is not None else None
    if counting is None:
        return _estimated(request, f"{provider.name} has no endpoint that counts tokens of {request.model}")

    def write(way: Way) -> WireRequest:
        return counting.encode(request, way.route.protocol, way.context, way.route.path)

    try:
        found = asker.ask(provider, write, operation="count", model=request.model)
        return TokenCount(input_tokens=without_trace(counting.decode, await found))
    except UnsupportedError as error:
        if not error.attempts:
            if counting.protocol is None:
                raise  # the model itself cannot be asked this
            return _estimated(request, f"the request cannot be said in {counting.protocol.name}, which counts tokens")
        return _estimated(request, f"{provider.name} did not count: {error.message}")
    except (BadRequestError, ModelNotFoundError, PermissionDeniedError) as error:
        return _estimated(request, f"{provider.name} did not count: {error.message}")


def _estimated(request: Request, reason: str) -> TokenCount:
    return TokenCount(input_tokens=estimate_tokens(request), source="estimated", error_band=ERROR_BAND, reason=reason)
