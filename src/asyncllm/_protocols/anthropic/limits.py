"""Rate-limit headers: Anthropic's own, and those of hosts in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone

from ..._schema.response import RateLimits
from ..classify import parse_count, parse_duration

_OURS = "anthropic-ratelimit-"
_THEIRS = "x-ratelimit-"


def read_rate_limits(headers: Mapping[str, str], now: Callable[[], float]) -> RateLimits | None:
    """What the headers say; None where there are none.

    ``...-reset`` is an RFC 3339 time on Anthropic and a duration elsewhere; either way seconds from now come out. Input
    tokens stand in for tokens where only those are limited.
    """
    if not any(name.startswith((_OURS, _THEIRS)) for name in headers):
        return None

    def first(what: str, fields: Iterable[str]) -> str | None:
        for field in fields:
            found = headers.get(f"{_OURS}{field}-{what}") or headers.get(f"{_THEIRS}{what}-{field}")
            if found:
                return found
        return None

    requests, tokens = ("requests",), ("tokens", "input-tokens")
    return RateLimits(
        requests_limit=parse_count(first("limit", requests)),
        requests_remaining=parse_count(first("remaining", requests)),
        requests_reset=_seconds(first("reset", requests), now),
        tokens_limit=parse_count(first("limit", tokens)),
        tokens_remaining=parse_count(first("remaining", tokens)),
        tokens_reset=_seconds(first("reset", tokens), now),
    )


def _seconds(text: str | None, now: Callable[[], float]) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return parse_duration(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, moment.timestamp() - now())
