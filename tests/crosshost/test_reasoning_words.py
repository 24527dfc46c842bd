"""One vocabulary of reasoning: every word and every budget, on every known model and every wire that serves it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from itertools import count
from typing import Any

import pytest
from pydantic import SecretStr

from asyncllm._models.lookup import FactBook
from asyncllm._protocols.codec import Context
from asyncllm._protocols.reasoning import WORDS
from asyncllm._protocols.wire_json import WireJSON
from asyncllm._providers.provider import Provider
from asyncllm._providers.spec import build_host
from asyncllm._schema.content import Origin
from asyncllm._schema.facts import ReasoningRules
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request

FACTS = FactBook()
FAMILIES = json.loads((files("asyncllm._models") / "data" / "families.json").read_text("utf-8"))["families"]
OPTIONS: dict[str, dict[str, Any]] = {
    "vertex": {"access_token": SecretStr("t"), "project_id": "p", "location": "global"},
    "bedrock": {"api_key": SecretStr("k"), "region_name": "us-east-1"},
    "azure": {"api_key": SecretStr("k"), "base_url": "https://x.openai.azure.com/openai/v1"},
}
AMOUNTS: tuple[str | int, ...] = (*WORDS, 0, 1, 1024, 5000, 1_000_000)


def hosts() -> Iterator[tuple[str, str]]:
    """Every kind with every model that has a row for it, as a name that fits the row."""
    seen = set()
    for group in FAMILIES:
        for row in group["models"]:
            if row.startswith("*") or not row:
                continue
            name = f"{row}9-x" if row.endswith((".", "-")) else row
            for kind in group["kinds"].split():
                if kind == "bedrock" and name.startswith("claude"):
                    name = f"anthropic.{name}"
                if (kind, name) not in seen:
                    seen.add((kind, name))
                    yield kind, name


def provider(kind: str) -> Provider:
    return build_host(kind, kind, OPTIONS.get(kind, {"api_key": SecretStr("k")}), {})


PROVIDERS = {kind: provider(kind) for kind in {kind for kind, _ in hosts()} if kind not in ("ollama", "lmstudio")}


def asked(kind: str, model: str, amount: str | int, **fields: Any) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """The wire, the body and the warnings of a request."""
    host, ids = PROVIDERS[kind], count(1)
    request = Request(model=model, messages=(Message.user("Hi"),), reasoning=amount, **fields)
    protocol = host.resolve("chat", model, request).protocol
    context = Context(
        origin=Origin(kind, protocol.name),
        provider=kind,
        model=model,
        json=WireJSON(),
        new_id=lambda prefix: f"{prefix}{next(ids)}",
        now=lambda: 0.0,
        facts=FACTS.find(kind, model),
    )
    wire = protocol.encode(request, context)
    return protocol.name, json.loads(wire.body), (*map(str, wire.left_out), *wire.warnings)


def said(protocol: str, body: dict[str, Any], rules: ReasoningRules) -> tuple[str | int | None, bool]:
    """What a body asks of the model, read off the wire's own fields, and whether the model takes that way of asking."""
    if protocol == "converse":
        extra = body.get("additionalModelRequestFields", {})
        if "reasoningConfig" in extra:
            return extra["reasoningConfig"].get("maxReasoningEffort", "none"), True
        word = extra.get("reasoning_effort", extra.get("reasoning_config", extra.get("reasoning", {}).get("effort")))
        if word is not None or "thinking" not in extra:
            return word, True
        body = {**extra, "max_tokens": body.get("inferenceConfig", {}).get("maxTokens", 10**9)}
    thinking = body.get("thinking")
    if protocol in ("anthropic", "converse"):
        if thinking is None:
            return None, True
        kind = thinking["type"]
        if kind in ("disabled", "between_tools"):
            return "none", kind in rules.modes
        if kind == "enabled":
            return thinking["budget_tokens"], "enabled" in rules.modes and thinking["budget_tokens"] < body[
                "max_tokens"
            ]
        return body["output_config"]["effort"], "adaptive" in rules.modes
    if protocol == "gemini":
        config = body.get("generationConfig", {}).get("thinkingConfig", {})
        if config.get("thinkingBudget") == 0:
            return "none", True
        level = config.get("thinkingLevel")
        return (config.get("thinkingBudget") if level is None else level.lower()), True
    if "reasoning" in body:
        return body["reasoning"].get("effort", body["reasoning"].get("max_tokens")), True
    if thinking is not None:
        return "none" if thinking["type"] == "disabled" else body.get("reasoning_effort", "on"), True
    word = body.get("reasoning_effort")
    if protocol == "openai_chat" and rules.most_on_chat is not None and word not in (None, "none"):
        return word, WORDS.index(word) <= WORDS.index(rules.most_on_chat)
    return word, True


