"""What a host of the chat format does differently from OpenAI, as named fields. The defaults are OpenAI's.

A new host is a row of these. A field exists only where the codec acts on it; whatever no field can say is a pure
``adapt`` of the finished body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..classify import ErrorType
from ..parts import bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatDialect:
    """Says how a host speaks the chat format.

    Attributes:
        max_tokens_field: what bounds the output; ``max_tokens`` on most compatible hosts.
        seed_field: ``random_seed`` on Mistral.
        supports_stop: takes stop sequences.
        reasoning_param: how an effort is asked for: ``reasoning_effort``, OpenRouter's ``reasoning`` object, the
            ``thinking`` switch (Z.ai), the switch with an effort (DeepSeek), or not at all.
        reasoning_budget_field: takes a budget in tokens in this field; None where only efforts are known.
        reasoning_fields: where readable reasoning is found in a message or delta, the first that holds text.
        reasoning_back: whether the host's own reasoning is sent back: never; in ``reasoning_back_field``; there on
            turns that call tools (Kimi and others answer 400 without it); or there with the field present on every
            turn that calls tools (DeepSeek answers 400 without it).
        reasoning_back_field: the field it is sent back in.
        reasoning_details: takes ``reasoning_details`` back (OpenRouter: signatures and encrypted blocks).
        thinking_chunks: reasoning is a chunk of the content list (Mistral).
        json_schema: ``native`` enforces a schema; ``json_object`` only promises JSON (the schema goes into the
            instructions); ``none`` has neither.
        strict_schemas: ``strict`` holds a model to a schema, so that it is asked for where nobody said otherwise.
        strict_tools: tools take ``strict``.
        empty_parameters: a tool without arguments must still have a schema.
        forced_tool_choice: a call can be demanded; ``not_while_thinking`` where that excludes reasoning.
        allowed_tools: ``tool_choice`` can narrow the tools; elsewhere the others are left out of the request.
        custom_tools: has free-form tools.
        tool_call_id: makes an id the host accepts; equal ids stay equal. None where nothing is known to be refused.
        tool_name: tool messages carry the tool's name.
        stream_usage: ``option`` asks by ``stream_options``; ``always`` where usage comes without asking.
        cache_marks: ``breakpoint`` (OpenAI), ``cache_control`` (Anthropic's words, OpenRouter), or ``none``.
        audio_parts: takes ``input_audio``.
        file_parts: takes ``file`` parts.
        file_urls: ``file`` (a URL as ``file_data``), ``document_url`` (Mistral), or ``none``.
        video_urls: takes ``video_url`` parts.
        null_finish: a stream may end without a finish reason and without ``[DONE]``.
        embed_inputs: texts that one request for embeddings may hold; 0 where the host has none.
        embed_tokens: tokens of all of them together; None for no known limit.
        embed_dimensions_field: ``output_dimension`` on Mistral.
        embed_base64: asks for vectors as base64, which every client of OpenAI's can read.
        rerank: has an endpoint that ranks documents.
        hosted_tools: the tools that the host runs itself: their words, and the types that they have here.
        retryable_codes: refusals that are the model's slip, so that trying again makes sense (Groq).
        error_codes: the host's own codes, lower case, before the common ones.
        adapt: the last change to the body, before ``extra_body``; it returns a new or the same dict.
    """

    max_tokens_field: str = "max_completion_tokens"
    seed_field: str = "seed"
    supports_stop: bool = True
    reasoning_param: Literal["effort", "object", "switch", "switch_and_effort", "none"] = "effort"
    reasoning_budget_field: str | None = None
    reasoning_fields: tuple[str, ...] = ("reasoning_content", "reasoning")
    reasoning_back: Literal["drop", "field", "on_calls", "required_on_tools"] = "drop"
    reasoning_back_field: str = "reasoning_content"
    reasoning_details: bool = False
    thinking_chunks: bool = False
    json_schema: Literal["native", "json_object", "none"] = "native"
    strict_schemas: bool = True
    strict_tools: bool = True
    empty_parameters: bool = False
    forced_tool_choice: Literal["yes", "no", "not_while_thinking"] = "yes"
    allowed_tools: bool = True
    custom_tools: bool = True
    tool_call_id: Callable[[str], str] | None = bounded
    tool_name: bool = False
    stream_usage: Literal["option", "always"] = "option"
    cache_marks: Literal["breakpoint", "cache_control", "none"] = "breakpoint"
    audio_parts: bool = True
    file_parts: bool = True
    file_urls: Literal["file", "document_url", "none"] = "none"
    video_urls: bool = False
    null_finish: bool = False
    embed_inputs: int = 2048
    embed_tokens: int | None = 300_000
    embed_dimensions_field: str = "dimensions"
    embed_base64: bool = True
    rerank: bool = False
    hosted_tools: Mapping[str, str] = field(default_factory=dict)
    retryable_codes: frozenset[str] = frozenset()
    error_codes: tuple[tuple[str, ErrorType], ...] = ()
    adapt: Callable[[dict[str, Any]], dict[str, Any]] | None = None
