"""What the Responses codec makes of failed answers: by code, by status, by text, whatever the body holds."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._protocols.openai_responses import OpenAIResponses, ResponsesDialect
from asyncllm.errors import (
    AsyncLLMError,
    AuthenticationError,
    BadRequestError,
    BillingError,
    ContentBlockedError,
    ContextWindowExceededError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderTimeoutError,
    RateLimitError,
    ServerError,
)
from recordings import body_of, headers_of
from response_recordings import exchanges, here, protocol_of, read


def error_of(status: int, body: object, headers: dict[str, str] | None = None) -> AsyncLLMError:
    """The exception for a failed answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return OpenAIResponses().decode_error(status, headers or {}, content, here())


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "context_length_exceeded", ContextWindowExceededError),
        (400, "unsupported_parameter", BadRequestError),
        (400, "previous_response_not_found", BadRequestError),
        (400, "model_not_found", ModelNotFoundError),
        (401, "invalid_api_key", AuthenticationError),
        (403, None, PermissionDeniedError),
        (429, "rate_limit_exceeded", RateLimitError),
        (429, "insufficient_quota", BillingError),
        (429, "credit_balance_exhausted", BillingError),
        (500, "server_error", ServerError),
        (503, "server_is_overloaded", OverloadedError),
        (504, None, ProviderTimeoutError),
    ],
)
def test_failed_answers(status: int, code: str | None, kind: type[AsyncLLMError]) -> None:
    """The provider's code comes first, then the status."""
    headers = {"x-request-id": "req_1", "retry-after": "3", "x-should-retry": "false"}
    body = {"error": {"message": "no", "type": "some_error", "param": None, "code": code}}
    found = error_of(status, body, headers)
    assert (kind, "no", status, code or "some_error") == (type(found), found.message, found.status, found.code)
    assert ("openai", "m", "req_1", 3.0, False) == (
        found.provider,
        found.model,
        found.request_id,
        found.retry_after,
        found.should_retry,
    )


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", ServerError),
        ("rate_limit_exceeded", RateLimitError),
        ("invalid_prompt", BadRequestError),
        ("data_residency_mismatch", PermissionDeniedError),
        ("bio_policy", ContentBlockedError),
        ("misalignment_policy_violation", ContentBlockedError),
        ("vector_store_timeout", ProviderTimeoutError),
        ("image_content_policy_violation", ContentBlockedError),
        *(
            (code, BadRequestError)
            for code in (
                *("invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url"),
                *("image_too_large", "image_too_small", "image_parse_error", "invalid_image_mode"),
                *("image_file_too_large", "unsupported_image_media_type", "empty_image_file"),
                *("failed_to_download_image", "image_file_not_found"),
            )
        ),
        ("never_heard_of", ServerError),
    ],
)
def test_every_code_of_a_failed_response(code: str, kind: type[AsyncLLMError]) -> None:
    """A response that failed inside a success is what its code says."""
    with pytest.raises(AsyncLLMError) as caught:
        read(status="failed", error={"code": code, "message": "no"})
    assert (kind, code) == (type(caught.value), caught.value.code)


def test_a_plain_text_body() -> None:
    """OpenAI was seen to answer 401 in plain text."""
    found = error_of(401, b"Unauthorized", {"content-type": "text/plain"})
    assert (AuthenticationError, "Unauthorized") == (type(found), found.message)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "400 with an empty body"),
        (b"<html>x</html>", "a page instead of JSON"),
        (b'"no"', "no"),
        (b"[]", "[]"),
        (b'{"detail": "no"}', "no"),
    ],
)
def test_other_bodies(body: bytes, words: str) -> None:
    """Any body makes a sentence."""
    found = error_of(400, body)
    assert type(found) is BadRequestError
    assert words in found.message


def test_a_blocked_prompt() -> None:
    """The content filter of Azure is no bad request."""
    body = {"error": {"code": "content_filter", "message": "filtered", "param": "prompt"}, "content_filters": []}
    assert type(error_of(400, body)) is ContentBlockedError


def test_codes_of_a_host() -> None:
    """A dialect brings codes of its own, and may know which are worth another try."""
    dialect = ResponsesDialect(error_codes=(("1113", BillingError),), retryable_codes=frozenset({"slip"}))
    protocol = OpenAIResponses(dialect)
    body = json.dumps({"error": {"code": "1113", "message": "no"}}).encode()
    assert type(protocol.decode_error(429, {}, body, here())) is BillingError
    slip = protocol.decode_error(400, {}, b'{"error": {"code": "slip", "message": "x"}}', here())
    assert slip.should_retry is True


def test_every_recorded_error() -> None:
    """Every recorded failure of three hosts is the exception that its body asks for."""
    found = Counter(
        type(
            protocol_of(exchange).decode_error(int(exchange["status"]), headers_of(exchange), body_of(exchange), here())
        )
        for exchange in exchanges()
        if exchange["status"] >= 400
    )
    assert {BadRequestError: 7, ModelNotFoundError: 4, AuthenticationError: 4, BillingError: 1} == found


@given(
    st.integers(400, 599),
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.text(max_size=5) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["error", "message", "code", "detail", "type", "metadata"]), inner, max_size=4
            )
        ),
    ),
)
def test_any_body_is_an_error(status: int, body: Any) -> None:
    """Reading an error never fails."""
    assert isinstance(error_of(status, body), AsyncLLMError)
