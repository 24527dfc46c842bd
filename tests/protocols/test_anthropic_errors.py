"""From failed answers to the exceptions that say what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm import errors
from asyncllm._protocols.anthropic import AnthropicDialect, AnthropicMessages
from recordings import body_of, context, headers_of, recorded


def failed(
    status: int, body: Any, headers: dict[str, str] | None = None, dialect: AnthropicDialect | None = None
) -> errors.AsyncLLMError:
    """The exception for a failed answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    protocol = AnthropicMessages(dialect or AnthropicDialect())
    return protocol.decode_error(status, headers or {}, data, context("anthropic", "anthropic", "claude-x"))


def error(kind: str, text: str = "m", code: str | None = None) -> dict[str, Any]:
    """An error body as the API writes it."""
    details = {"details": {"error_code": code}} if code else {}
    return {"type": "error", "error": {"type": kind, "message": text, **details}, "request_id": "req_9"}


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "invalid_request_error", errors.BadRequestError),
        (401, "authentication_error", errors.AuthenticationError),
        (402, "billing_error", errors.BillingError),
        (403, "permission_error", errors.PermissionDeniedError),
        (404, "not_found_error", errors.NotFoundError),
        (409, "conflict_error", errors.ServerError),
        (413, "request_too_large", errors.RequestTooLargeError),
        (413, "invalid_request_error", errors.RequestTooLargeError),
        (429, "rate_limit_error", errors.RateLimitError),
        (500, "api_error", errors.ServerError),
        (503, "api_error", errors.OverloadedError),
        (504, "timeout_error", errors.ProviderTimeoutError),
        (529, "overloaded_error", errors.OverloadedError),
        (408, "new_error", errors.ProviderTimeoutError),
        (418, "new_error", errors.BadRequestError),
        (599, "new_error", errors.ServerError),
    ],
)
def test_types_and_statuses(status: int, kind: str, expected: type[errors.AsyncLLMError]) -> None:
    """The error's type decides, and the status where the type says too little."""
    found = failed(status, error(kind))
    assert (expected, status, kind, "req_9", "m") == (
        type(found),
        found.status,
        found.code,
        found.request_id,
        found.message,
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("enforced_spend_limit_reached", errors.BillingError),
        ("contract_spend_limit_reached", errors.BillingError),
        ("credit_balance_exhausted", errors.BillingError),
        ("organization_on_hold", errors.BillingError),
        ("ramp_limit_exceeded", errors.RateLimitError),
        ("unheard_of", errors.RateLimitError),
    ],
)
def test_the_machine_code_comes_first(code: str, expected: type[errors.AsyncLLMError]) -> None:
    """A spending cap is no rate limit, although its type and status say so."""
    found = failed(429, error("rate_limit_error", code=code))
    assert (expected, code) == (type(found), found.code)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prompt is too long: 210000 tokens > 200000 maximum", errors.ContextWindowExceededError),
        ("input length and `max_tokens` exceed context limit: 1 + 2 > 2", errors.ContextWindowExceededError),
        ("Your credit balance is too low to access the Anthropic API.", errors.BillingError),
        ("You have reached your specified API usage limits.", errors.BillingError),
        ("messages: roles must alternate", errors.BadRequestError),
    ],
)
def test_phrases_where_there_is_nothing_better(text: str, expected: type[errors.AsyncLLMError]) -> None:
    """A bad request says only in words that the prompt is too long or the account is empty."""
    assert expected is type(failed(400, error("invalid_request_error", text)))


def test_what_the_headers_add() -> None:
    """The time to wait, the verdict on a retry, the request's id and the limits come from the headers."""
    found = failed(
        429,
        error("rate_limit_error"),
        {
            "retry-after": "17",
            "x-should-retry": "true",
            "request-id": "req_h",
            "anthropic-ratelimit-requests-remaining": "0",
        },
    )
    assert (17.0, True, "req_h") == (found.retry_after, found.should_retry, found.request_id)
    assert found.rate_limits is not None
    assert 0 == found.rate_limits.requests_remaining


def test_googles_shape() -> None:
    """A host may answer in its own shape, in a list or not; its codes are rows of the dialect."""
    dialect = AnthropicDialect(codes={"resource_exhausted": errors.QuotaExhaustedError})
    body = {"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": []}}
    for shape in (body, [body]):
        found = failed(429, shape, dialect=dialect)
        assert (errors.QuotaExhaustedError, "RESOURCE_EXHAUSTED", "Quota") == (
            type(found),
            found.code,
            found.message,
        )


def test_awss_shape() -> None:
    """A flat message, with the code in a header that may hold more behind a colon."""
    dialect = AnthropicDialect(
        codes={"throttlingexception": errors.RateLimitError},
        code_header="x-amzn-errortype",
        request_id_headers=("x-amzn-requestid",),
    )
    headers = {"x-amzn-errortype": "ThrottlingException:http://x", "x-amzn-requestid": "r1"}
    found = failed(400, {"Message": "Slow down"}, headers, dialect)
    assert (errors.RateLimitError, "ThrottlingException", "Slow down", "r1") == (
        type(found),
        found.code,
        found.message,
        found.request_id,
    )


@pytest.mark.parametrize(
    ("status", "body", "expected", "text"),
    [
        (502, b"<html>bad gateway</html>", errors.ServerError, "<html>bad gateway</html>"),
        (403, b"", errors.PermissionDeniedError, "the provider answered with status 403 and no message"),
        (400, b"\xff\xfe", errors.BadRequestError, "\ufffd\ufffd"),
        (400, b'{"error": "nope"}', errors.BadRequestError, "nope"),
        (429, b"[]", errors.RateLimitError, "[]"),
        (500, b"[" * 100_000, errors.ServerError, "[" * 200),
    ],
)
def test_bodies_of_any_sort(status: int, body: bytes, expected: type[errors.AsyncLLMError], text: str) -> None:
    """Whatever the body holds, the status decides and its beginning is shown."""
    found = failed(status, body)
    assert (expected, text) == (type(found), found.message)


def test_every_recorded_error() -> None:
    """Real failures are what they say."""
    found = [
        (exchange["status"], type(failed(exchange["status"], body_of(exchange), headers_of(exchange))).__name__)
        for exchange in recorded("anthropic", "azure", "vertex-anthropic", protocol="anthropic-messages")
        if exchange["status"] != 200
    ]
    assert {
        (400, "BadRequestError"): 3,
        (400, "ContextWindowExceededError"): 1,
        (401, "AuthenticationError"): 4,
        (404, "ModelNotFoundError"): 6,
    } == {pair: found.count(pair) for pair in found}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "type", "message", "details", "error_code", "status", "code"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.integers(400, 599), JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50))
def test_decoding_an_error_never_raises(status: int, body: bytes) -> None:
    """Any body gives an exception to raise, and raises none itself."""
    assert status == failed(status, body).status
