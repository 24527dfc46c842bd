"""How vendors count what is not plain text: what a family's chat template adds to a prompt, and what pictures take.

One row a family. A row is found by a part of the model's name (``marks``): the first row that fits counts, and the last
row of each table fits every name. The numbers of the prompts are measured by ``benchmarks/token_estimates.py`` over
recorded exchanges; those of the pictures are the vendors' published rules, at their largest.
"""

from __future__ import annotations

import re

from ..._schema.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFamily:
    """What models of one family add to a prompt, in tokens; a token of text is so many bytes.

    Attributes:
        marks: their names hold one of these.
        base: once.
        message: for each message.
        tools: once, if there is any tool.
        tool: for each tool.
        text: bytes a token.
        schema: bytes a token in descriptions and schemas of tools.
        answer: once, if the answer must fit a schema.
        answer_schema: for each byte of that schema; 0 where it does not count.
    """

    marks: tuple[str, ...]
    base: float = 3.0
    message: float = 4.0
    tools: float = 0.0
    tool: float = 12.0
    text: float = 4.3
    schema: float = 4.0
    answer: float = 0.0
    answer_schema: float = 0.0


PROMPT_FAMILIES: tuple[PromptFamily, ...] = (
    PromptFamily(marks=("gpt-oss",), base=65, schema=5, answer_schema=0.3),
    PromptFamily(marks=("gpt", "o1", "o3", "o4"), base=2, tool=4, text=4, schema=5, answer=20, answer_schema=0.15),
    PromptFamily(
        marks=(
            *("claude-3", "claude-v", "claude-instant", "sonnet-4-0", "sonnet-4-2", "sonnet-4@"),
            *("opus-4-0", "opus-4-1", "opus-4-2", "opus-4@", "opus-4.1"),
        ),
        tools=320,
    ),
    PromptFamily(marks=("claude",), base=5, tools=540, answer=160, answer_schema=0.18),
    PromptFamily(marks=("gemini",), base=0, message=0, tool=0, schema=6),
    PromptFamily(marks=("grok-2",), base=5, message=5),
    PromptFamily(marks=("grok-3",), base=5, tools=190),
    PromptFamily(marks=("grok",), base=190, tools=100),
    PromptFamily(marks=("deepseek",), base=1, tools=230, schema=3.5),
    PromptFamily(marks=("glm",), base=5, message=3, tools=100, text=4.6),
    PromptFamily(marks=("qwen",), base=5, message=5, tools=100, text=4.9),
    PromptFamily(marks=("llama",), base=8, tools=140),
    PromptFamily(marks=("nova",), tools=340, text=3.6),
    PromptFamily(marks=("kimi",), base=50),
    PromptFamily(marks=("mistral", "magistral", "ministral", "codestral"), base=1, tools=40, text=4.9),
    PromptFamily(marks=("",), base=1, text=4.6),
)


@dataclass(frozen=True, slots=True)
class PictureRule:
    """How a vendor counts pictures: by pixels, by tiles, or at most so many tokens.

    Attributes:
        marks: names of its models hold one of these.
        most: tokens of the largest picture.
        page: tokens of a page of a document: its text and its picture.
        high: tokens of the largest picture in detail "high", where that is less; else 0.
        pixels: pixels a token; 0 where they do not count.
        tile: the side of a tile in pixels; 0 where tiles do not count.
        per_tile: tokens of a tile.
        base: tokens besides the tiles.
    """

    marks: tuple[str, ...]
    most: int
    page: int
    high: int = 0
    pixels: int = 0
    tile: int = 0
    per_tile: float = 0
    base: int = 0


PICTURE_RULES: tuple[PictureRule, ...] = (
    PictureRule(("gpt-4o-mini",), 48_200, page=50_000, tile=512, per_tile=5667, base=2833),
    PictureRule(("gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-4-", "o1", "o3", "o4"), 3900, page=6000),
    # Patches of 32 pixels, times 2.46 for the smallest models: 1,536 of them, 10,000 in detail "original".
    PictureRule(("gpt",), 25_000, page=6000, high=3900, tile=32, per_tile=2.46, base=260),
    PictureRule(
        ("claude-3", "claude-sonnet-4", "claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-5"),
        *(1640, 4700),
        pixels=750,
    ),
    PictureRule(("claude",), 4800, page=7800, pixels=750),  # sides of up to 2,576 pixels
    PictureRule(("gemini-1", "gemini-2"), 4200, page=1200, tile=256, per_tile=258, base=258),
    PictureRule(("gemini",), 2250, page=1200),  # 1,120 tokens, 2,240 in the highest resolution
    PictureRule(("grok",), 1800, page=3500),
    PictureRule(("",), 5000, page=7000),
)

ALWAYS_SEARCHES = re.compile(r"^gpt-.*-search-(?:preview|api)")
"""OpenAI's models that search before every answer on chat completions. Their answers do not say so."""
