"""The circuit of one target, on a clock that only the test moves."""

from __future__ import annotations

from typing import Any

import pytest

from asyncllm import errors
from asyncllm._auth.keys import HeaderKey
from asyncllm._engine.health import Health, ProviderState, TargetState
from asyncllm._engine.target import Target
from asyncllm._providers.provider import Provider
from asyncllm._schema.response import RateLimits
from asyncllm._transport.base import Timeouts

DOWN = errors.ServerError("down", status=500)


def provider() -> Provider:
    def never(*asked: Any) -> Any:
        raise AssertionError(asked)

    return Provider(name="a", kind="openai", base_url="http://x", auth=HeaderKey(None), resolve=never)


def state() -> TargetState:
    return TargetState(ProviderState())


def broken(at: float = 0.0) -> TargetState:
    target = state()
    for _ in range(10):
        target.failed(DOWN, "plain", at)
    return target


def test_a_new_target_is_closed() -> None:
    """Nothing is known, so attempts pass."""
    target = state()
    assert ("plain", ("closed", None), None) == (target.admit(0), target.describe(0), target.failure_rate)


def test_ten_failures_in_a_row_open_the_circuit() -> None:
    """The tenth opens it for thirty seconds; a success in between begins the count anew."""
    target = state()
    for _ in range(9):
        target.failed(DOWN, "plain", 0)
    target.succeeded("plain", 0.1)
    for _ in range(9):
        target.failed(DOWN, "plain", 0)
    assert "plain" == target.admit(0)
    target.failed(DOWN, "plain", 0)
    assert (None, ("open", "failures"), 30.0) == (target.admit(29.9), target.describe(29.9), target.wait(0))


def test_an_outage_of_thousands_of_failures() -> None:
    """The pause of a doubted target doubles up to thirty seconds, however many failures follow each other."""
    target = state()
    for _ in range(3000):
        target.failed(DOWN, "plain", 0)
    assert ("open", "failures") == target.describe(1)
    assert 3000 == target.failures


def test_half_of_the_last_hundred_opens_it_too() -> None:
    """Fifty failures among the last hundred, never ten in a row; fewer than a hundred do not count as a share."""
    target = state()
    for number in range(100):
        assert "plain" == target.admit(0), number
        if number % 2:
            target.failed(DOWN, "plain", 0)
        else:
            target.succeeded("plain", 0.1)
    assert ("open", "failures") == target.describe(1)
    assert 0.5 == target.failure_rate


def test_the_window_forgets() -> None:
    """Old failures leave the last hundred."""
    target = state()
    for _ in range(5):
        target.failed(DOWN, "plain", 0)
    for _ in range(95):
        target.succeeded("plain", 0.1)
    assert 0.05 == target.failure_rate
    for _ in range(100):
        target.succeeded("plain", 0.1)
    assert 0.0 == target.failure_rate


def test_half_open_lets_a_single_probe_pass() -> None:
    """After its time one attempt goes; the others wait for what becomes of it."""
    target = broken()
    assert ("half_open", "failures") == target.describe(30)
    assert ["probe", None] == [target.admit(30), target.admit(30)]
    target.succeeded("probe", 0.1)
    assert ("plain", ("closed", None), 0) == (target.admit(30), target.describe(30), target.consecutive)


def test_a_probe_that_fails_opens_it_for_longer() -> None:
    """Thirty seconds times the openings, at most five minutes."""
    target, now = broken(), 0.0
    waits = []
    for _ in range(12):
        waits.append(target.wait(now))
        now += target.wait(now)
        assert "probe" == target.admit(now)
        target.failed(DOWN, "probe", now)
    assert [30.0 * trips for trips in range(1, 11)] + [300.0, 300.0] == waits


def test_openings_are_forgiven_after_ten_successes() -> None:
    """A target that recovered well begins again with thirty seconds."""
    target = broken()
    target.admit(30)
    target.succeeded("probe", 0.1)
    for _ in range(10):
        target.succeeded("plain", 0.1)
    for _ in range(10):
        target.failed(DOWN, "plain", 100)
    assert 30.0 == target.wait(100)


