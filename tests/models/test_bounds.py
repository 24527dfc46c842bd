"""What a request can use at most, read from the body on the wire."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import pytest

from asyncllm._models.bounds import ASSUMED_REQUESTS, READ_TOKENS, Bound, bound_of, pages_of, size_of
from asyncllm._schema.request import ASSUMED_OUTPUT_TOKENS
from recordings import recorded

HI = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("body", "output", "answers"),
    [
        ({"messages": HI}, None, 1),
        ({"messages": HI, "max_tokens": 30}, 30, 1),
        ({"messages": HI, "max_tokens": 30, "max_completion_tokens": 30_000}, 30_000, 1),
        ({"messages": HI, "max_tokens": 1000, "n": 8}, 1000, 8),
        ({"input": "hi", "max_output_tokens": 40}, 40, 1),
        ({"contents": [], "generationConfig": {"maxOutputTokens": 50, "candidateCount": 3}}, 50, 3),
        ({"messages": [], "inferenceConfig": {"maxTokens": 60}}, 60, 1),
        ({"messages": [], "additionalModelRequestFields": {"max_tokens": 70}}, 70, 1),
        ({"inputText": "hi", "textGenerationConfig": {"maxTokenCount": 80}}, 80, 1),
        ({"prompt": "hi", "max_gen_len": 90}, 90, 1),
        ({"messages": HI, "max_tokens": True, "n": "3"}, None, 3),
    ],
)
def test_the_output_is_bounded_in_each_wires_own_words(body: dict[str, Any], output: int | None, answers: int) -> None:
    """The largest limit that the body names holds, and every answer may have as much."""
    found = bound_of(body, "m")
    assert (output, answers) == (found.output_tokens, found.answers)
    assert (ASSUMED_OUTPUT_TOKENS if output is None else output) * answers == found.output()


@pytest.mark.parametrize(
    ("body", "headers", "tier"),
    [
        ({}, {}, None),
        ({"service_tier": "priority"}, {}, "priority"),
        ({"serviceTier": {"type": "flex"}}, {}, "flex"),
        ({"serviceTier": "flex"}, {}, "flex"),
        ({"service_tier": "auto", "speed": "fast"}, {}, "fast"),
        ({"speed": "standard"}, {}, None),
        ({}, {"x-amzn-bedrock-service-tier": "priority"}, "priority"),
    ],
)
def test_the_tier_is_the_one_that_is_asked_for(
    body: dict[str, Any], headers: Mapping[str, str], tier: str | None
) -> None:
    """A service tier or a speed counts, wherever a wire has it."""
    assert tier == bound_of(body, "m", headers).tier


@pytest.mark.parametrize(
    ("body", "tools"),
    [
        ({"tools": [{"type": "function", "function": {"name": "web_search"}}]}, {}),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]}, {"web_search": 3}),
        ({"tools": [{"type": "web_search"}], "max_tool_calls": 2}, {"web_search": 2}),
        ({"tools": [{"type": "file_search"}]}, {"file_search": ASSUMED_REQUESTS}),
        ({"tools": [{"googleSearch": {}}, {"codeExecution": {}}]}, {"web_search": ASSUMED_REQUESTS}),
        ({"web_search_options": {}}, {"web_search": 1}),
        ({"plugins": [{"id": "web"}]}, {"web_search": 1}),
    ],
)
def test_tools_of_the_provider_are_taken_at_their_limit(body: dict[str, Any], tools: dict[str, int]) -> None:
    """A limit that the request sets holds; without one a number is assumed. What they read is part of the input."""
    found = bound_of(body, "m")
    assert tools == found.tools
    assert found.input_tokens >= sum(tools.values()) * READ_TOKENS


PIXEL = base64.b64encode(b"\x89PNG" * 30_000).decode()
PICTURES = [
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
    {"image": {"format": "png", "source": {"bytes": PIXEL}}},
    {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
]


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize(("model", "most"), [("claude-opus-5", 4800), ("gpt-5.4", 25_000), ("gemini-3.8-flash", 2250)])
def test_a_picture_is_taken_by_the_vendors_rule(picture: dict[str, Any], model: str, most: int) -> None:
    """However many bytes it has, a picture counts as the vendor's largest one."""
    body = {"messages": [{"role": "user", "content": [picture]}]}
    assert (
        most
        == bound_of(body, model).input_tokens
        - bound_of({"messages": [{"role": "user", "content": []}]}, model).input_tokens
    )


