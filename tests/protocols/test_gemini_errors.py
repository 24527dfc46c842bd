"""Google's errors and the exceptions they become."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncllm import errors
from asyncllm._protocols.gemini import Gemini
from recordings import body_of, context, headers_of, recorded

RPC = "type.googleapis.com/google.rpc."


def error_for(status: int, value: Any, headers: dict[str, str] | None = None) -> errors.AsyncLLMError:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Gemini().decode_error(status, headers or {}, body, context("gemini", "gemini", "gemini-3.8-flash"))


def google(code: int, word: str, message: str = "no", *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": word, "details": list(details)}}


def info(reason: str, **metadata: str) -> dict[str, Any]:
    return {"@type": RPC + "ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": metadata}


def quota(quota_id: Any) -> dict[str, Any]:
    return {"@type": RPC + "QuotaFailure", "violations": [{"quotaId": quota_id}, 5]}


WAIT = {"@type": RPC + "RetryInfo", "retryDelay": "14s"}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, google(400, "INVALID_ARGUMENT"), errors.BadRequestError),
        (400, google(400, "INVALID_ARGUMENT", "no", info("API_KEY_INVALID")), errors.AuthenticationError),
        (400, google(400, "INVALID_ARGUMENT", "API key not valid."), errors.AuthenticationError),
        (400, google(400, "INVALID_ARGUMENT", "API key expired."), errors.AuthenticationError),
        (
            400,
            google(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum"),
            errors.ContextWindowExceededError,
        ),
        (
            400,
            google(400, "INVALID_ARGUMENT", "exceeds the maximum number of tokens allowed (5)"),
            errors.ContextWindowExceededError,
        ),
        (
            400,
            google(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
            errors.RequestTooLargeError,
        ),
        (400, google(400, "FAILED_PRECONDITION", "enable billing on your project"), errors.BillingError),
        (400, google(400, "INVALID_ARGUMENT", "billing is a word"), errors.BadRequestError),
        (400, google(400, "FAILED_PRECONDITION", "User location is not supported"), errors.PermissionDeniedError),
        (400, google(400, "FAILED_PRECONDITION"), errors.BadRequestError),
        (401, google(401, "UNAUTHENTICATED", "no", info("ACCESS_TOKEN_EXPIRED")), errors.AuthenticationError),
        (403, google(403, "PERMISSION_DENIED"), errors.PermissionDeniedError),
        (403, google(403, "PERMISSION_DENIED", "Your API key was reported as leaked."), errors.AuthenticationError),
        (403, google(403, "PERMISSION_DENIED", "no", info("SERVICE_DISABLED")), errors.PermissionDeniedError),
        (403, google(403, "PERMISSION_DENIED", "no", info("BILLING_DISABLED")), errors.BillingError),
        (404, google(404, "NOT_FOUND"), errors.NotFoundError),
        (413, b"<html>too large</html>", errors.RequestTooLargeError),
        (429, google(429, "RESOURCE_EXHAUSTED", "check your plan and billing"), errors.RateLimitError),
        (429, google(429, "RESOURCE_EXHAUSTED", "no", quota("RequestsPerMinute"), WAIT), errors.RateLimitError),
        (
            429,
            google(429, "RESOURCE_EXHAUSTED", "no", quota("RequestsPerDayPerProject"), WAIT),
            errors.QuotaExhaustedError,
        ),
        (
            429,
            google(429, "RESOURCE_EXHAUSTED", "no", info("RATE_LIMIT_EXCEEDED", quota_limit="RequestsPerDay")),
            errors.QuotaExhaustedError,
        ),
        (499, google(499, "CANCELLED"), errors.ProviderTimeoutError),
        (500, google(500, "INTERNAL"), errors.ServerError),
        (503, google(503, "UNAVAILABLE", "The model is overloaded."), errors.OverloadedError),
        (504, google(504, "DEADLINE_EXCEEDED"), errors.ProviderTimeoutError),
        (503, b"", errors.OverloadedError),
        (418, b"{}", errors.BadRequestError),
        (500, [google(503, "UNAVAILABLE")], errors.OverloadedError),
        (429, {"code": 429, "message": "flat", "status": "RESOURCE_EXHAUSTED"}, errors.RateLimitError),
        (400, {"error": "a bare sentence"}, errors.BadRequestError),
        (400, [], errors.BadRequestError),
    ],
)
def test_each_error_has_its_exception(status: int, body: Any, kind: type[errors.AsyncLLMError]) -> None:
    """Google's reasons and words decide before the status, text only where they are vague."""
    assert kind is type(error_for(status, body))


def test_every_fact_of_an_error_is_kept() -> None:
    """The message, the code, the wait and the request's id are on the exception."""
    request = {"@type": RPC + "RequestInfo", "requestId": "req-1"}
    error = error_for(429, google(429, "RESOURCE_EXHAUSTED", " slow down\n", WAIT, request))

    assert ("slow down", "RESOURCE_EXHAUSTED", 14.0, "req-1", 429) == (
        error.message,
        error.code,
        error.retry_after,
        error.request_id,
        error.status,
    )
    assert ("gemini", "gemini-3.8-flash") == (error.provider, error.model)


def test_the_most_telling_code_is_kept() -> None:
    """The reason of the ErrorInfo comes before the status word, a daily quota before both."""
    assert "API_KEY_INVALID" == error_for(400, google(400, "INVALID_ARGUMENT", "x", info("API_KEY_INVALID"))).code
    assert "QUOTA_PER_DAY" == error_for(429, google(429, "RESOURCE_EXHAUSTED", "x", quota("PerDay"))).code


def test_a_header_says_how_long_to_wait_where_the_body_does_not() -> None:
    """Retry-After is used when there is no RetryInfo."""
    assert 3.0 == error_for(503, google(503, "UNAVAILABLE"), {"retry-after": "3"}).retry_after


def test_the_beginning_of_a_page_is_the_message() -> None:
    """A body that is no JSON is quoted."""
    assert "<html>Bad gateway</html>" == error_for(502, b"<html>Bad\n gateway</html>").message
    assert "status 502" in error_for(502, b"").message


def test_every_recorded_error_is_classified() -> None:
    """Every refused request ever recorded, streams with a plain JSON body included, is what its status says."""
    kinds: Counter[str] = Counter()
    plain = 0
    for exchange in recorded("gemini", "vertex-gemini", kind="generate"):
        if exchange["status"] >= 400:
            error = error_for(exchange["status"], body_of(exchange), headers_of(exchange))
            kinds[type(error).__name__] += 1
            plain += headers_of(exchange)["content-type"] == "text/event-stream"
            assert error.code, exchange["id"]
            assert error.message, exchange["id"]

    assert {
        "BadRequestError": 7,
        "ModelNotFoundError": 9,
        "PermissionDeniedError": 3,
        "RateLimitError": 3,
    } == kinds
    assert 5 == plain


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([RPC + "QuotaFailure", "14s"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "error code message status details @type reason metadata violations quotaId retryDelay".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(400, 599), JSON)
def test_no_error_body_raises(status: int, value: Any) -> None:
    """Whatever an error body holds, an exception to raise is returned."""
    assert isinstance(error_for(status, value), errors.AsyncLLMError)
    assert isinstance(error_for(status, {"error": value}), errors.AsyncLLMError)
