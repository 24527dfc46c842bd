"""Upper bounds of what a request can use. `bound_of` reads them from the body that goes to the provider.

The theory. A hard budget reserves an upper bound of the cost before a call, so the bound is taken from what is really
sent: after ``extra_body``, with the ``max_tokens`` that the codec writes, in each wire's own words. The rules:

- **Output**: the limit that the body names, times the number of answers. A body without one has no bound here; whoever
  asks assumes `asyncllm._schema.request.ASSUMED_OUTPUT_TOKENS` or what a budget says.
- **Text**: tokens for each character, by the worst ratio that was measured for its kind (`text_tokens`). Everything in
  the body counts, keys too, which covers the marks of the chat templates; `data.token_rules` knows what a family of
  models adds unseen.
- **Pictures and pages** by the rule of the model's vendor, at its largest (`data.token_rules`). Sound and films by
  their length, which their size bounds.
- **Tools of the provider** at their limit (``max_uses``, ``max_tool_calls``), else at `ASSUMED_REQUESTS` each. What a
  tool reads is taken at `READ_TOKENS` a request.
- **What the body only names** (a file id, an address, a stored conversation) cannot be bounded: it is taken at
  `ASSUMED_OUTPUT_TOKENS`, the one number for everything that is assumed.

Over 1,421 recorded exchanges 98% of the inputs that providers counted are within their bound. The others hold what a
host adds unseen: prompts of its own, what its tools read, media that the request only names.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from .._schema.request import ASSUMED_OUTPUT_TOKENS
from .._schema.values import dataclass
from .data.token_rules import PICTURE_RULES, PictureRule
from .text_tokens import RATIOS, most_tokens
from .tokens import prompt_family_of

ASSUMED_REQUESTS = 10
"""Requests of a provider's tool for which nobody set a limit."""
READ_TOKENS = 8000
"""Tokens that one request of a provider's tool brings into the prompt: what OpenAI counts for a search at most."""
_TOOL_PROMPT = 3000  # the instructions that come with a provider's tool; 2,300 measured for Claude's web search
_UNSEEN = 400  # what hosts and templates add unseen beyond what `tokens` knows of the family; 250 measured
_CITED = 500  # what Claude adds to a document that it may cite; 460 measured


_LOW_DETAIL = 160  # the dearest of the small pictures: 85 tokens, times 1.72
_SOUND_PER_BYTE = 0.032  # 32 tokens a second (Gemini), at least 1,000 bytes a second
_WAVE_PER_BYTE = 0.002  # the same, at least 16,000 bytes a second
_FILM_PER_BYTE = 0.03  # 300 tokens a second, at least 10,000 bytes a second
_KEY = RATIOS["prose"].worst
_SEALED_PER_BYTE = 0.34  # encrypted reasoning: three bytes of base64 and more for each token

_LIMITS = frozenset(
    {
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "maxTokens", "maxTokenCount"),
        *("max_new_tokens", "max_gen_len", "max_tokens_to_sample", "max_length", "num_predict"),
    }
)
_ANSWERS = frozenset({"n", "best_of", "candidateCount", "candidate_count", "num_generations", "numResults"})
_SECTIONS = (
    *("generationConfig", "generation_config", "inferenceConfig", "additionalModelRequestFields"),
    *("textGenerationConfig", "parameters", "options"),
)
_SEALED = frozenset({"signature", "thoughtSignature", "encrypted_content", "redactedContent", "thought_signature"})
_STORED = frozenset({"previous_response_id", "conversation", "cachedContent", "file_id", "fileUri", "file_uri"})
_OF_THE_CALLER = frozenset({"function", "custom"})
_DATED = re.compile(r"_20\d{6}$")
# How tools that a provider runs are called on the wires -> what usage calls them.
_HOSTED: Mapping[str, str] = {
    "web_search": "web_search",
    "web_search_preview": "web_search",
    "openrouter:web_search": "web_search",
    "browser_search": "web_search",
    "googleSearch": "web_search",
    "google_search": "web_search",
    "googleSearchRetrieval": "web_search",
    "enterpriseWebSearch": "enterprise_web_search",
    "googleMaps": "google_maps",
    "file_search": "file_search",
    "fileSearch": "file_search",
    "code_interpreter": "code_interpreter",
    "code_execution": "code_execution",
    "image_generation": "image_generation",
    "web_fetch": "web_fetch",
    "mcp": "mcp",
    "advisor": "advisor",
    "x_search": "x_search",
    "collections_search": "collections_search",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Holds the most that a request can use.

    Attributes:
        input_tokens: of the prompt, with what tools of the provider read.
        output_tokens: of one answer; None where the request does not limit it.
        answers: how many answers are asked for.
        tier: the service tier or speed that is asked for, in the provider's word; None for the ordinary one.
        tools: tool of the provider -> the most requests to it.
        without: units of the price list that the request cannot use.
        place: where it asks to be served, in the provider's word; None where it does not say.
    """

    input_tokens: int
    output_tokens: int | None = None
    answers: int = 1
    tier: str | None = None
    tools: Mapping[str, int] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    place: str | None = None

    def output(self, assumed: int = ASSUMED_OUTPUT_TOKENS) -> int:
        """Returns the tokens of all answers together; ``assumed`` stands for one without a limit."""
        return (assumed if self.output_tokens is None else self.output_tokens) * self.answers


def bound_of(body: Mapping[str, Any], model: str, headers: Mapping[str, str] | None = None) -> Bound:
    """Returns the most that a request can use.

    Args:
        body: the JSON that goes to the provider.
        model: the model that is asked.
        headers: those of the request, with lower-case names; some hosts take the tier there.
    """
    sections = [body, *(section for name in _SECTIONS if isinstance(section := body.get(name), Mapping))]
    limits = [value for section in sections for name in _LIMITS if (value := _count(section.get(name))) is not None]
    answers = [value for section in sections for name in _ANSWERS if (value := _count(section.get(name))) is not None]
    tools = dict(_hosted(body))
    return Bound(
        input_tokens=_input(body, model, tools),
        output_tokens=max(limits, default=None),
        answers=max(answers, default=1) or 1,
        tier=_tier(body, headers or {}),
        tools=tools,
        without=frozenset(_unused(body, model)),
        place=body["inference_geo"] if isinstance(body.get("inference_geo"), str) else None,
    )


def _count(value: object) -> int | None:
    """Returns a count, also from the text of one, which many servers read; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, float) and value >= 0 and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def _unused(body: Mapping[str, Any], model: str) -> Iterator[str]:
    """Yields the units that the request cannot use, such as cache writes that it does not ask for."""
    text = str(body)
    marked = "cache_control" in text or "cachePoint" in text or "cache_point" in text
    if not ("1h" in text and marked):
        yield "cache_write_1h"
    if not marked and "claude" in model.lower():
        yield "cache_write"
    if "audio" not in text.lower():
        yield from ("input_audio", "output_audio")


