"""Generated requests that no wire owns: what is asked, in words that each side turns into its own form by itself.

The same seed and number always give the same scenario. What a vendor's API has no place for is left out by the host's
`Traits`, so that both sides can be held to the letter.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(48))
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(200, 255))
PDF = b"%PDF-1.7\n" + b"x" * 30
WORDS = ("Oslo", "straße", "日本", "a\u2028b", "tab\there", 'say "no"', "😀", "x < y & z", "back\\slash", "two\nlines")
SCHEMAS: tuple[dict[str, Any], ...] = (
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
    {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "inner": {
                "type": "object",
                "properties": {"ok": {"type": "boolean"}},
                "required": ["ok"],
                "additionalProperties": False,
            },
        },
        "required": ["n", "tags", "kind", "inner"],
        "additionalProperties": False,
    },
)


@dataclass(frozen=True)
class Traits:
    """What a host's API can be asked for."""

    image_urls: bool = True
    documents: bool = True
    result_images: bool = False
    sampling: bool = True
    stop: bool = True
    seed: bool = False
    efforts: tuple[str, ...] = ("low", "medium", "high")
    signed: bool = False
    parallel_switch: bool = True
    no_choice: bool = True


@dataclass(frozen=True)
class Part:
    """Text, a picture (bytes or address) or a PDF."""

    kind: str
    text: str = ""
    data: bytes = b""
    media_type: str = ""


@dataclass(frozen=True)
class Call:
    """A call of a tool by the assistant, and the answer it got: text, a JSON value or a picture."""

    id: str
    name: str
    arguments: dict[str, Any]
    result: Any
    failed: bool = False


@dataclass(frozen=True)
class Turn:
    """What the user says, and what the assistant had said before it."""

    parts: tuple[Part, ...]
    reply: str = ""
    thought: str = ""
    signature: str = ""
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True)
class Tool:
    """A function that is offered."""

    name: str
    description: str
    schema: dict[str, Any]
    strict: bool | None = None


@dataclass(frozen=True)
class Scenario:
    """One request.

    Attributes:
        turns: the last one is what is asked now; the others hold the assistant's reply.
        choice: ``""``, ``"auto"``, ``"none"``, ``"required"`` or the name of a tool.
    """

    system: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    choice: str = ""
    parallel: bool | None = None
    schema: dict[str, Any] | None = None
    effort: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    stream: bool = False
    about: set[str] = field(default_factory=set, compare=False)


def scenario(host: str, number: int, traits: Traits) -> Scenario:
    """The ``number``-th request for a host."""
    draw = random.Random(f"{host}:{number}")
    tools = tuple(_tool(draw, at) for at in range(draw.choice((0, 0, 1, 2))))
    turns = [_turn(draw, traits, tools, at, last=False) for at in range(draw.choice((0, 1, 2)))]
    turns.append(_turn(draw, traits, tools, len(turns), last=True))
    effort = draw.choice(("", "", *traits.efforts)) if traits.efforts else ""
    samples = traits.sampling and not effort and draw.random() < 0.4
    choices = ["", "auto", *(["none"] if traits.no_choice else []), *(["required", tools[0].name] if tools else [])]
    return Scenario(
        system=draw.choice(("", "Be brief.", f"Speak of {draw.choice(WORDS)}.")),
        turns=tuple(turns),
        tools=tools,
        choice=draw.choice(choices) if tools and not effort else "",
        parallel=draw.choice((None, None, False)) if tools and traits.parallel_switch and not effort else None,
        schema=draw.choice(SCHEMAS) if not tools and draw.random() < 0.3 else None,
        effort=effort,
        max_tokens=draw.choice((None, 256, 1000)),
        temperature=draw.choice((0.0, 0.5, 1.0)) if samples else None,
        top_p=draw.choice((None, 0.9)) if samples else None,
        stop=draw.choice(((), (), ("END",), ("END", "\n\n"))) if traits.stop else (),
        seed=draw.choice((None, 7)) if traits.seed else None,
        stream=draw.random() < 0.3,
    )


def _tool(draw: random.Random, at: int) -> Tool:
    return Tool(
        f"{draw.choice(('weather', 'find_city', 'do-it'))}{at}",
        draw.choice(("The weather in a city.", f"About {draw.choice(WORDS)}.")),
        draw.choice(SCHEMAS),
    )


def _turn(draw: random.Random, traits: Traits, tools: tuple[Tool, ...], at: int, *, last: bool) -> Turn:
    parts = [Part("text", text=f"{draw.choice(WORDS)} and {draw.choice(WORDS)}?")]
    extra = draw.choice(("", "", "image", "url", "pdf"))
    if extra == "image":
        data, kind = draw.choice(((PNG, "image/png"), (JPEG, "image/jpeg")))
        parts.append(Part("image", data=data, media_type=kind))
    elif extra == "url" and traits.image_urls:
        parts.append(Part("url", text="https://example.com/cat.png", media_type="image/png"))
    elif extra == "pdf" and traits.documents:
        parts.append(Part("pdf", text=f"report {at}", data=PDF, media_type="application/pdf"))
    if last:
        return Turn(tuple(parts))
    calls = tuple(
        Call(f"call_{at}_{number}", tools[number % len(tools)].name, _arguments(draw), *_result(draw, traits))
        for number in range(draw.choice((0, 1, 2)) if tools else 0)
    )
    signed = traits.signed and draw.random() < 0.6
    return Turn(
        tuple(parts),
        reply="" if calls and draw.random() < 0.5 else f"I say {draw.choice(WORDS)}.",
        thought="Let me think." if signed else "",
        signature=f"c2lnbmF0dXJl{draw.randrange(1000, 9999)}" if signed else "",
        calls=calls,
    )


def _arguments(draw: random.Random) -> dict[str, Any]:
    return draw.choice(({"city": draw.choice(WORDS)}, {}, {"n": 1, "tags": ["a", "b"], "inner": {"ok": True}}))


def _result(draw: random.Random, traits: Traits) -> tuple[Any, bool]:
    choices: list[tuple[Any, bool]] = [("3 °C", False), ({"celsius": 3, "wind": [1, 2]}, False), ("no such city", True)]
    if traits.result_images:
        choices.append((PNG, False))
    return draw.choice(choices)
