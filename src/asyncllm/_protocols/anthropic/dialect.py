"""What differs between the hosts of Anthropic's Messages format, as data.

The body is the same everywhere but for four things: where the API version and the beta names go (a header or the body),
and whether ``model`` and ``stream`` are in the body or in the URL. Source: the anthropic SDK's own clients for Bedrock,
Vertex AI and Foundry (2.11).

=====================  ================  ==========================  ======================
host                   version           model and stream            betas
=====================  ================  ==========================  ======================
Anthropic, Foundry     header            body                        header
Bedrock InvokeModel    body, pinned      URL                         body ``anthropic_beta``
Vertex AI              body              model in URL, stream body   header
=====================  ================  ==========================  ======================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import AsyncLLMError


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicDialect:
    """Says how one host carries the Messages format.

    Attributes:
        path: below the base URL; a host whose path names the model gives it in its route.
        version: the API version sent.
        sampling_version: the version sent instead when the body holds ``temperature``, ``top_p`` or ``top_k``, which
            2026-10-21 removed; None sends ``version`` always.
        version_in_body: the version is the body's ``anthropic_version``, not a header.
        model_in_body: ``model`` is in the body, not in the URL.
        stream_in_body: ``stream`` is in the body, not in the URL.
        betas: beta features asked for in every request.
        betas_in_body: they are the body's ``anthropic_beta``, not a header.
        max_tokens: how much to ask for when the caller does not say; the wire demands a number.
        file_ids: the host has a file store, so parts may name files in it.
        hosted_tools: the tools that the host runs itself, by their words.
        compaction: the host sums up a long history itself, when it is asked to.
        adapt: a last change to the body before ``extra_body`` is merged: a pure function that gives a new body.
        codes: further error codes of the host, in lower case.
        vague_codes: those of them that decide only if neither the message nor the status says more.
        phrases: further messages of the host, in lower case, that say what is wrong.
        code_header: a response header that holds the error code (what follows a colon in it is dropped).
        request_id_headers: where the host puts the request's id, the first found wins.
    """

    path: str = "/v1/messages"
    version: str = "2026-10-21"
    sampling_version: str | None = "2023-06-01"
    version_in_body: bool = False
    model_in_body: bool = True
    stream_in_body: bool = True
    betas: tuple[str, ...] = ()
    betas_in_body: bool = False
    max_tokens: int = 8192
    file_ids: bool = True
    hosted_tools: tuple[str, ...] = ("web_search", "code_execution", "mcp")
    compaction: bool = True
    adapt: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    codes: Mapping[str, type[AsyncLLMError]] = field(default_factory=dict)
    vague_codes: frozenset[str] = frozenset()
    phrases: tuple[tuple[str, type[AsyncLLMError]], ...] = ()
    code_header: str | None = None
    request_id_headers: tuple[str, ...] = ("request-id", "x-request-id", "apim-request-id")