def _tier(body: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    if isinstance(body.get("speed"), str) and body["speed"] != "standard":
        return str(body["speed"])
    found = body.get("service_tier") or body.get("serviceTier")
    if isinstance(found, Mapping):
        found = found.get("type")
    for name in ("x-amzn-bedrock-service-tier", "x-vertex-ai-llm-shared-request-type"):
        found = found or headers.get(name)
    return found if isinstance(found, str) and found else None


def _hosted(body: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yields the tools that the provider may run, with the most requests to each."""
    overall = _count(body.get("max_tool_calls"))
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        if not isinstance(tool, Mapping):
            continue
        kind = tool.get("type")
        names = [_DATED.sub("", kind)] if isinstance(kind, str) else [name for name in tool if name in _HOSTED]
        for name in names:
            if name in _HOSTED:
                given = tool.get("parameters")
                most = _count((given if isinstance(given, Mapping) else tool).get("max_uses"))
                yield _HOSTED[name], next(one for one in (most, overall, ASSUMED_REQUESTS) if one is not None)
    servers = body.get("mcp_servers")
    if isinstance(servers, list) and servers:
        yield "mcp", ASSUMED_REQUESTS
    if "web_search_options" in body or "search_parameters" in body:
        yield "web_search", 1 if "web_search_options" in body else ASSUMED_REQUESTS
    plugins = body.get("plugins")
    if isinstance(plugins, list) and any(isinstance(one, Mapping) and one.get("id") == "web" for one in plugins):
        yield "web_search", 1


def _input(body: Mapping[str, Any], model: str, tools: Mapping[str, int]) -> int:
    family = prompt_family_of(model)
    declared = body.get("tools") or body.get("functions") or body.get("toolConfig")
    tokens = _UNSEEN + 1.5 * (family.base + (family.tools if declared else 0.0) + family.answer)
    tokens += sum(tools.values()) * READ_TOKENS
    if isinstance(declared, list):
        own = [
            one for one in declared if isinstance(one, Mapping) and one.get("type", "function") not in _OF_THE_CALLER
        ]
        tokens += len(own) * _TOOL_PROMPT
    rule = next(row for row in PICTURE_RULES if any(mark in model.lower() for mark in row.marks))
    return int(tokens + _weigh(body, rule)) + 1


def _weigh(value: Any, rule: PictureRule) -> float:
    """Returns the most tokens that a value of the body comes to."""
    if isinstance(value, str):
        return most_tokens(value)
    if isinstance(value, list):
        return sum([_weigh(one, rule) for one in value])
    if not isinstance(value, Mapping):
        return 1.0
    media = _medium(value, rule)
    if media is not None:
        return media
    total = float(_CITED) if "document" in (value.get("type"), *value) else 0.0
    for key, inner in value.items():
        if key in _SEALED and isinstance(inner, str):
            total += len(inner) * _SEALED_PER_BYTE
        elif key in _STORED and inner:
            total += ASSUMED_OUTPUT_TOKENS
        else:
            total += len(key) * _KEY + _weigh(inner, rule)
    return total + 1.0


def _medium(part: Mapping[str, Any], rule: PictureRule) -> float | None:
    """Returns the most tokens of a picture, a document, a sound or a film; None for any other part."""
    kind = part.get("type")
    if kind in ("image_url", "input_image") or (kind == "image" and "source" in part):
        inner, source = part.get("image_url"), part.get("source")
        detail = part.get("detail") or (inner.get("detail") if isinstance(inner, Mapping) else None)
        data = inner.get("url") if isinstance(inner, Mapping) else inner
        return picture_tokens(rule, source.get("data") if isinstance(source, Mapping) else data, detail)
    inline = part.get("inlineData") or part.get("inline_data")
    if isinstance(inline, Mapping):
        return _of_type(str(inline.get("mimeType") or inline.get("mime_type")), inline.get("data"), rule)
    if kind == "input_audio" and isinstance(part.get("input_audio"), Mapping):
        return _of_type(f"audio/{part['input_audio'].get('format')}", part["input_audio"].get("data"), rule)
    if kind in ("file", "input_file"):
        file = part.get("file")
        data = (file if isinstance(file, Mapping) else part).get("file_data")
        return _of_type("application/pdf", data, rule)
    source = part.get("source")
    if not isinstance(source, Mapping):  # Converse: the kind of the medium is the name of its object
        for name in ("image", "document", "video", "audio"):
            inner = part.get(name)
            if isinstance(inner, Mapping) and isinstance(inner.get("source"), Mapping) and inner["source"].get("bytes"):
                word = "application/pdf" if inner.get("format") == "pdf" else f"{name}/{inner.get('format')}"
                return _of_type(word, inner["source"]["bytes"], rule)
        return None
    if kind == "document" and source.get("type") in ("base64", "url", "file"):
        media_type = str(source.get("media_type") or "application/pdf")
        return _CITED + _of_type(media_type, source.get("data"), rule)
    return None


def picture_tokens(rule: PictureRule, data: Any, detail: Any) -> float:
    """Returns the most tokens of a picture.

    Args:
        rule: how its vendor counts.
        data: its base64; anything else for a picture whose size is not known.
        detail: the detail that is asked for.
    """
    if detail == "low" and rule.most < 48_000:
        return _LOW_DETAIL
    most = rule.high if rule.high and detail == "high" else rule.most
    size = size_of(data) if (rule.pixels or rule.tile) and isinstance(data, str) else None
    if size is None:
        return most
    width, height = size
    if rule.pixels:
        return min(most, -(-width * height // rule.pixels) + 10)
    return min(most, rule.base + rule.per_tile * -(-width // rule.tile) * -(-height // rule.tile))


def _of_type(media_type: str, data: Any, rule: PictureRule) -> float:
    """Returns the most tokens of a medium; ``data`` is its base64, also as the address that holds it."""
    if media_type.startswith("image/"):
        return picture_tokens(rule, data, None)
    if not isinstance(data, str) or not data:
        return ASSUMED_OUTPUT_TOKENS
    if data.startswith("data:"):
        head, _, data = data.partition(",")
        media_type = head[len("data:") :].partition(";")[0] or media_type
    size = len(data) * 3 / 4
    if media_type.startswith("audio/"):
        return size * (_WAVE_PER_BYTE if "wav" in media_type or "pcm" in media_type else _SOUND_PER_BYTE)
    if media_type.startswith("video/"):
        return size * _FILM_PER_BYTE
    content = _decoded(data)
    if media_type == "application/pdf":
        return pages_of(content) * rule.page
    return most_tokens(content.decode("utf-8", "replace"))


def _decoded(data: str) -> bytes:
    try:
        return b64decode(data)
    except (Base64Error, ValueError):
        return data.encode()


_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_PAGES = re.compile(rb"/Count\s+(\d{1,6})")
_STREAM = re.compile(rb"stream\r?\n")
_BYTES_A_PAGE = 2000  # of a document that hides its pages
_MOST_UNPACKED = 1 << 22


def pages_of(pdf: bytes) -> int:
    """Returns the number of pages of a PDF, at least 1: what it counts itself, also within its packed objects."""
    found = _counted(pdf)
    if not found:
        for start in _STREAM.finditer(pdf):
            try:
                unpacked = zlib.decompressobj().decompress(
                    pdf[start.end() : start.end() + _MOST_UNPACKED], _MOST_UNPACKED
                )
            except zlib.error:
                continue
            found = max(found, _counted(unpacked))
    return found or max(1, len(pdf) // _BYTES_A_PAGE)


def _counted(data: bytes) -> int:
    return max([len(_PAGE.findall(data)), *map(int, _PAGES.findall(data))])


_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_HEAD = 1 << 18  # characters of base64 in which a size is looked for


def size_of(data: str) -> tuple[int, int] | None:
    """Returns width and height of a picture in pixels, from its first bytes; None where they do not say.

    Args:
        data: base64, also as the address that holds it (``data:...``).
    """
    if data.startswith("data:"):
        data = data.partition(",")[2]
    head = _decoded(data[:_HEAD])
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    if head[:4] == b"GIF8" and len(head) > 9:
        return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    if head[:2] == b"\xff\xd8":
        return _jpeg_size(head)
    return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(head) and head[at] == 0xFF:
        if head[at + 1] in _JPEG_SIZES:
            return int.from_bytes(head[at + 7 : at + 9], "big"), int.from_bytes(head[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None
