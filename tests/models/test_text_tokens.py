"""Tokens of a text without a tokenizer, and usages in which something was not counted."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._ledger.estimates import further_tokens
from asyncllm._models.text_tokens import completed, kinds_of, likely_tokens, most_tokens
from asyncllm._schema.content import Audio, Image, Reasoning, Refusal, Text, ToolCall, Unknown
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage


# (text, tokens that o200k or cl100k, whichever has more, makes of it)
@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("The quick brown fox jumps over the lazy dog. " * 20, 182),
        ("Все люди рождаются свободными и равными в своем достоинстве и правах. " * 20, 700),
        ("人人生而自由在尊严和权利上一律平等他们赋有理性和良心并应以兄弟关系的精神相对待。" * 20, 984),
        ("모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. " * 20, 800),
        (base64.b64encode(bytes(range(256)) * 12).decode(), 2990),
        ("0123456789" * 300, 3000),
        ("😀🎉🦄🧬" * 100, 980),
    ],
)
def test_no_text_has_more_tokens_than_its_worst_ratio(text: str, counted: int) -> None:
    """The worst ratio of a kind is above what tokenizers were measured to make of it, the likely one below that."""
    assert counted <= most_tokens(text)
    assert likely_tokens(text) <= most_tokens(text) + 1


@given(st.text())
def test_every_character_is_of_one_kind(text: str) -> None:
    """The kinds share the characters out, whatever they are; text without characters has no tokens."""
    assert len(text) == sum(kinds_of(text).values())
    assert bool(text) == bool(likely_tokens(text))


CALL = (ToolCall("1", "f", raw_arguments="word " * 20),)
TEXT = (Text("word " * 100),)  # 125 tokens, likely


@pytest.mark.parametrize(
    ("said", "parts", "expected"),
    [
        (UNKNOWN_USAGE, TEXT, (7, 125, "estimated")),
        (Usage(input_tokens=0, output_tokens=0), TEXT, (7, 125, "estimated")),
        (Usage(input_tokens=0, output_tokens=50), TEXT, (7, 50, "estimated")),
        (Usage(input_tokens=9, output_tokens=0), TEXT, (9, 125, "estimated")),
        (Usage(input_tokens=9, output_tokens=0), (), (9, 0, "provider")),
        (Usage(input_tokens=9, output_tokens=4), TEXT, (9, 4, "provider")),
        (Usage(total_tokens=1000), TEXT, (7, 993, "estimated")),
        (Usage(input_tokens=9, total_tokens=1009), (), (9, 1000, "estimated")),
        (
            UNKNOWN_USAGE,
            (Reasoning("word " * 20), ToolCall("1", "f", raw_arguments="word " * 20)),
            (7, 50, "estimated"),
        ),
        (UNKNOWN_USAGE, (Refusal("word " * 100),), (7, 125, "estimated")),
        (UNKNOWN_USAGE, (*TEXT, Image(data=b"x", media_type="image/png")), (7, None, "estimated")),
        (Usage(input_tokens=9, output_tokens=0), (Audio(data=b"x", transcript="hi"),), (9, None, "estimated")),
        (UNKNOWN_USAGE, (Unknown(type="film", raw={}),), (7, None, "estimated")),
        (Usage(total_tokens=1000), (Image(data=b"x"),), (7, 993, "estimated")),
        (Usage(input_tokens=9, output_tokens=1290), (Image(data=b"x"),), (9, 1290, "provider")),
    ],
)
def test_what_nobody_counted_is_estimated(said: Usage, parts: tuple[object, ...], expected: tuple[object, ...]) -> None:
    """No count, and a zero beside a text, are estimated and marked so; what was counted stays as it is."""
    found = completed(said, parts, 7)
    assert expected == (found.input_tokens, found.output_tokens, found.source)


def test_an_estimate_keeps_what_was_counted_beside_it() -> None:
    """Cached tokens, tiers and tools that the provider named stay in an estimated usage."""
    said = Usage(input_tokens=9, output_tokens=0, cache_read_tokens=3, service_tier="flex")
    assert replace(said, output_tokens=125, total_tokens=134, source="estimated") == completed(said, TEXT, 7)


def test_further_answers_without_a_usage_are_counted() -> None:
    """Of two answers, whole or streamed, both are in the estimate; an answer without the others is one."""
    message = {"role": "assistant", "content": "word " * 100}
    both = {"choices": [{"index": index, "message": message} for index in (0, 1)]}
    second = {"choices": [{"index": 1, "message": message}]}
    gemini = {"candidates": [{"index": 0}, {"index": 1, "content": {"parts": [{"text": "word " * 100}]}}]}

    assert [125, 125, 125, 0] == [further_tokens(body) for body in (both, second, gemini, {"choices": [message]})]
