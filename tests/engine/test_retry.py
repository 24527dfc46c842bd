"""Whether a model is asked again and after which pause, decided without sleeping."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm import errors
from asyncllm._engine.health import RETRY_QUOTA, RetryQuota
from asyncllm._engine.target import RetryPolicy, pause

FIRST: dict[str, Any] = {
    "on_model": 1,
    "in_call": 1,
    "retried_once": False,
    "remaining": 600.0,
    "quota": 500,
    "draw": lambda: 0.999,
}


def decide(error: errors.AsyncLLMError, **changes: Any) -> float | None:
    return pause(error, RetryPolicy(), **{**FIRST, **changes})


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        (errors.BadRequestError, False),
        (errors.RequestTooLargeError, False),
        (errors.ContextWindowExceededError, False),
        (errors.AuthenticationError, False),
        (errors.PermissionDeniedError, False),
        (errors.ModelNotFoundError, False),
        (errors.BillingError, False),
        (errors.QuotaExhaustedError, False),
        (errors.RateLimitError, True),
        (errors.OverloadedError, True),
        (errors.ServerError, True),
        (errors.ProviderTimeoutError, True),
        (errors.ConnectError, True),
        (errors.ConnectionLostError, True),
        (errors.FirstTokenTimeoutError, False),
        (errors.IdleTimeoutError, False),
        (errors.ProtocolError, True),
        (errors.ResponseTooLargeError, False),
        (errors.ContentBlockedError, False),
        (errors.DeadlineExceededError, False),
        (errors.LimitTimeoutError, False),
        (errors.UnsupportedContentError, False),
        (errors.StructuredOutputError, False),
    ],
)
def test_which_errors_are_worth_another_attempt(kind: type[errors.AsyncLLMError], again: bool) -> None:
    """The table of errors says which failures are retried on the same model."""
    assert again is (decide(kind("x")) is not None)


@pytest.mark.parametrize(
    "kind", [errors.ProviderTimeoutError, errors.ConnectionLostError, errors.ProtocolError, errors.WriteTimeoutError]
)
def test_some_errors_are_retried_once(kind: type[errors.AsyncLLMError]) -> None:
    """What may have been worked on already is tried a second time and not a third."""
    assert decide(kind("x")) is not None
    assert decide(kind("x"), on_model=2, in_call=2, retried_once=True) is None


@pytest.mark.parametrize(
    ("kind", "on_model", "bound"),
    [
        (errors.ServerError, 1, 0.5),
        (errors.ServerError, 2, 1.0),
        (errors.RateLimitError, 1, 1.0),
        (errors.RateLimitError, 2, 2.0),
        (errors.ConnectError, 1, 0.25),
        (errors.ConnectError, 2, 0.5),
    ],
)
def test_the_bound_of_a_pause_doubles(kind: type[errors.AsyncLLMError], on_model: int, bound: float) -> None:
    """Half a second at first, a whole one when throttled, a quarter where there was no connection; then twice that."""
    assert bound * 0.999 == decide(kind("x"), on_model=on_model)
    assert 0.0 == decide(kind("x"), on_model=on_model, draw=lambda: 0.0)


def test_no_pause_is_longer_than_the_longest() -> None:
    """Doubling ends at eight seconds."""
    policy = RetryPolicy(max_attempts=100, max_attempts_per_call=100)
    assert 8 * 0.999 == pause(errors.ServerError("x"), policy, **{**FIRST, "on_model": 90})


@pytest.mark.parametrize(
    ("retry_after", "least", "most"), [(0.0, 0.0, 0.0), (0.02, 0.02, 0.022), (7.0, 7.0, 7.7), (60.0, 60.0, 66.0)]
)
def test_retry_after_is_never_shortened(retry_after: float, least: float, most: float) -> None:
    """What the provider asked for is waited in full, and at most a tenth longer."""
    error = errors.RateLimitError("x", retry_after=retry_after)
    assert least == decide(error, draw=lambda: 0.0)
    assert most > (decide(error) or 0) >= least or most == 0.0


def test_a_long_retry_after_is_not_waited_for() -> None:
    """More than a minute means the next model."""
    assert decide(errors.RateLimitError("x", retry_after=60.1)) is None


def test_a_pause_never_goes_past_the_deadline() -> None:
    """Where the call would be over before the pause, there is none."""
    assert decide(errors.ServerError("x"), remaining=0.49) is None
    assert decide(errors.RateLimitError("x", retry_after=5), remaining=5.0) is None


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (errors.ServerError("x", should_retry=False), False),
        (errors.BadRequestError("x", should_retry=True), True),
        (errors.ConnectError("x", certificate=True), False),
    ],
)
def test_the_providers_own_verdict_outranks_the_table(error: errors.AsyncLLMError, again: bool) -> None:
    """x-should-retry decides, whatever the error; a refused certificate stays refused."""
    assert again is (decide(error) is not None)


@pytest.mark.parametrize(("on_model", "in_call", "again"), [(2, 5, True), (3, 3, False), (1, 6, False)])
def test_attempts_are_bounded(on_model: int, in_call: int, again: bool) -> None:
    """Three on one model and six in one call."""
    assert again is (decide(errors.ServerError("x"), on_model=on_model, in_call=in_call) is not None)


def test_retries_end_when_the_quota_is_used_up() -> None:
    """A retry costs 5, one after a timeout 10; a success pays back, never above the capacity."""
    quota = RetryQuota()
    quota.take(490)
    assert decide(errors.ProviderTimeoutError("x"), quota=quota.left) is not None
    quota.take(errors.ProviderTimeoutError.advice.retry_cost)
    assert 0 == quota.left
    assert decide(errors.ServerError("x"), quota=quota.left) is None
    quota.give(5)
    assert decide(errors.ServerError("x"), quota=quota.left) is not None
    assert decide(errors.ProviderTimeoutError("x"), quota=quota.left) is None
    quota.give(10_000)
    assert RETRY_QUOTA == quota.left


@given(
    st.floats(0, 0.999999), st.integers(1, 5), st.floats(0, 100), st.none() | st.floats(0, 1000), st.integers(0, 500)
)
def test_a_pause_keeps_all_its_bounds(
    drawn: float, on_model: int, remaining: float, retry_after: float | None, quota: int
) -> None:
    """Whatever the state, a pause is neither negative nor past the deadline nor shorter than what was asked for."""
    error = errors.OverloadedError("x", retry_after=retry_after)
    wait = decide(error, draw=lambda: drawn, on_model=on_model, remaining=remaining, quota=quota)
    if wait is not None:
        assert 0 <= wait < remaining
        assert wait >= (retry_after or 0)
        assert on_model < 3 and quota >= 5