def accepted(value: str | int | None, rules: ReasoningRules) -> bool:
    """Whether a model takes a value, by its facts."""
    if isinstance(value, int):
        smallest, largest = rules.budgets or (1, 0)
        return smallest <= value and (largest is None or value <= largest)
    if value == "none":
        return rules.optional
    return value in (None, *rules.efforts) or (value == "on" and "on" in rules.modes)


@pytest.mark.parametrize(("kind", "model"), [pair for pair in hosts() if pair[0] in PROVIDERS])
def test_every_amount_is_taken_by_every_model(kind: str, model: str) -> None:
    """The body asks for something that the model's facts accept, and a change is told by a warning."""
    rules = FACTS.find(kind, model).rules
    for amount in AMOUNTS:
        protocol, body, warnings = asked(kind, model, amount)
        if rules is None or protocol == "invoke":
            continue
        value, allowed = said(protocol, body, rules)
        assert allowed and accepted(value, rules), (protocol, amount, value)
        if not rules.reasons:
            assert value is None
            assert bool(warnings) == (amount not in ("none", 0))
        elif value != ("none" if amount == 0 else amount):
            assert warnings, (protocol, amount, value)
        elif rules.efforts or rules.budgets is not None:
            assert value is not None


@pytest.mark.parametrize("amount", AMOUNTS)
def test_one_amount_works_for_a_whole_chain(amount: str | int) -> None:
    """A chain from the newest models to those that only know budgets, or do not reason, takes every amount."""
    chain = [
        ("anthropic", "claude-opus-5-5"),
        ("anthropic", "claude-haiku-4-5"),
        ("anthropic", "claude-3-haiku-20240307"),
        ("openai", "gpt-6-sol"),
        ("openai", "o3"),
        ("openai", "gpt-4o"),
        ("gemini", "gemini-3.8-flash"),
        ("gemini", "gemini-2.5-flash"),
        ("gemini", "gemini-2.0-flash"),
        ("bedrock", "us.amazon.nova-2-lite-v1:0"),
        ("deepseek", "deepseek-v4-pro"),
        ("groq", "openai/gpt-oss-120b"),
        ("openrouter", "anthropic/claude-opus-4.5"),
    ]
    assert [pair for pair in chain if not asked(*pair, amount)[1]] == []


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("bedrock", "us.amazon.nova-pro-v1:0"),
        ("bedrock", "meta.llama3-3-70b-instruct-v1:0"),
        ("bedrock", "mistral.mixtral-8x7b-instruct-v0:1"),
        ("groq", "llama-3.3-70b-versatile"),
        ("groq", "meta-llama/llama-4-scout-17b-16e-instruct"),
        ("together", "Qwen/Qwen2.5-72B-Instruct-Turbo"),
        ("cerebras", "llama3.1-8b"),
        ("mistral", "codestral-latest"),
    ],
)
@pytest.mark.parametrize("amount", [word for word in WORDS if word != "none"])
def test_models_that_do_not_reason_are_not_asked_to(kind: str, model: str, amount: str) -> None:
    """Their hosts refuse the field, so it is left out and the reply says so."""
    _, body, warnings = asked(kind, model, amount)
    assert (f"reasoning was left out: {model} does not reason",) == warnings
    assert set() == set(body) & {"reasoning_effort", "reasoning", "additionalModelRequestFields"}


@pytest.mark.parametrize("model", ["nvidia/llama-3.1-nemotron-70b-instruct-hf", "deepseek-ai/deepseek-v3.1"])
def test_models_with_a_similar_name_are_asked(model: str) -> None:
    """Of them nothing is known, so the host has the last word."""
    assert "reasoning_effort" in asked("together", model, "high")[1]
