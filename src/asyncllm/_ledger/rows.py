"""Rows of a table <-> values: the columns of records and of open attempts, the same in every SQL store.

Durations are integer microseconds and amounts integer nano-dollars. Text comes from callers and providers, so what no
database can store (lone surrogates, NUL, numbers beyond 64 bits) is made storable here, once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .._schema.usage import Usage
from .booking import Entry, Opening
from .budgets import Charge, Hold
from .entries import Head, Record
from .periods import MICROSECONDS, to_moment

COUNTS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
)
_HEAD = ("id", "time", "session", "call", "attempt", "provider", "model", "requested_model", "status", "error")
_MONEY = ("cost", "reserved", "charged", "price_version")
_PACE = ("latency", "first_token_latency", "waited", "latency_bucket")
_WHO = ("request_id", "user", "agent", "tags", "variant", "recovered")
COLUMNS = (*_HEAD, "http_status", *COUNTS, "usage_details", "usage_source", *_MONEY, *_PACE, *_WHO)
OPEN_COLUMNS = ("id", "owner", "time", "head", "amount", "charges")

INTEGERS = frozenset({"time", "attempt", "http_status", *COUNTS, *_MONEY[:3], *_PACE, "recovered"})

_MOST = (1 << 63) - 1
_BUCKET_BASE = math.log(1.02)  # a bucket is 2% wide, so its middle is within 1% of every latency in it
_DETAILS = ("cache_write_tokens_by_ttl", "provider_tool_requests", "service_tier")


def bucket_of(microseconds: int) -> int:
    """The bucket of a latency; reports take percentiles from buckets."""
    return round(math.log(max(microseconds, 1)) / _BUCKET_BASE)


def latency_of(bucket: int) -> float:
    """Seconds in the middle of a bucket."""
    return math.exp(bucket * _BUCKET_BASE) / MICROSECONDS


def plain(text: str | None) -> str | None:
    """The text as every database can store it."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")


def number(value: int | None) -> int | None:
    """The number if 64 bits hold it; otherwise nobody can have meant it, and it is unknown."""
    return value if value is None or -_MOST <= value <= _MOST else None


def _duration(seconds: float | None) -> int | None:
    return None if seconds is None or not math.isfinite(seconds) else number(round(seconds * MICROSECONDS))


def record_row(entry: Entry) -> tuple[Any, ...]:
    """The values of `COLUMNS` for a record."""
    opening, end = entry.opening, entry.settlement
    head, usage, hold = opening.head, end.usage, opening.hold
    latency = _duration(end.latency)
    return (
        opening.id,
        opening.time,
        head.session,
        head.call or opening.id,
        head.attempt,
        plain(head.provider),
        plain(head.model),
        plain(head.requested_model or head.model),
        end.status,
        end.error,
        end.http_status,
        *(number(getattr(usage, name)) for name in COUNTS),
        _details(usage),
        usage.source,
        number(end.cost),
        None if hold is None else number(hold.amount),
        number(entry.charged),
        end.price_version,
        latency,
        _duration(end.first_token_latency),
        _duration(end.waited),
        bucket_of(latency) if latency is not None and end.status == "ok" else None,
        plain(end.request_id),
        plain(head.user),
        plain(head.agent),
        _tags(head.tags),
        plain(head.variant),
        int(opening.recovered),
    )


def _details(usage: Usage) -> str | None:
    if usage.service_tier is None and usage.cache_write_tokens_by_ttl is None and usage.provider_tool_requests is None:
        return None
    known = {name: value for name in _DETAILS if (value := getattr(usage, name)) is not None}
    return plain(json.dumps({name: value if isinstance(value, str) else dict(value) for name, value in known.items()}))


def _tags(tags: Mapping[str, str] | None) -> str | None:
    # ensure_ascii off: what `plain` replaced must not come back as an escape.
    return plain(json.dumps(dict(tags), ensure_ascii=False).replace("\\u0000", "�")) if tags else None


def record_of(row: Sequence[Any]) -> Record:
    """The record of a row of `COLUMNS`."""
    found = dict(zip(COLUMNS, row, strict=True))
    details = json.loads(found["usage_details"]) if found["usage_details"] else {}
    return Record(
        id=found["id"],
        time=to_moment(found["time"]),
        session=found["session"],
        call=found["call"],
        attempt=found["attempt"],
        provider=found["provider"],
        model=found["model"],
        requested_model=found["requested_model"],
        status=found["status"],
        error=found["error"],
        http_status=found["http_status"],
        usage=Usage(**{name: found[name] for name in COUNTS}, **details, source=found["usage_source"]),
        nano_cost=found["cost"],
        nano_reserved=found["reserved"],
        price_version=found["price_version"],
        latency=_seconds(found["latency"]),
        first_token_latency=_seconds(found["first_token_latency"]),
        waited=_seconds(found["waited"]),
        request_id=found["request_id"],
        user=found["user"],
        agent=found["agent"],
        tags=json.loads(found["tags"]) if found["tags"] else None,
        variant=found["variant"],
        recovered=bool(found["recovered"]),
    )


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / MICROSECONDS


def open_row(opening: Opening, owner: str) -> tuple[Any, ...]:
    """The values of `OPEN_COLUMNS` for an attempt that is under way."""
    head, hold = opening.head, opening.hold
    known = {name: value for name in Head.__slots__ if (value := getattr(head, name)) is not None}
    if head.tags is not None:
        known["tags"] = dict(head.tags)
    text = plain(json.dumps(known))
    if hold is None:
        return opening.id, owner, opening.time, text, None, None
    charges = json.dumps([charge.window for charge in hold.charges])
    return opening.id, owner, opening.time, text, number(hold.amount), charges


def opening_of(row: Sequence[Any]) -> Opening:
    """The attempt of a row of `OPEN_COLUMNS`, left open by a process that died."""
    key, _, time, head, amount, charges = row
    hold = None
    if charges is not None:
        hold = Hold(amount, tuple(Charge(key=name, start=start) for name, start in json.loads(charges)))
    opening = Opening(key, time, Head(**json.loads(head)), hold, None)
    opening.recovered = True
    return opening
