"""How many tokens a text has, without a tokenizer: one table of ratios, likely and worst, for each kind of text.

The kinds are told apart by the lead bytes of UTF-8, which is quick to count. The ratios are tokens a character,
measured in November 2026 with the published vocabularies of cl100k, o200k, Claude 2 and DeepSeek. The likely ones are
above the middle, because they stand in for a count that a bill is made from; the worst ones are what a reservation
takes. Vocabularies of before 2023 are not in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from .._schema.content import (
    Audio,
    Document,
    Image,
    ProviderToolCall,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Unknown,
    Video,
)
from .._schema.usage import Usage


class Ratio(NamedTuple):
    """Holds tokens a character: what is likely, and the worst that was measured."""

    likely: float
    worst: float


RATIOS: Mapping[str, Ratio] = MappingProxyType(
    {
        "prose": Ratio(0.25, 0.5),  # ASCII letters and white space; English 0.16, single letters and random words 0.5
        "dense": Ratio(0.6, 1.0),  # digits (each one a token for Gemini), signs, base64 0.73, hex
        "alphabets": Ratio(0.45, 1.3),  # two bytes: Latin with marks, Greek, Cyrillic, Hebrew, Arabic; Hebrew 1.04
        "cjk": Ratio(1.0, 2.4),  # Chinese, Japanese, Korean; usual text 0.6 to 1.6, rare characters 2.35
        "others": Ratio(1.2, 3.0),  # Indic, Thai, Ethiopic, Georgian, symbols; Hindi 0.3 to 1.1, Amharic 2.5
        "astral": Ratio(2.0, 4.0),  # four bytes; emoji 1.6 to 2.5
    }
)
_PROSE = bytes(range(ord("a"), ord("z") + 1)) + bytes(range(ord("A"), ord("Z") + 1)) + b" \t\r\n"
_LEADS: Mapping[str, bytes] = MappingProxyType(
    {
        "prose": _PROSE,
        "dense": bytes(byte for byte in range(128) if byte not in _PROSE),
        "alphabets": bytes(range(0xC0, 0xE0)),
        "cjk": bytes(range(0xE3, 0xEE)),
        "others": bytes([0xE0, 0xE1, 0xE2, 0xEE, 0xEF]),
        "astral": bytes(range(0xF0, 0x100)),
    }
)
_REST: Mapping[str, bytes] = MappingProxyType({kind: bytes(set(range(256)) - set(_LEADS[kind])) for kind in _LEADS})
_UNBROKEN = re.compile(rb"[A-Za-z0-9+/=_-]{25,}")
_DIGIT = re.compile(rb"\d")


def kinds_of(text: str) -> dict[str, int]:
    """Returns the characters of each kind in a text; long runs that are no words count as dense."""
    data = text.encode("utf-8", "surrogatepass")
    counts = {"prose": len(data.translate(None, _REST["prose"])), "dense": len(data.translate(None, _REST["dense"]))}
    if not data.isascii():
        counts.update({kind: len(data.translate(None, rest)) for kind, rest in _REST.items() if kind not in counts})
    letters = sum(
        [len(run.translate(None, _REST["prose"])) for run in _UNBROKEN.findall(data) if _DIGIT.search(run) is not None]
    )
    counts["prose"] -= letters
    counts["dense"] += letters
    return counts


def likely_tokens(text: str) -> int:
    """Returns the tokens that a text is taken to have where nobody counted it; 0 only for no text."""
    found = sum([count * RATIOS[kind].likely for kind, count in kinds_of(text).items()])
    return -(-int(found * 100) // 100)


def most_tokens(text: str) -> float:
    """Returns the most tokens that a text can have."""
    return sum([count * RATIOS[kind].worst for kind, count in kinds_of(text).items()])


def tokens_of(parts: Iterable[Any]) -> int:
    """Returns the tokens that the parts of a reply are taken to have: texts, reasoning, arguments of calls.

    Pictures, sound and what is not known count nothing here: see `has_uncountable`.
    """
    return sum([likely_tokens(text) for part in parts if (text := _written(part))])


def has_uncountable(parts: Iterable[Any]) -> bool:
    """Whether a reply holds something whose tokens nobody can tell from looking at it: media, unknown parts."""
    return any(isinstance(part, (Image, Audio, Video, Document, Unknown)) for part in parts)


def _written(part: Any) -> str:
    if isinstance(part, (Text, Reasoning, Refusal)):
        return part.text
    return part.raw_arguments if isinstance(part, ToolCall) else ""


# Tools of providers under their own names -> what usage and price lists call them.
_TOOL_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "bash_code_execution": "code_execution",
        "text_editor_code_execution": "code_execution",
        "tool_search_tool_regex": "tool_search",
        "tool_search_tool_bm25": "tool_search",
        "google_search": "web_search",
        "google_search_web": "web_search",
        "search": "web_search",
        "visit": "web_fetch",
    }
)
_NOT_SEARCHED = frozenset({"open_page", "find_in_page", "find"})  # of OpenAI's web search, without a fee


def tools_of(parts: Iterable[Any]) -> dict[str, int]:
    """Returns the requests to tools that the provider ran, as the parts of a reply show them."""
    found: dict[str, int] = {}
    for part in parts:
        if type(part) is ProviderToolCall:
            kind, action = part.raw.get("type"), part.raw.get("action")
            if isinstance(action, Mapping) and action.get("type") in _NOT_SEARCHED:
                continue
            name = part.name.lower()
            if isinstance(kind, str) and kind.startswith("mcp"):
                name = "mcp"
            elif isinstance(kind, str) and kind.endswith("_call"):
                name = kind.removesuffix("_call")
            name = _TOOL_NAMES.get(name, name)
            found[name] = found.get(name, 0) + 1
    return found


def completed(usage: Usage, parts: Sequence[Any], input_tokens: int | None, besides: int = 0) -> Usage:
    """Returns a usage in which nothing that can be known is missing; the same usage where nothing was.

    What nobody counted is estimated, and the usage then says so. A count of 0 beside a text is no count: servers that
    do not count send zeros. No prompt has 0 tokens. Requests to tools that the reply shows and that nobody counted are
    added. The output stays unknown where the reply holds a picture or a sound that nobody counted.

    Args:
        usage: what the provider counted.
        parts: the reply.
        input_tokens: the estimate of the prompt; None where there is none.
        besides: tokens of the answers that are not in ``parts``.
    """
    shown = tools_of(parts)
    counted = usage.provider_tool_requests or {}
    if shown.keys() - counted.keys():
        usage = replace(usage, provider_tool_requests={**shown, **counted})
    read, written = usage.input_tokens, usage.output_tokens
    if read and written:
        return usage
    read = read or input_tokens
    if not written:
        found = tokens_of(parts) + besides
        left = (usage.total_tokens or 0) - (read or 0)
        written = max(found, left, 0)
        if left <= 0 and has_uncountable(parts):
            written = None
    if read == usage.input_tokens and written == usage.output_tokens:
        return usage
    return replace(usage, input_tokens=read, output_tokens=written, total_tokens=None, source="estimated")
