"""Routing strategies: pure functions from targets, prices, latencies and chance to an order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm import errors
from asyncllm._auth.keys import HeaderKey
from asyncllm._config.sections import RouteTarget, RoutingRules
from asyncllm._engine.forecast import estimate
from asyncllm._engine.health import Health
from asyncllm._engine.health_report import percentile
from asyncllm._engine.routing import ProviderEntry, Routing, Targeting
from asyncllm._engine.strategies import by_cost, by_latency, by_weight, fit, for_task
from asyncllm._engine.target import Target
from asyncllm._providers.provider import Provider
from asyncllm._schema.content import Audio, Document, Image, Json, Text, ToolCall, ToolResult
from asyncllm._schema.facts import ModelFacts
from asyncllm._schema.messages import Message
from asyncllm._schema.request import ASSUMED_OUTPUT_TOKENS, ProviderTool, Request, ResponseFormat, Tool
from asyncllm._transport.base import Timeouts


def provider(name: str) -> Provider:
    def never(model: str, stream: bool) -> Any:
        raise AssertionError(model, stream)

    return Provider(name=name, kind="openai", base_url="http://x", auth=HeaderKey(None), resolve=never)


A = provider("a")
ONE_OF_A, TWO_OF_A = (RouteTarget(model=model) for model in ("one", "two"))
ONE_OF_B = RouteTarget(provider="b", model="one")
ONE, TWO, THREE = (Target(A, model, Timeouts()) for model in ("one", "two", "three"))
ALL = (ONE, TWO, THREE)


def names(targets: Any) -> list[str]:
    return [target.model for target in targets]


def test_the_cheapest_for_this_request_is_first() -> None:
    """Input and output prices are weighed with the tokens; what has no known price comes last."""
    prices = {"one": (Decimal(1), Decimal(10)), "two": (Decimal(3), Decimal(4))}

    def price_of(target: Target) -> tuple[Decimal, Decimal] | None:
        return prices.get(target.model)

    assert ["two", "one", "three"] == names(by_cost((THREE, ONE, TWO), price_of, 100, 100))
    assert ["one", "two", "three"] == names(by_cost((THREE, ONE, TWO), price_of, 1000, 10))
    assert ["three", "one"] == names(by_cost((THREE, ONE), lambda target: None, 1, 1))


def test_the_fastest_is_first_and_the_unmeasured_before_it() -> None:
    """Known latencies sort; a target that nobody measured gets its chance first."""
    latencies = {"one": 2.0, "two": 0.5}
    assert ["three", "two", "one"] == names(by_latency(ALL, lambda target: latencies.get(target.model), lambda: 0.9))


def test_latency_routing_explores() -> None:
    """About one call in twenty asks another target than the fastest first."""
    latencies = {"one": 1.0, "two": 2.0, "three": 3.0}
    draw = random.Random(7).random
    firsts = Counter(by_latency(ALL, lambda target: latencies[target.model], draw)[0].model for _ in range(4000))
    assert 0.03 < (firsts["two"] + firsts["three"]) / 4000 < 0.07
    assert min(firsts["two"], firsts["three"]) > 50
    assert ["one"] == names(by_latency((ONE,), lambda target: 1.0, lambda: 0.0))


def test_weights_are_shares() -> None:
    """Over many calls each target is first as often as its weight says."""
    draw = random.Random(3).random
    firsts = Counter(by_weight(ALL, (6, 3, 1), draw)[0].model for _ in range(10_000))
    assert [0.6, 0.3, 0.1] == [round(firsts[model] / 10_000, 1) for model in ("one", "two", "three")]


def test_sticky_keys_are_shares_too_and_stay() -> None:
    """The same key gives the same order; keys as a whole follow the weights; a new weight moves only what must move."""

    def unused() -> float:
        raise AssertionError

    before = {f"user-{number}": by_weight(ALL, (5, 5, 1), unused, f"user-{number}") for number in range(3000)}
    assert all(by_weight(ALL, (5, 5, 1), unused, key) == order for key, order in before.items())
    shares = Counter(order[0].model for order in before.values())
    assert 0.40 < shares["one"] / 3000 < 0.51
    moved = [
        order[0].model
        for key, order in before.items()
        if by_weight(ALL, (5, 5, 3), unused, key)[0].model != order[0].model
    ]
    assert 0 < len(moved) < 700
    assert "three" not in moved


@given(st.lists(st.floats(0.01, 100), min_size=3, max_size=3), st.none() | st.text())
def test_every_target_stands_in_the_order_once(weights: list[float], key: str | None) -> None:
    """Whatever the weights, what is not first is the chain of fallbacks behind it."""
    assert {"one", "two", "three"} == set(names(by_weight(ALL, weights, random.Random(1).random, key)))


def request(*messages: Message, **changes: Any) -> Request:
    return Request(model="", messages=messages or (Message.user("Hi"),), **changes)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("analytical", "best"),
        ("code", "own"),
        ("creative", "mid"),
        ("speed", "small"),
        ("premium", "best"),
        ("simple_tasks", "small"),
    ],
)
def test_a_task_leads_to_its_tier(task: str, expected: str) -> None:
    """Tasks of the configuration come first, then tiers by name, then the built-in map from task to tier."""
    tiers = {"economy": [(None, "small")], "standard": [(None, "mid")], "premium": [(None, "best")]}
    assert [(None, expected)] == for_task(task, {"code": [(None, "own")]}, tiers)


def test_an_unknown_task_is_told() -> None:
    """The sentence lists what is configured, the built-in names of configured tiers included."""
    with pytest.raises(errors.BadRequestError, match=r"'poetry' \(configured: economy, legal, speed\)"):
        for_task("poetry", {"legal": [(None, "m")]}, {"economy": [(None, "m")]})


@pytest.mark.parametrize(
    ("lacking", "asked"),
    [
        ({"tools": False}, request(tools=(Tool("f"),))),
        ({"images": False}, request(Message.user("x", Image(url="http://x/y.png")))),
        ({"documents": False}, request(Message.user(Document(url="http://x/y.pdf")))),
        ({"audio": False}, request(Message.user(Audio(url="http://x/y.mp3")))),
        ({"images": False}, request(Message("tool", (ToolResult("c", content=(Image(url="http://x"),)),)))),
        ({"json_schema": False}, request(response_format=ResponseFormat(schema={"type": "object"}))),
        ({"context_window": 500}, request(Message.user("x" * 4000))),
    ],
)
def test_a_model_that_lacks_what_is_needed_is_left_out(lacking: dict[str, Any], asked: Request) -> None:
    """Tools, media, schemas and the window are hard requirements; what is not known is no reason."""
    facts = {
        "one": ModelFacts(**lacking),
        "two": ModelFacts(),
        "three": ModelFacts(context_window=100_000, tools=True, images=True),
    }
    assert ["two", "three"] == names(fit(ALL, asked, lambda target: facts[target.model]))
    with pytest.raises(errors.UnsupportedContentError, match="none of the 1 models"):
        fit((ONE,), asked, lambda target: facts[target.model])


def test_an_estimate_counts_all_that_a_model_reads() -> None:
    """Text by its length, media by their kind, tools by their schema."""
    call = ToolCall("c", "f", {"a": 1})
    result = ToolResult("c", content=(Text("y" * 40), Json({"a": 1}), Image(url="http://x")))
    whole = request(
        Message.user("x" * 400, Image(url="http://x"), Audio(url="http://x")),
        Message("assistant", (call,)),
        Message("tool", (result,)),
        tools=(Tool("f", "d" * 38, {}), ProviderTool({"type": "search"})),
        max_tokens=7,
    )
    tokens, output = estimate(whole)
    text = estimate(request(Message.user("x" * 400)))[0]
    without_tools = estimate(request(*whole.messages))[0]
    assert 4000 + text < without_tools < tokens < 4000 + 250
    assert (7, ASSUMED_OUTPUT_TOKENS) == (output, estimate(request())[1])


def routing(rules: RoutingRules, draw: Callable[[], float] = lambda: 0.5, health: Health | None = None) -> Routing:
    entries = {
        "a": ProviderEntry("a", ("one", "two"), Timeouts(), lambda: A),
        "b": ProviderEntry("b", ("one",), Timeouts(), lambda: provider("b")),
    }
    targeting = Targeting(entries, "a", None)

    def price_of(target: Target) -> tuple[Decimal, Decimal] | None:
        return {"one": (Decimal(2), Decimal(2)), "two": (Decimal(1), Decimal(1))}.get(target.model)

    return Routing(
        rules,
        targeting,
        health or Health(),
        price_of=price_of,
        facts_of=lambda target: ModelFacts(tools=target.model != "two"),
        draw=draw,
    )


def chosen(choice: Any) -> list[str]:
    return ["/".join(target.key) for target in choice.targets]


def test_a_strategy_orders_the_active_chain_or_its_own_targets() -> None:
    """Without targets of its own a strategy orders the active provider's chain; targets may name other providers."""
    assert ["a/two", "a/one"] == chosen(
        routing(RoutingRules(strategy="cost")).choose(request(), task=None, sticky_key=None)
    )
    rules = RoutingRules(strategy="cost", targets=(ONE_OF_B, TWO_OF_A))
    assert ["a/two", "b/one"] == chosen(routing(rules).choose(request(), task=None, sticky_key=None))


