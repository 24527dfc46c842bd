"""A canonical request: what to ask, of which model, within which bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, field
from typing import Any, Literal, Protocol, runtime_checkable

from .content import CacheMark
from .hosted import HostedTool
from .messages import Message
from .values import dataclass

ReasoningWord = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How much a model reasons, from nothing to the most: the words of the keyword ``reasoning``."""
Operation = Literal["chat", "embed", "rerank", "batch", "file", "list", "count", "validate"]
"""What an HTTP attempt is for."""
GENERATING: frozenset[Operation] = frozenset({"chat", "embed", "rerank"})
"""The operations that are asked for their own sake: budgets, limits, circuits and reports are about them."""

HOOKED: frozenset[Operation] = frozenset({"embed", "rerank", "batch", "file"})
"""The operations besides chat that hooks can see."""
WITHOUT_TEXT: frozenset[Operation] = frozenset({"embed", "rerank"})
"""Those of them whose answer is no text, so that there are no output tokens."""

ASSUMED_OUTPUT_TOKENS = 4096
"""Output tokens of a call that sets no ``max_tokens``: the one number for routing, estimates, limits and budgets."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may ask the caller to run.

    Attributes:
        name: what the model calls it.
        description: when and how to use it.
        parameters: a JSON schema of its arguments; empty for none.
        strict: hold the model to the schema, where the wire can; None leaves it to the provider.
        extra: further fields of the provider's own tool object, sent as they are.
        cache: a prompt-cache mark after this tool.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    _: KW_ONLY
    strict: bool | None = None
    extra: Mapping[str, Any] | None = None
    cache: CacheMark | None = None


@dataclass(frozen=True, slots=True)
class ProviderTool:
    """A tool that the provider runs, or a tool of a kind only one wire has: ``definition`` is sent as it stands."""

    definition: Mapping[str, Any]


@runtime_checkable
class Toolset(Protocol):
    """Several tools that are found when a run begins, such as those of a server. It may stand in ``tools=[...]``.

    Where it has a true attribute ``changed``, it is asked for them again before the next step.
    """

    async def tools(self) -> Sequence[Any]:
        """The tools, as `asyncllm.FunctionTool` values."""
        ...


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether and which tools must be used.

    Attributes:
        mode: ``"auto"``, ``"none"``, ``"required"`` (any of them), or ``"tool"`` (exactly ``names[0]``).
        names: with ``auto`` and ``required``: only these may be used (empty: all); with ``tool``: the one to call.
    """

    mode: Literal["auto", "none", "required", "tool"]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFormat:
    """The answer must be JSON.

    Attributes:
        schema: the JSON schema it must fit; None for any JSON object.
        name: the schema's name, ``[a-zA-Z0-9_-]{1,64}``.
        strict: ask the provider to enforce it, where it can.
    """

    schema: Mapping[str, Any] | None = None
    name: str = "response"
    description: str | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a codec encodes.

    Attributes:
        max_tokens: the most the model may generate, reasoning included.
        reasoning: a word of `ReasoningWord`, or a budget in tokens.
        cache: ``"auto"`` sets the marks of the prompt cache, on hosts that cache only what is marked.
        compact_at: tokens of the prompt beyond which the provider sums up the older part of it.
        extra_body: merged into the JSON body last; its keys win.
        extra_headers: added last; they cannot replace credentials.
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    tools: tuple[Tool | ProviderTool | HostedTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning: ReasoningWord | int | None = None
    cache: Literal["auto"] | None = None
    compact_at: int | None = None
    extra_body: Mapping[str, Any] | None = None
    extra_headers: Mapping[str, str] | None = None
