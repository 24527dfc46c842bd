"""The facts of a model: `ModelFacts`, one value that codecs, routing and the engine read.

Rules: ``None`` is unknown, and what is not known to be refused is sent. Codecs never look a model up: the engine hands
them over in the call's context. Each fact says where it is from: ``"catalog"`` (the package's data), ``"config"``
(``catalog.capabilities``) or ``"api"`` (the provider itself).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, replace
from datetime import date
from typing import Any, Literal

from .values import dataclass

FactSource = Literal["catalog", "config", "api"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningRules:
    """How a model is told to reason. The defaults are a model that cannot reason.

    Attributes:
        efforts: the effort words that it takes, the least first, without ``"none"``.
        budgets: the smallest and the largest budget in tokens; None where it takes no budget. The largest is None
            where only the length of the output bounds it.
        optional: reasoning can be switched off.
        by_default: it reasons when the request says nothing about it.
        modes: the values of ``thinking.type`` that a Claude model takes; ``"always"`` for a model that reasons and
            takes no amount, ``"on"`` for one that can only be switched on.
        readable_on_request: Claude: the readable text of the reasoning comes only when it is asked for.
        most_on_chat: OpenAI: the largest effort that chat completions take, where the Responses API takes more.
        field: the field of the body in which the host expects the effort; None for the usual field of the wire.
    """

    efforts: tuple[str, ...] = ()
    budgets: tuple[int, int | None] | None = None
    optional: bool = False
    by_default: bool = False
    modes: tuple[str, ...] = ()
    readable_on_request: bool = False
    most_on_chat: str | None = None
    field: str | None = None

    @property
    def reasons(self) -> bool:
        """Whether the model can reason."""
        return bool(self.efforts or self.budgets or self.modes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is known of a model; ``None`` is unknown.

    A fact named ``..._while_reasoning`` says what holds while the model reasons, where that differs from the fact
    without the ending.

    Attributes:
        context_window: tokens, input and output together; where only the longest input is known, that.
        max_input_tokens: the longest input, in tokens.
        max_output_tokens: the longest output, in tokens, reasoning included.
        tools: it can call tools.
        images: it reads images.
        documents: it reads documents (PDF).
        audio: it hears audio.
        video: it sees video.
        json_schema: it keeps to a JSON schema.
        reasoning: it can reason before it answers.
        sampling: it takes ``temperature`` and ``top_p``.
        sampling_while_reasoning: it takes them while it reasons.
        responses_only: OpenAI: it is served by the Responses API alone.
        deprecated: its provider has announced its end.
        retires_on: the day on which it is switched off.
        rules: how it is told to reason.
        chat_tools: OpenAI: chat completions take function tools for it.
        chat_tools_while_reasoning: OpenAI: they take them while it reasons.
        forced_tools: ``tool_choice`` may demand a call.
        system_messages: Claude: a system message may stand in the middle of a conversation.
        signatures: reasoning in the history may carry a signature.
        result_status: a tool result may say that it is an error.
        cache_marks: it takes marks for the prompt cache.
        tool_cache_marks: Bedrock: it takes them among its tools, where that differs.
        family: the family of models whose body it has on a wire that serves several, such as ``"claude"``.
        generation: the major version of a Gemini model; 0 for one that is no Gemini model.
        sources: field -> where its value is from, for the fields that are known.
    """

    context_window: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    tools: bool | None = None
    images: bool | None = None
    documents: bool | None = None
    audio: bool | None = None
    video: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None
    sampling: bool | None = None
    sampling_while_reasoning: bool | None = None
    responses_only: bool | None = None
    deprecated: bool | None = None
    retires_on: date | None = None
    rules: ReasoningRules | None = None
    chat_tools: bool | None = None
    chat_tools_while_reasoning: bool | None = None
    forced_tools: bool | None = None
    system_messages: bool | None = None
    signatures: bool | None = None
    result_status: bool | None = None
    cache_marks: bool | None = None
    tool_cache_marks: bool | None = None
    family: str | None = None
    generation: int | None = None
    sources: Mapping[str, FactSource] = field(default_factory=dict)

    def overlaid(self, facts: Mapping[str, Any], source: FactSource) -> ModelFacts:
        """Returns these facts with others put over them; a fact that is ``None`` changes nothing.

        Who says that a model does not reason says how it is told to; who says that it takes sampling hints, or none,
        and nothing more, means while it reasons too.

        Args:
            facts: field -> value.
            source: where the values are from.

        Raises:
            ValueError: there is no such field.
        """
        unknown = facts.keys() - _FIELDS
        if unknown:
            raise ValueError(f"no such capability: {', '.join(sorted(unknown))}")
        told = {name: value for name, value in facts.items() if value is not None}
        if not told:
            return self
        if told.get("reasoning") is False:
            told.setdefault("rules", ReasoningRules())
        if "sampling" in told:
            told.setdefault("sampling_while_reasoning", told["sampling"])
        return replace(self, **told, sources={**self.sources, **dict.fromkeys(told, source)})


_FIELDS = frozenset(found.name for found in fields(ModelFacts)) - {"sources"}
NOTHING_KNOWN = ModelFacts()
