"""What a host of the Responses API does differently from OpenAI, as named fields. The defaults are OpenAI's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ... import errors
from ..classify import ErrorType

# Codes of `response.error` that the chat format has not (openai/types/responses/response_error.py).
_CODES: tuple[tuple[str, ErrorType], ...] = (
    ("vector_store_timeout", errors.ProviderTimeoutError),
    ("data_residency_mismatch", errors.PermissionDeniedError),
    ("bio_policy", errors.ContentBlockedError),
    ("image_content_policy_violation", errors.ContentBlockedError),
    *(
        (code, errors.BadRequestError)
        for code in (
            *("invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url", "image_too_large"),
            *("image_too_small", "image_parse_error", "invalid_image_mode", "image_file_too_large"),
            *("unsupported_image_media_type", "empty_image_file", "failed_to_download_image", "image_file_not_found"),
        )
    ),
)

OPENAI_TOOLS: Mapping[str, str] = {
    "web_search": "web_search",
    "code_execution": "code_interpreter",
    "file_search": "file_search",
    "mcp": "mcp",
}
"""The tools that OpenAI runs: our words, and the types of the SDK's ``tool_param``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesDialect:
    """Says how a host speaks the Responses API.

    Attributes:
        reasoning_summary: which summary is asked for beside an effort; None for none.
        cache_marks: takes prompt-cache breakpoints on content.
        hosted_call_ids: beginnings of the ids of custom tool calls that the host ran by itself (``xs_call_`` is xAI's).
        hosted_tools: the tools that the host runs itself: their words, and the types that they have here.
        compaction: the host sums up a long history itself, when it is asked to.
        error_codes: the host's own codes, lower case, before the common ones.
        retryable_codes: refusals that are the model's slip, so that trying again makes sense.
        adapt: the last change to the body, before ``extra_body``; it returns a new or the same dict.
    """

    reasoning_summary: str | None = "auto"
    cache_marks: bool = True
    hosted_call_ids: tuple[str, ...] = ("xs_call_",)
    hosted_tools: Mapping[str, str] = field(default_factory=lambda: OPENAI_TOOLS)
    compaction: bool = True
    error_codes: tuple[tuple[str, ErrorType], ...] = _CODES
    retryable_codes: frozenset[str] = frozenset()
    adapt: Callable[[dict[str, Any]], dict[str, Any]] | None = None
