"""What the chat codec makes of failed answers: every body shape, the codes, the phrases, and the headers."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncllm._protocols.openai_chat import ChatDialect, OpenAIChat
from asyncllm._providers.compatible import dialect_of
from asyncllm.errors import (
    AsyncLLMError,
    AuthenticationError,
    BadRequestError,
    BillingError,
    ContentBlockedError,
    ContextWindowExceededError,
    ModelNotFoundError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderTimeoutError,
    QuotaExhaustedError,
    RateLimitError,
    RequestTooLargeError,
    ServerError,
    UnsupportedByProviderError,
)
from chat_recordings import context_of, exchanges, protocol_of
from recordings import body_of, context, headers_of


def failed(
    status: int, body: Any, headers: dict[str, str] | None = None, dialect: ChatDialect | None = None
) -> AsyncLLMError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return OpenAIChat(dialect or ChatDialect()).decode_error(status, headers or {}, raw, context())


def openai_error(code: Any, kind: str | None = "invalid_request_error", message: str = "Something.") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "context_length_exceeded", ContextWindowExceededError),
        (400, "decimal_above_max_value", BadRequestError),
        (400, "unsupported_parameter", BadRequestError),
        (400, "content_policy_violation", ContentBlockedError),
        (400, "model_decommissioned", ModelNotFoundError),
        (400, "tool_use_failed", BadRequestError),
        (401, "invalid_api_key", AuthenticationError),
        (401, None, AuthenticationError),
        (402, None, BillingError),
        (403, None, PermissionDeniedError),
        (404, "model_not_found", ModelNotFoundError),
        (408, None, ProviderTimeoutError),
        (413, None, RequestTooLargeError),
        (422, None, BadRequestError),
        (429, "rate_limit_exceeded", RateLimitError),
        (429, "slow_down", RateLimitError),
        (429, "insufficient_quota", BillingError),
        (429, "billing_hard_limit_reached", BillingError),
        (429, "credit_balance_exhausted", BillingError),
        (429, "organization_spend_limit_exceeded", BillingError),
        (429, "project_spend_limit_exceeded", BillingError),
        (429, "organization_usage_limit_exceeded", BillingError),
        (429, "flex_unavailable", OverloadedError),
        (429, None, RateLimitError),
        (500, None, ServerError),
        (500, "server_error", ServerError),
        (502, None, ServerError),
        (503, "server_is_overloaded", OverloadedError),
        (504, None, ProviderTimeoutError),
        (524, None, ProviderTimeoutError),
        (529, None, OverloadedError),
        (418, None, BadRequestError),
    ],
)
def test_codes_and_statuses(status: int, code: str | None, expected: type[AsyncLLMError]) -> None:
    """OpenAI's codes decide before the status, and the vague type of most errors decides nothing."""
    found = failed(status, openai_error(code))
    assert expected is type(found)
    assert (status, "openai", "m", "Something.") == (found.status, found.provider, found.model, found.message)


def test_quota_type_without_a_telling_code() -> None:
    """A billing type decides where the code is new."""
    assert BillingError is type(failed(429, openai_error("some_new_limit", "insufficient_quota")))


@pytest.mark.parametrize(
    ("body", "expected", "message", "code"),
    [
        (
            {"message": "Wrong API Key", "type": "x", "code": "wrong_api_key"},
            AuthenticationError,
            "Wrong API Key",
            None,
        ),
        ({"object": "error", "message": "No.", "type": "t", "code": "3051"}, BadRequestError, "No.", "3051"),
        ({"code": "Invalid argument", "error": "Incorrect API key provided: xx"}, AuthenticationError, None, None),
        ({"error": "please check the api-key you provided"}, AuthenticationError, None, None),
        ({"error": {"message": "n", "code": 400}}, BadRequestError, "n", "400"),
        ({"detail": "Unauthorized thing"}, BadRequestError, "Unauthorized thing", None),
        (
            {"detail": [{"loc": ["body", "messages", 0], "msg": "Field required"}, {"msg": "odd"}, 7]},
            BadRequestError,
            "body.messages.0: Field required; odd",
            None,
        ),
        ({"detail": []}, BadRequestError, '{"detail": []}', None),
        ("words", BadRequestError, "words", None),
        (b"plain words", BadRequestError, "plain words", None),
        (b"", BadRequestError, "the provider answered 400 with an empty body", None),
        (
            b"<html>busy</html>",
            BadRequestError,
            "the provider answered 400 with a page instead of JSON: <html>busy</html>",
            None,
        ),
        (b"[1]", BadRequestError, "[1]", None),
        (b"\xff\xfe", BadRequestError, None, None),
        ({"error": {"message": {"a": 1}, "code": ["x"], "type": True}}, BadRequestError, None, None),
    ],
)
def test_body_shapes(body: Any, expected: type[AsyncLLMError], message: str | None, code: str | None) -> None:
    """Nested, flat, string, FastAPI's detail, plain text, HTML, nothing: each gives its sentence and its code."""
    found = failed(400, body)
    assert expected is type(found)
    assert message is None or message == found.message
    assert code is None or code == found.code


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, "This model's maximum context length is 8192 tokens.", ContextWindowExceededError),
        (400, "Please reduce the length of the messages or completion.", ContextWindowExceededError),
        (500, "Context size has been exceeded.", ContextWindowExceededError),
        (400, "prompt too long; exceeded max context length by 9 tokens", ContextWindowExceededError),
        (400, "Model Not Exist", ModelNotFoundError),
        (402, "Insufficient Balance", BillingError),
        (500, "The engine is currently overloaded, please try again later", OverloadedError),
    ],
)
def test_phrases(status: int, message: str, expected: type[AsyncLLMError]) -> None:
    """Where no code tells, the words do."""
    assert expected is type(failed(status, openai_error(None, None, message)))