def test_latency_comes_from_health() -> None:
    """Streams are judged by their first content, answers in one piece by their whole latency."""
    health = Health()
    for model, whole, first in (("one", 5.0, 0.1), ("two", 1.0, 0.9)):
        state = health.of(Target(A, model, Timeouts()))
        state.latencies.append(whole)
        state.first_contents.append(first)
    router = routing(RoutingRules(strategy="latency"), health=health)
    assert ["a/two", "a/one"] == chosen(router.choose(request(), task=None, sticky_key=None))
    assert ["a/one", "a/two"] == chosen(router.choose(request(stream=True), task=None, sticky_key=None))


def test_load_balancing_names_its_variant() -> None:
    """What was chosen is told, so that an A/B comparison can be made of the attempts."""
    rules = RoutingRules(strategy="load_balance", targets=(ONE_OF_A, ONE_OF_B))
    picks = {routing(rules).choose(request(), task=None, sticky_key=f"u{number}").variant for number in range(50)}
    assert {"a/one", "b/one"} == picks


def test_capability_drops_what_is_not_fit() -> None:
    """The targets of a task are filtered by what the request needs."""
    rules = RoutingRules(strategy="capability", tiers={"economy": (TWO_OF_A, ONE_OF_B)})
    router = routing(rules)
    assert ["a/two", "b/one"] == chosen(router.choose(request(), task="speed", sticky_key=None))
    assert ["b/one"] == chosen(router.choose(request(tools=(Tool("f"),)), task="speed", sticky_key=None))


