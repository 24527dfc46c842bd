"""What the Converse codec makes of failed answers."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from asyncllm import errors
from asyncllm._protocols.converse import Converse
from recordings import body_of, context, headers_of, recorded


def error(status: int, message: str = "no", *, code: str | None = None, **body: Any) -> errors.AsyncLLMError:
    """The exception for an answer."""
    headers = {"x-amzn-requestid": "r1", **({"x-amzn-errortype": code} if code else {})}
    data = json.dumps({"message": message, **body}).encode()
    return Converse().decode_error(status, headers, data, context("bedrock", "converse", "m"))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ValidationException", errors.BadRequestError),
        (400, "ServiceQuotaExceededException", errors.QuotaExhaustedError),
        (403, "AccessDeniedException", errors.PermissionDeniedError),
        (403, "UnrecognizedClientException", errors.AuthenticationError),
        (403, "InvalidSignatureException", errors.AuthenticationError),
        (403, "ExpiredTokenException", errors.AuthenticationError),
        (404, "ResourceNotFoundException", errors.NotFoundError),
        (408, "ModelTimeoutException", errors.ProviderTimeoutError),
        (424, "ModelErrorException", errors.ServerError),
        (424, "ModelStreamErrorException", errors.ServerError),
        (429, "ThrottlingException", errors.RateLimitError),
        (429, "ModelNotReadyException", errors.OverloadedError),
        (500, "InternalServerException", errors.ServerError),
        (503, "ServiceUnavailableException", errors.OverloadedError),
        (418, None, errors.BadRequestError),
        (413, None, errors.RequestTooLargeError),
        (529, None, errors.OverloadedError),
    ],
)
def test_codes_and_statuses(status: int, code: str | None, kind: type[errors.AsyncLLMError]) -> None:
    """The code in the header decides, without the namespace behind it; then the status."""
    found = error(status, code=code and f"{code}:http://internal.amazon.com/coral/com.amazon.bedrock/")
    assert (kind, code, status, "r1", "no") == (type(found), found.code, found.status, found.request_id, found.message)


@pytest.mark.parametrize(
    ("message", "code", "kind"),
    [
        ("Input is too long for requested model.", "ValidationException", errors.ContextWindowExceededError),
        ("Errors: Input Tokens Exceeded: Number", "ValidationException", errors.ContextWindowExceededError),
        ("prompt is too long: 1 > 0", "ValidationException", errors.ContextWindowExceededError),
        (
            "Invocation of model ID x with on-demand throughput isn’t supported.",
            "ValidationException",
            errors.ModelNotFoundError,
        ),
        ("The provided model identifier is invalid.", None, errors.ModelNotFoundError),
        ("Too many tokens per day, please wait", "ThrottlingException", errors.QuotaExhaustedError),
        (
            "Authentication failed: Please make sure your API Key is valid.",
            "AccessDeniedException",
            errors.AuthenticationError,
        ),
    ],
)
def test_messages(message: str, code: str | None, kind: type[errors.AsyncLLMError]) -> None:
    """Where a code stands for too much, the message is asked."""
    assert kind is type(error(400, message, code=code))


def test_codes_in_the_body() -> None:
    """A code may stand in the body, behind the name of its service."""
    assert isinstance(error(400, __type="com.amazon#ThrottlingException"), errors.RateLimitError)
    assert isinstance(error(400, code="throttlingException"), errors.RateLimitError)


def test_messages_elsewhere() -> None:
    """The message is found in either case, with the model's own; without one the body is quoted."""
    found = Converse().decode_error(424, {}, b'{"Message":"a","originalMessage":"b"}', context())
    assert "a: b" == found.message
    assert "Bad Gateway" in Converse().decode_error(502, {}, b"<html>Bad Gateway", context()).message
    assert "status 500 and no message" in Converse().decode_error(500, {}, b"", context()).message


def test_how_long_to_wait() -> None:
    """Amazon's header counts milliseconds."""
    found = Converse().decode_error(429, {"x-amz-retry-after": "1500"}, b"{}", context())
    assert 1.5 == found.retry_after


def test_every_recorded_failure() -> None:
    """The 15 recorded failures are what they say they are."""
    exchanges = [
        exchange for exchange in recorded("bedrock-converse", "bedrock-converse-stream") if exchange["status"] != 200
    ]
    kinds = Counter(
        type(Converse().decode_error(exchange["status"], headers_of(exchange), body_of(exchange), context())).__name__
        for exchange in exchanges
    )
    assert {
        "BadRequestError": 6,  # content blocks that the model does not take
        "ModelNotFoundError": 5,  # an invalid identifier, a model at the end of its life
        "AuthenticationError": 3,
        "ContextWindowExceededError": 1,
    } == kinds