@pytest.mark.parametrize("outcome", ["released", "bad request", "content"])
def test_a_probe_that_tells_nothing_bad_lets_the_next_one_go(outcome: str) -> None:
    """A cancelled probe is free again; an answer of any kind, or a stream's first content, closes the circuit."""
    target = broken()
    target.admit(30)
    if outcome == "released":
        target.released("probe")
        assert "probe" == target.admit(30)
    elif outcome == "bad request":
        target.failed(errors.BadRequestError("x", status=400), "probe", 30)
        assert "plain" == target.admit(30)
    else:
        target.revive()
        assert "plain" == target.admit(30)


def test_stragglers_do_not_prolong_an_open_circuit() -> None:
    """Attempts that were under way when it opened change nothing when they fail."""
    target = broken()
    for _ in range(50):
        target.failed(DOWN, "plain", 20)
    assert 10.0 == target.wait(20)


def test_as_a_last_resort_one_attempt_a_second_passes() -> None:
    """Where nothing else is left, an open circuit lets one attempt a second through, and its success closes it."""
    target = broken()
    seen = [target.admit(at, last_resort=True) for at in (1.0, 1.5, 1.99, 2.0, 2.5)]
    assert ["pass", None, None, "pass", None] == seen
    assert 0.5 == target.next_pass(2.5)
    target.failed(DOWN, "pass", 2.6)
    assert 27.0 == target.wait(3.0)
    target.admit(3.1, last_resort=True)
    target.succeeded("pass", 0.1)
    assert "plain" == target.admit(3.2)


@pytest.mark.parametrize("kind", [errors.RateLimitError, errors.OverloadedError])
def test_a_cooldown_lasts_as_long_as_was_asked(kind: type[errors.AsyncLLMError]) -> None:
    """Retry-After keeps attempts away, probes too, and the longest wish counts; then it is closed without a probe."""
    target = state()
    target.failed(kind("x", status=429, retry_after=7), "plain", 0)
    target.failed(kind("x", status=429, retry_after=2), "plain", 1)
    assert (None, ("open", "cooldown"), 1.0) == (
        target.admit(6, last_resort=True),
        target.describe(6),
        target.cooling(6),
    )
    assert ("plain", ("closed", None)) == (target.admit(7), target.describe(7))


def test_a_rate_limit_is_no_failure_of_the_target() -> None:
    """Throttling counts neither as a failure nor towards opening."""
    target = state()
    for _ in range(20):
        target.failed(errors.RateLimitError("x", status=429), "plain", 0)
    assert ("plain", 20, 0) == (target.admit(0), target.attempts, target.failures)


@pytest.mark.parametrize("kind", [errors.ModelNotFoundError, errors.PermissionDeniedError])
def test_a_model_that_is_not_there_is_off_for_ten_minutes(kind: type[errors.AsyncLLMError]) -> None:
    """404 and 403 switch the model off, not its provider."""
    target = state()
    target.failed(kind("x", status=404), "plain", 0)
    assert (None, ("open", "model")) == (target.admit(599), target.describe(599))
    assert ("probe", "plain") == (target.admit(600), TargetState(target.provider).admit(0))


def test_a_used_up_quota_cools_until_its_reset() -> None:
    """The reset comes from the error or from the rate-limit headers, else an hour is waited."""
    known = RateLimits(requests_remaining=0, requests_reset=90, tokens_remaining=5, tokens_reset=3000)
    for error, seconds in (
        (errors.QuotaExhaustedError("x", retry_after=120), 120.0),
        (errors.QuotaExhaustedError("x", rate_limits=known), 90.0),
        (errors.QuotaExhaustedError("x"), 3600.0),
    ):
        target = state()
        target.failed(error, "plain", 0)
        assert (seconds, "quota") == (target.wait(0), target.describe(0)[1] if error.retry_after is None else "quota")


