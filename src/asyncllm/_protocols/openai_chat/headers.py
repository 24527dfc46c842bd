"""What the answer's headers tell: the id of the request, and how much of the rate limits is left."""

from __future__ import annotations

from collections.abc import Mapping

from ..._schema.response import RateLimits
from ..classify import parse_count, parse_duration

_REQUEST_IDS = (
    "x-request-id",
    "apim-request-id",  # Azure
    "request-id",
    "mistral-correlation-id",
    "x-ds-trace-id",  # DeepSeek
    "x-generation-id",  # OpenRouter
    "cf-ray",
)

# Cerebras and Mistral name the window; the shortest one is the one that is hit first.
_REQUEST_WORDS = ("requests", "requests-minute", "req-minute", "requests-day")
_TOKEN_WORDS = ("tokens", "tokens-minute", "tokens-day")


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's id of the request; None where it sends none."""
    for name in _REQUEST_IDS:
        if headers.get(name):
            return headers[name]
    return None


def rate_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """The ``x-ratelimit-*`` headers; None where there are none that tell a number."""

    def text(what: str, words: tuple[str, ...]) -> str | None:
        return next((headers[name] for word in words if (name := f"x-ratelimit-{what}-{word}") in headers), None)

    if not any(name.startswith("x-ratelimit-") for name in headers):
        return None
    found = RateLimits(
        requests_limit=parse_count(text("limit", _REQUEST_WORDS)),
        requests_remaining=parse_count(text("remaining", _REQUEST_WORDS)),
        requests_reset=parse_duration(text("reset", _REQUEST_WORDS)),
        tokens_limit=parse_count(text("limit", _TOKEN_WORDS)),
        tokens_remaining=parse_count(text("remaining", _TOKEN_WORDS)),
        tokens_reset=parse_duration(text("reset", _TOKEN_WORDS)),
    )
    return None if found == RateLimits() else found