def test_azure_blocked_prompt() -> None:
    """Azure's content filter on the prompt is blocked content, not a bad request, with the inner error or without."""
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
    error = {"code": "content_filter", "message": "filtered", "param": "prompt", "type": None, "status": 400}
    assert ContentBlockedError is type(failed(400, {"error": {**error, "innererror": inner}}))
    assert ContentBlockedError is type(failed(400, {"error": error}))
    assert ContentBlockedError is type(failed(400, {"error": {"message": "x", "innererror": inner}}))


def test_openrouter_metadata() -> None:
    """OpenRouter's error type is the most telling code, moderation is blocked content, and the raw words are kept."""

    def of(status: int, **metadata: Any) -> AsyncLLMError:
        return failed(status, {"error": {"code": status, "message": "Provider returned error", "metadata": metadata}})

    assert ContextWindowExceededError is type(of(400, error_type="context_length_exceeded"))
    assert OverloadedError is type(of(502, error_type="provider_overloaded"))
    assert ContentBlockedError is type(of(403, flagged_input="x", reasons=["violence"]))
    assert "Provider returned error: upstream says no" == of(400, raw="upstream says no").message


def test_openrouter_reset() -> None:
    """How long to wait may stand in the body: a reset in milliseconds since the epoch, or the header it repeats."""

    def of(headers: dict[str, Any], outer: dict[str, str] | None = None) -> float | None:
        error = {"code": 429, "message": "slow", "metadata": {"headers": headers}}
        return failed(429, {"error": error}, outer).retry_after

    assert 20.0 == of({"X-RateLimit-Reset": "1795000020000"})
    assert 0.0 == of({"X-RateLimit-Reset": "1759845420000"})
    assert 7.0 == of({"Retry-After": 7})
    assert 3.0 == of({"Retry-After": 7}, {"retry-after": "3"})
    assert None is of({"X-RateLimit-Reset": "soon"})


def test_codes_of_a_dialect() -> None:
    """Z.ai's own codes: no balance is billing, a used-up plan comes back later; elsewhere they are a rate limit."""
    zai = dialect_of("zai")
    assert BillingError is type(failed(429, {"error": {"code": "1113", "message": "x"}}, dialect=zai))
    assert QuotaExhaustedError is type(failed(429, {"error": {"code": "1308", "message": "x"}}, dialect=zai))
    assert RateLimitError is type(failed(429, {"error": {"code": "1302", "message": "x"}}, dialect=zai))
    assert RateLimitError is type(failed(429, {"error": {"code": "1113", "message": "x"}}))


def test_facts_of_the_headers() -> None:
    """The request's id, the time to wait, the limits and the provider's verdict come along."""
    headers = {
        "x-request-id": "r1",
        "retry-after-ms": "1500",
        "retry-after": "2",
        "x-should-retry": "false",
        "x-ratelimit-remaining-tokens": "0",
    }
    found = failed(429, openai_error("rate_limit_exceeded"), headers)
    assert ("r1", 1.5, False) == (found.request_id, found.retry_after, found.should_retry)
    assert 0 == (found.rate_limits.tokens_remaining if found.rate_limits else None)


def test_a_models_slip() -> None:
    """Groq's tool_use_failed may be tried again there, unless the provider says otherwise."""
    groq = dialect_of("groq")
    slip = openai_error("tool_use_failed")
    assert (True, None) == (failed(400, slip, dialect=groq).should_retry, failed(400, slip).should_retry)
    assert False is failed(400, slip, {"x-should-retry": "false"}, groq).should_retry


def test_keys_are_not_repeated() -> None:
    """A key that the provider quotes does not reach the exception."""
    found = failed(401, openai_error("invalid_api_key", message="Incorrect API key provided: sk-proj-abcdefghijklmn."))
    assert "abcdefgh" not in str(found)


def test_recorded_errors() -> None:
    """Every recorded error of every host has its class, none is left to chance."""
    found: Counter[type[AsyncLLMError]] = Counter()
    for exchange in exchanges():
        if exchange["status"] < 400:
            continue
        headers, body = headers_of(exchange), body_of(exchange)
        error = protocol_of(exchange).decode_error(exchange["status"], headers, body, context_of(exchange))
        assert error.message, exchange["id"]
        assert exchange["status"] == error.status, exchange["id"]
        found[type(error)] += 1
    assert {
        AuthenticationError: 30,
        BadRequestError: 44,
        BillingError: 1,
        ContentBlockedError: 2,
        ContextWindowExceededError: 3,
        ModelNotFoundError: 30,
        NotFoundError: 3,
        UnsupportedByProviderError: 4,
        PermissionDeniedError: 5,
        RateLimitError: 3,
        ServerError: 8,
    } == found


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("error message code type detail loc msg metadata headers raw status innererror".split()),
            inner,
            max_size=4,
        )
    ),
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.integers(300, 600), values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_never_raises(status: int, body: bytes) -> None:
    """Whatever a failed answer holds, it gives an exception and raises none."""
    assert isinstance(failed(status, body), AsyncLLMError)