def test_an_account_without_money_is_off_with_all_its_models() -> None:
    """One probe after a minute, then after twice as long each time, at most ten minutes."""
    provider = ProviderState()
    first, second = TargetState(provider), TargetState(provider)
    now, waits = 0.0, []
    first.failed(errors.BillingError("x", status=402), "plain", now)
    first.failed(errors.BillingError("x", status=402), "plain", now)
    for _ in range(6):
        assert second.admit(now) is None
        waits.append(second.wait(now))
        now += second.wait(now)
        assert ["probe", None] == [second.admit(now), first.admit(now)]
        second.failed(errors.BillingError("x", status=402), "probe", now)
    assert [60.0, 120.0, 240.0, 480.0, 600.0, 600.0] == waits
    assert ("open", "account") == first.describe(now)
    now += first.wait(now)
    first.admit(now)
    first.succeeded("probe", 0.1)
    assert ["plain", "plain"] == [first.admit(now), second.admit(now)]


def test_the_longest_reason_counts() -> None:
    """An open circuit within a switched-off model waits for the model."""
    target = broken()
    target.failed(errors.ModelNotFoundError("x", status=404), "plain", 0)
    assert (600.0, ("open", "model")) == (target.wait(0), target.describe(0))


def test_forgetting_a_probe_frees_it() -> None:
    """A probe that is lost with its event loop does not keep the target closed off."""
    target = broken()
    target.admit(30)
    target.forget_probe()
    assert "probe" == target.admit(30)


def test_clearing_lets_attempts_pass() -> None:
    """After clear everything passes, and the counts are still there."""
    target = broken()
    target.failed(errors.RateLimitError("x", retry_after=50), "plain", 0)
    target.clear()
    assert ("plain", 10) == (target.admit(0), target.failures)


def test_no_pause_lasts_longer_than_ten_minutes_without_a_probe() -> None:
    """A provider that asks for a day is probed after ten minutes, by one attempt at a time."""
    target = state()
    target.failed(errors.RateLimitError("x", status=429, retry_after=86_400), "plain", 0)
    assert (None, ("open", "cooldown")) == (target.admit(599), target.describe(599))
    assert ("probe", None) == (target.admit(600), target.admit(600))
    target.succeeded("probe", 0.1)
    assert "plain" == target.admit(601)


def test_a_quota_is_probed_every_hour() -> None:
    """A quota that comes back tomorrow is asked for after an hour, and after another one."""
    target = state()
    used_up = errors.QuotaExhaustedError("x", status=429, retry_after=86_400)
    target.failed(used_up, "plain", 0)
    assert (None, "probe") == (target.admit(3599), target.admit(3600))
    target.failed(used_up, "probe", 3600)
    assert (None, "probe") == (target.admit(7199), target.admit(7200))


@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_a_pause_of_nothing_is_none(seconds: float) -> None:
    """Retry-After of 0 or in the past keeps nobody away."""
    target = state()
    target.failed(errors.RateLimitError("x", status=429, retry_after=seconds), "plain", 0)
    assert "plain" == target.admit(0)


def test_what_a_call_brought_itself_switches_nothing_off() -> None:
    """A refusal of a call with headers of its own is no evidence; a failing server is one all the same."""
    target = state()
    target.failed(errors.ModelNotFoundError("x", status=404), "plain", 0, own="request")
    assert "plain" == target.admit(0)
    throttled = errors.RateLimitError("x", status=429, retry_after=30.0)
    target.failed(throttled, "plain", 0, own="credential")
    assert "plain" == target.admit(0)
    target.failed(throttled, "plain", 0, own="request")
    assert target.admit(0) is None
    target.failed(errors.ModelNotFoundError("x", status=404), "plain", 60)
    assert target.admit(60) is None


def test_the_memory_of_targets_is_bounded() -> None:
    """Names of models come from callers: those that are off are forgotten too, the oldest first."""
    health, host = Health(), provider()
    for number in range(3000):
        target = Target(host, f"m{number}", Timeouts())
        health.of(target).failed(errors.ModelNotFoundError("x", status=404), "plain", 0)
    assert len(health.report(lambda key: (0, None))) <= 1000