def pdf(pages: int, *, packed: bool = False) -> bytes:
    """The outline of a PDF."""
    objects = b"<</Type /Pages /Count %d>>" % pages + b"<</Type /Page /Parent 1 0 R>>" * pages
    if packed:
        objects = b"<</Type /ObjStm>> stream\r\n" + zlib.compress(objects) + b"\r\nendstream"
    return b"%PDF-1.7\n" + objects


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("pages", [1, 7, 300])
def test_the_pages_of_a_document_are_counted(pages: int, packed: bool) -> None:
    """A PDF says how many pages it has, in the open or within packed objects."""
    assert pages == pages_of(pdf(pages, packed=packed))
    assert 1 == pages_of(b"%PDF-1.7 no page in sight")
    data = base64.b64encode(pdf(pages, packed=packed)).decode()
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    body = {"messages": [{"role": "user", "content": [{"type": "document", "source": source}]}]}
    assert pages * 7800 <= bound_of(body, "claude-opus-5").input_tokens <= pages * 7800 + 2000


def test_what_is_only_named_is_assumed() -> None:
    """A file id, an address of a document and a stored conversation are taken at the one assumed number."""
    for body in (
        {"messages": [{"content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}]}]},
        {"input": [{"type": "input_file", "file_url": "https://example.com/a.pdf"}]},
        {"input": "hi", "previous_response_id": "resp_1"},
        {"contents": [], "cachedContent": "cachedContents/1"},
    ):
        assert ASSUMED_OUTPUT_TOKENS <= bound_of(body, "m").input_tokens <= ASSUMED_OUTPUT_TOKENS + 1200


def test_the_bound_of_a_plain_request_is_near() -> None:
    """A short prompt does not reserve thousands of tokens."""
    assert bound_of({"model": "gpt-5.4", "messages": HI, "max_completion_tokens": 5}, "gpt-5.4").input_tokens < 600
    assert Bound(input_tokens=1, answers=2).output(100) == 200


def test_recorded_inputs_are_within_their_bound() -> None:
    """What OpenAI counted for recorded requests is at most what their bodies are taken at."""
    seen = 0
    for exchange in recorded("openai-chat", kind="generate", response_kind="json", status=200):
        body = exchange["request_json"]
        usage = (exchange["response_body"] or "").partition('"prompt_tokens"')[2]
        digits = usage[:12].strip(": ").split(",")[0].strip()
        if not isinstance(body, dict) or "dropped" in str(body) or not digits.isdigit():
            continue
        seen += 1
        assert int(digits) <= bound_of(body, str(body.get("model"))).input_tokens, exchange["id"]
    assert seen > 10


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + (1600).to_bytes(4, "big") + (900).to_bytes(4, "big")
JPEG = b"\xff\xd8\xff\xe0\0\x04xx\xff\xc0\0\x11\x08" + (900).to_bytes(2, "big") + (1600).to_bytes(2, "big") + b"\0" * 9
GIF = b"GIF89a" + (1600).to_bytes(2, "little") + (900).to_bytes(2, "little")


@pytest.mark.parametrize("picture", [PNG, JPEG, GIF])
def test_the_size_of_a_picture_is_read_from_its_head(picture: bytes) -> None:
    """A picture whose size is known counts by its vendor's rule, which is less than the largest one."""
    data = base64.b64encode(picture).decode()
    assert (1600, 900) == size_of(data) == size_of(f"data:image/png;base64,{data}")
    part = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    body = {"messages": [{"role": "user", "content": [part]}]}
    assert 1600 * 900 // 750 <= bound_of(body, "claude-opus-5").input_tokens < 1600 * 900 // 750 + 700
    assert size_of(base64.b64encode(b"RIFF").decode()) is None


NO_SOUND = {"input_audio", "output_audio"}
MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("body", "model", "without"),
    [
        ({"messages": HI}, "claude-opus-5", {"cache_write", "cache_write_1h", *NO_SOUND}),
        ({"messages": HI}, "gpt-5.6-sol", {"cache_write_1h", *NO_SOUND}),
        ({"system": [MARK]}, "claude-opus-5", {"cache_write_1h", *NO_SOUND}),
        ({"system": [{"cache_control": {"ttl": "1h"}}]}, "claude-opus-5", NO_SOUND),
        ({"modalities": ["audio"]}, "gpt-4o-audio", {"cache_write_1h"}),
    ],
)
def test_what_a_request_cannot_use_is_not_reserved(body: dict[str, Any], model: str, without: set[str]) -> None:
    """A cache is written for an hour, and by Claude at all, only where it is marked; sound costs where it is named."""
    assert without == bound_of(body, model).without


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ({"max_completion_tokens": "30000"}, 30_000),
        ({"generation_config": {"max_output_tokens": 2000, "candidate_count": 4}}, 8000),
        ({"max_tokens": "many"}, 4096),
    ],
)
def test_counts_in_other_forms_are_read(body: dict[str, object], most: int) -> None:
    """A count may be the text of a number, which many servers read, or be in Google's other spelling."""
    assert most == bound_of(body, "m").output()
