"""Which targets a call tries, and what an error allows after it."""

from __future__ import annotations

from typing import Any

import pytest

from asyncllm import errors
from asyncllm._auth.keys import HeaderKey
from asyncllm._engine.routing import ProviderEntry, Targeting
from asyncllm._engine.target import Target, following, order
from asyncllm._providers.provider import Provider
from asyncllm._transport.base import Timeouts


def provider(name: str) -> Provider:
    def never(model: str, stream: bool) -> Any:
        raise AssertionError(model, stream)

    return Provider(name=name, kind="openai", base_url="http://x", auth=HeaderKey(None), resolve=never)


A, B = provider("a"), provider("b")
CHAIN = (Target(A, "one", Timeouts()), Target(A, "two", Timeouts()), Target(B, "one", Timeouts()))


def test_order_keeps_the_first_of_each_target() -> None:
    """Doubles fall away, and the order stays."""
    assert CHAIN == order([*CHAIN, CHAIN[1], CHAIN[0]])


@pytest.mark.parametrize(
    ("kind", "position", "expected"),
    [
        (errors.RateLimitError, 0, 1),
        (errors.RateLimitError, 1, 2),
        (errors.RateLimitError, 2, None),
        (errors.BadRequestError, 0, None),
        (errors.AuthenticationError, 0, 2),
        (errors.BillingError, 0, 2),
        (errors.BillingError, 2, None),
        (errors.ContextWindowExceededError, 0, None),
        (errors.ContentBlockedError, 0, None),
        (errors.ModelNotFoundError, 0, 1),
        (errors.UnsupportedContentError, 0, 1),
        (errors.ConnectError, 0, 1),
        (errors.StreamTruncatedError, 0, 1),
        (errors.StreamInterruptedError, 0, None),
        (errors.DeadlineExceededError, 0, None),
    ],
)
def test_an_error_allows_what_its_advice_says(
    kind: type[errors.AsyncLLMError], position: int, expected: int | None
) -> None:
    """Within the provider the advice on fallback counts, beyond it the advice on providers."""
    assert expected == following(kind("x"), CHAIN, position)


def targeting(active_model: str | None = None) -> Targeting:
    entries = {
        "a": ProviderEntry("a", ("one", "two"), Timeouts(), lambda: A),
        "b": ProviderEntry("b", (), Timeouts(total=5), lambda: B),
    }
    return Targeting(entries, "a", active_model)


@pytest.mark.parametrize(
    ("active_model", "call", "expected"),
    [
        (None, (None, None, None), ["a/one", "a/two"]),
        ("two", (None, None, None), ["a/two", "a/one"]),
        ("two", ("a", None, None), ["a/one", "a/two"]),
        (None, (None, "x", None), ["a/x", "a/one", "a/two"]),
        (None, (None, "two", None), ["a/two", "a/one"]),
        (None, ("b", "x", None), ["b/x"]),
        (None, (None, None, []), ["a/one"]),
        (None, (None, None, ["y", ("b", "z")]), ["a/one", "a/y", "b/z"]),
    ],
)
def test_a_chain_is_the_chosen_model_and_its_fallbacks(
    active_model: str | None, call: tuple[Any, Any, Any], expected: list[str]
) -> None:
    """The active provider, its models in order, and a chain of the call's own."""
    chain = targeting(active_model).resolve(*call)
    assert expected == [f"{target.provider.name}/{target.model}" for target in chain]


def test_the_active_model_serves_a_provider_that_lists_none() -> None:
    """A provider named by the call falls back to the active model only if it is the active one and lists no models."""
    entries = {"b": ProviderEntry("b", (), Timeouts(), lambda: B)}
    assert ["m"] == [target.model for target in Targeting(entries, "b", "m").resolve("b", None, None)]


def test_a_chain_is_made_once() -> None:
    """The same provider and model give the same chain again."""
    chains = targeting()
    assert chains.resolve(None, "x", None) is chains.resolve(None, "x", None)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("c", None, None), "no provider 'c' is configured"),
        (("b", None, None), "no model to ask"),
        ((None, None, [("b",)]), "fallback must be"),
    ],
)
def test_a_chain_that_cannot_be_is_refused(call: tuple[Any, Any, Any], words: str) -> None:
    """An unknown provider, a missing model and a malformed chain get a sentence."""
    with pytest.raises(errors.ConfigurationError) as caught:
        targeting().resolve(*call)
    assert words in str(caught.value)
