"""A conversation begun on one host and continued on another, over all pairs of hosts and wire formats."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import pytest
from speakers import SPEAKERS, TOOLS, Speaker

from asyncllm._protocols.codec import WireRequest
from asyncllm._schema.messages import Message

each = pytest.mark.parametrize("host", SPEAKERS, ids=lambda host: host.name)
PAIRS = [pair for pair in permutations(SPEAKERS, 2) if pair[0].context().origin != pair[1].context().origin]
pairs = pytest.mark.parametrize(("begun", "continued"), PAIRS, ids=lambda speaker: speaker.name)


def begin(host: Speaker) -> list[Message]:
    """A conversation whose last turns are the host's two calls and their results."""
    said = host.turn()
    results = [Message.tool(call.id, {"found": call.name}) for call in said.tool_calls]
    return [Message.system("Be brief."), Message.user("Weather and time in Oslo?"), said, *results]


def hear(host: Speaker, *messages: Message) -> WireRequest:
    """The request that goes on with these messages."""
    return host.hears(*messages, tools=TOOLS)


@each
def test_a_host_gets_back_what_it_said(host: Speaker) -> None:
    """On its own host a turn comes back whole: its opaque values, its ids, and nothing to warn of."""
    messages = begin(host)
    wire = hear(host, *messages)
    wanted = [call.id for call in messages[2].tool_calls] if all(host.ids) else ["weather", "clock"]
    assert (wanted, wanted) == host.ids_in(wire)
    keeps = host.name not in ("openai", "groq", "deepseek")
    assert host.mark.encode() in wire.body or not keeps
    assert () == wire.warnings


@pairs
def test_nothing_opaque_reaches_another_host(begun: Speaker, continued: Speaker) -> None:
    """No signature, encrypted payload, reasoning or item id of one host goes to another; a warning says so."""
    wire = hear(continued, *begin(begun), Message.user("And tomorrow?"))
    assert begun.mark.encode() not in wire.body
    assert wire.warnings
    assert b"I will look." in wire.body


@pairs
def test_ids_are_kept_where_they_are_accepted(begun: Speaker, continued: Speaker) -> None:
    """An id is rewritten only where the other host refuses it, alike for call and result, and to an accepted one."""
    messages = begin(begun)
    calls, results = continued.ids_in(hear(continued, *messages))
    own = [call.id for call in messages[2].tool_calls]
    assert calls == results
    assert 2 == len(set(calls))
    for given, sent in zip(own, calls, strict=True):
        assert re.fullmatch(continued.takes, sent, re.ASCII)
        if re.fullmatch(continued.takes, given, re.ASCII):
            assert given == sent


@pairs
def test_the_first_host_knows_its_ids_again(begun: Speaker, continued: Speaker) -> None:
    """When the conversation comes back, the first host's part of it is byte for byte what it would have been."""
    before = begin(begun)
    went = [*before, *begin(continued)[1:]]
    alone, back = hear(begun, *before), hear(begun, *went)
    calls, results = begun.ids_in(back)
    assert begun.ids_in(alone)[0] == calls[:2]
    assert calls == results
    assert continued.mark.encode() not in back.body
    assert alone.body.count(begun.mark.encode()) == back.body.count(begun.mark.encode())


@pairs
def test_what_the_other_host_said_stays_readable(begun: Speaker, continued: Speaker) -> None:
    """Texts, names, arguments and results of the calls all reach the other host."""
    wire = hear(continued, *begin(begun))
    for words in (b"Be brief.", b"I will look.", b'"weather"', b'"clock"', b"Oslo", b"found"):
        assert words in wire.body


@pairs
def test_a_host_s_instructions_in_the_middle_are_kept(begun: Speaker, continued: Speaker) -> None:
    """A system message within the conversation keeps its place, or is said by the user with a warning."""
    messages = [*begin(begun), Message.system("Answer in Norwegian."), Message.user("And tomorrow?")]
    wire = hear(continued, *messages)
    assert wire.body.index(b"weather") < wire.body.index(b"Answer in Norwegian.")
    body = json.loads(wire.body)
    turns = body.get("messages") or body.get("input") or body["contents"]
    holders = [turn for turn in turns if "Answer in Norwegian." in json.dumps(turn)]
    assert 1 == len(holders)
    assert "system" == holders[0]["role"] or any("user" in sentence for sentence in wire.warnings)


def test_models_of_one_host_share_reasoning_but_no_signatures() -> None:
    """Bedrock's other models read what Claude thought, as text: a signature they would refuse is left out."""
    claude, nova = (speaker for speaker in SPEAKERS if speaker.name.startswith("converse"))
    wire = hear(nova, *begin(claude))
    thoughts = [
        block["reasoningContent"]
        for turn in json.loads(wire.body)["messages"]
        for block in turn["content"]
        if "reasoningContent" in block
    ]
    assert [{"reasoningText": {"text": claude.mark}}] == thoughts
    assert 2 == len(wire.warnings)


@pytest.mark.parametrize(
    ("name", "model", "of"),
    [
        ("anthropic", "claude-sonnet-4-5", lambda body: body.get("thinking")),
        ("converse-claude", "anthropic.claude-sonnet-4-5", lambda body: body.get("additionalModelRequestFields")),
    ],
    ids=["anthropic", "converse"],
)
def test_a_budget_to_think_waits_until_foreign_calls_are_answered(
    name: str, model: str, of: Callable[[dict[str, object]], object]
) -> None:
    """A step amid calls that Claude did not think about goes without its budget, with a warning; later ones have it."""
    host = replace(next(speaker for speaker in SPEAKERS if speaker.name == name), model=model)
    foreign, own = begin(SPEAKERS[0]), begin(host)
    amid = host.hears(*foreign, tools=TOOLS, reasoning=2000)
    assert of(json.loads(amid.body)) is None
    assert any("thinking budget was left out" in sentence for sentence in amid.warnings)
    for messages in ([*foreign, Message.assistant("Sunny."), Message.user("And tomorrow?")], own):
        assert of(json.loads(host.hears(*messages, tools=TOOLS, reasoning=2000).body)) is not None