def test_what_a_call_names_outranks_the_strategy() -> None:
    """A provider, a model or a chain is taken as it is; a task cannot stand beside them, and needs the strategy."""
    router = routing(RoutingRules(strategy="cost"))
    assert [True, True, True, False] == [
        router.named("a", None, None, None),
        router.named(None, "m", None, None),
        router.named(None, None, [], None),
        router.named(None, None, None, None),
    ]
    with pytest.raises(errors.ConfigurationError, match="capability"):
        router.named(None, None, None, "code")
    tiers = RoutingRules(strategy="capability", tiers={"economy": (ONE_OF_A,)})
    with pytest.raises(errors.BadRequestError, match="either task"):
        routing(tiers).named(None, "m", None, "code")
    assert [True, False] == [routing(tiers).named(None, None, None, task) for task in (None, "speed")]


def test_percentiles_are_of_the_samples() -> None:
    """The value below which that share lies; none of none."""
    assert [None, 50, 95, 100] == [percentile([], 50), *[percentile(range(1, 101), share) for share in (50, 95, 100)]]


def test_the_memory_of_targets_is_bounded() -> None:
    """Model names that callers make up do not grow the health without end, and what is guarded is kept."""
    health = Health()
    off = Target(A, "off", Timeouts())
    health.of(off).failed(errors.ModelNotFoundError("x", status=404), "plain", health.now())
    for number in range(1500):
        health.of(Target(A, f"m{number}", Timeouts()))
    report = health.report(lambda key: (0, None))
    assert len(report) <= 1000
    assert "open" == next(one.state for one in report if one.model == "off")
