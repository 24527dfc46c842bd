"""From codes, statuses and texts to the exception that says what to do."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm import errors
from asyncllm._protocols.classify import build_error, by_status, classify, parse_retry_after, snippet
from asyncllm._protocols.parts import parse_count, parse_duration
from recordings import context
from wire_samples import CODECS

CODES = {
    "rate_limit_exceeded": errors.RateLimitError,
    "insufficient_quota": errors.BillingError,
    "invalid_request_error": errors.BadRequestError,
}
TEXTS = [("prompt is too long", errors.ContextWindowExceededError)]
VAGUE = frozenset({"invalid_request_error"})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (402, errors.BillingError),
        (403, errors.PermissionDeniedError),
        (404, errors.ModelNotFoundError),
        (408, errors.ProviderTimeoutError),
        (413, errors.RequestTooLargeError),
        (418, errors.BadRequestError),
        (422, errors.BadRequestError),
        (429, errors.RateLimitError),
        (500, errors.ServerError),
        (502, errors.ServerError),
        (503, errors.OverloadedError),
        (504, errors.ProviderTimeoutError),
        (501, errors.UnsupportedByProviderError),
        (529, errors.OverloadedError),
        (599, errors.ServerError),
    ],
)
def test_a_status_alone_has_its_exception(status: int, expected: type[Exception]) -> None:
    """Every row of statuses, and the rule for unknown ones."""
    assert expected is by_status(status)


@pytest.mark.parametrize(
    ("status", "codes", "text", "expected"),
    [
        (429, ["insufficient_quota"], "", errors.BillingError),
        (400, ["RATE_LIMIT_EXCEEDED"], "", errors.RateLimitError),
        (429, [None, "", "unheard_of"], "", errors.RateLimitError),
        (400, ["invalid_request_error"], "the prompt is too long: 9 tokens", errors.ContextWindowExceededError),
        (400, ["invalid_request_error"], "bad", errors.BadRequestError),
        (404, ["invalid_request_error"], "no such model", errors.ModelNotFoundError),
        (404, [], "the model m does not exist", errors.ModelNotFoundError),
        (404, [], "No such File object: file-1", errors.NotFoundError),
        (404, [], "", errors.NotFoundError),
        (404, [], "No endpoints found that support tool use.", errors.UnsupportedByProviderError),
        (400, ["exceed_context_size_error"], "", errors.ContextWindowExceededError),
        (
            400,
            [],
            "This model's maximum prompt length is 9 but the request contains 10 tokens.",
            errors.ContextWindowExceededError,
        ),
        (400, [], "Invalid model name passed in model=m", errors.ModelNotFoundError),
        (
            429,
            ["rate_limit_exceeded"],
            "Request too large for m on tokens per min (TPM): Limit 1",
            errors.RequestTooLargeError,
        ),
        (402, [], "You can only afford 5 tokens", errors.RequestTooLargeError),
        (None, ["invalid_request_error"], "bad", errors.BadRequestError),
        (None, [503], "", errors.OverloadedError),
        (200, ["429"], "", errors.RateLimitError),
        (500, ["429"], "", errors.ServerError),
        (None, [], "", errors.ServerError),
    ],
)
def test_codes_come_before_the_status_and_text_last(
    status: int | None, codes: list[object], text: str, expected: type[Exception]
) -> None:
    """A telling code wins, a vague one gives way, and numbers count as statuses only where there is none."""
    assert expected is classify(status, codes, text, code_rows=CODES, text_rows=TEXTS, vague_codes=VAGUE)


@pytest.fixture
def somewhere_else(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's clock is in Tokyo: dates without a zone are of UTC all the same."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    if hasattr(time, "tzset"):
        time.tzset()
    yield
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "9", "retry-after-ms": "1500"}, 1.5),
        ({"x-amz-retry-after": "250"}, 0.25),
        ({"retry-after": "Wed, 18 Nov 2026 12:26:50 GMT"}, 10.0),
        ({"retry-after": "Wed, 18 Nov 2020 12:26:50 GMT"}, 0.0),
        ({"retry-after": "Wed Nov 18 12:26:50 2026"}, 10.0),
        ({"retry-after": "Wednesday, 18-Nov-26 12:26:50 GMT"}, 10.0),
        ({"retry-after": "2026-11-18T12:26:50Z"}, 10.0),
        ({"retry-after": "1795004810"}, 10.0),
        ({"retry-after": "1795004810000"}, 10.0),
        ({"retry-after": "1795004000"}, 0.0),
        ({"retry-after": "1m30s"}, 90.0),
        ({"retry-after": "99999999999"}, 98204995199.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "9", "retry-after-ms": "0"}, 9.0),
        ({"retry-after-ms": "0"}, 0.0),
    ],
)
def test_retry_after_in_all_its_forms(headers: dict[str, str], expected: float | None, somewhere_else: None) -> None:
    """Seconds, milliseconds and dates become seconds; nonsense becomes nothing."""
    assert expected == parse_retry_after(headers, lambda: 1_795_004_800.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6m0s", 360.0),
        ("8.64s", 8.64),
        ("6ms", 0.006),
        ("1h2m", 3720.0),
        ("3", 3.0),
        ("", None),
        (None, None),
        ("6q", None),
    ],
)
def test_durations(text: str | None, expected: float | None) -> None:
    """Durations of the rate-limit headers become seconds."""
    assert expected == pytest.approx(parse_duration(text))


def test_counts() -> None:
    """Whole numbers are read, nonsense is nothing."""
    assert (12, None, None) == (parse_count("12"), parse_count("x"), parse_count(None))


def test_the_exception_carries_every_fact() -> None:
    """Provider, model, status, code, request id, wait and verdict end on the exception."""
    error = build_error(
        errors.RateLimitError,
        "slow down",
        status=429,
        code=1302,
        headers={"retry-after": "2", "x-should-retry": "false"},
        context=context("groq", model="m"),
        request_id="req_1",
    )
    assert ("slow down", "groq", "m", 429, "1302", "req_1", 2.0, False) == (
        error.message,
        error.provider,
        error.model,
        error.status,
        error.code,
        error.request_id,
        error.retry_after,
        error.should_retry,
    )


def test_a_snippet_is_one_line() -> None:
    """A snippet is one short line."""
    assert "<html> a b" == snippet(b"<html>\n a \xffb".replace(b"\xff", b""))


@given(st.text(), st.lists(st.none() | st.integers() | st.text(), max_size=3), st.none() | st.integers(100, 999))
def test_every_answer_has_an_exception(text: str, codes: list[object], status: int | None) -> None:
    """Whatever a provider says, there is one exception for it."""
    kind = classify(status, codes, text, code_rows=CODES, text_rows=TEXTS, vague_codes=VAGUE)
    assert issubclass(kind, errors.AsyncLLMError)


def test_what_a_refusal_says_of_the_target() -> None:
    """A path that is not there asks for the base URL; a 403 that names no model takes none away."""

    def build(kind: type[errors.AsyncLLMError], message: str, status: int) -> errors.AsyncLLMError:
        return build_error(kind, message, status=status, code=None, headers={}, context=context(), request_id=None)

    missing = build(errors.NotFoundError, "Not Found", 404)
    assert (True, "yes") == ("is base_url right?" in missing.message, missing.advice.fallback)
    assert "none" == build(errors.PermissionDeniedError, "blocked by the firewall", 403).advice.health
    assert "model_off" == build(errors.PermissionDeniedError, "no access to model m", 403).advice.health
    assert "yes" == build(errors.RequestTooLargeError, "can only afford 5 tokens", 402).advice.fallback


@pytest.mark.parametrize("wire", ["chat", "responses", "messages", "gemini"])
@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        *(
            (400, text, errors.ModelNotFoundError)
            for text in (
                "Invalid model: m",
                "unknown model m",
                "No such model: m",
                "Model m is not supported",
                "The requested model 'm/n' is not supported.",
                "The model `m` does not exist or you do not have access to it.",
                "model 'm' was removed on September 15",
                "Could not resolve the foundation model from the provided model identifier.",
                "This model isn't mapped yet. model=m",
                "models/m is not found for API version v1beta, or is not supported for generateContent.",
                "model m is not served by this server",
                "Could not find model m",
            )
        ),
        *(
            (400, text, errors.ContextWindowExceededError)
            for text in (
                "The prompt (length 9000) is too long",
                "too many tokens: total number of tokens exceeds limit of 4096",
                "Range of input length should be [1, 30720]",
                "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000",
                "Input length 9000 exceeds the maximum length 8192",
                "The total length of input exceeds the model's max context window",
                "error: context_length_exceeded",
                "Your request exceeded model token limit: 131072",
                "The total number of tokens in the prompt exceeds the model limit",
                "the model is loaded with context length of only 4096 tokens",
            )
        ),
        *(
            (400, text, errors.BadRequestError)
            for text in (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'.",
                "Unsupported value: 'temperature' does not support 0.2 with this model.",
                "This model does not support image input.",
                "The model m does not support tools.",
                "The model output is invalid JSON",
                "max_tokens: 9999 > 8192, which is the maximum allowed number of output tokens for m",
                "prompt_cache_key is too long",
                "metadata.a: string too long",
                "Unsupported parameter for model m",
                "model: Field required",
            )
        ),
        *(
            (400, text, errors.ContentBlockedError)
            for text in (
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
                "Content Exists Risk",
                "The generated text has been blocked by our content filters.",
                "Input data may contain inappropriate content.",
                "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            )
        ),
        (400, "There are no healthy deployments for this model. Passed model=m", errors.OverloadedError),
        (403, "invalid api key", errors.AuthenticationError),
        (404, "File not found: file-1", errors.NotFoundError),
        (404, "Previous response with id 'resp_1' not found for model m.", errors.NotFoundError),
        (404, "No endpoints found for host/model-m.", errors.ModelNotFoundError),
        (
            429,
            "Your team has either used all available credits or reached its monthly spending limit.",
            errors.BillingError,
        ),
        (404, "No endpoints found matching your data policy", errors.UnsupportedByProviderError),
        (404, "No allowed providers are available for the selected model.", errors.UnsupportedByProviderError),
        (429, "Too many tokens: the input exceeds the tokens per minute", errors.RequestTooLargeError),
        (429, "Rate limit of input tokens per day exceeded", errors.RateLimitError),
    ],
)
def test_words_mean_the_same_on_every_wire(wire: str, status: int, text: str, expected: type[Exception]) -> None:
    """Gateways and local servers say it in their own words, in any format."""
    # the code of OpenAI's 400 must not be read as a part of the sentence
    code = {"type": "invalid_request_error"} if status == 400 and wire in ("chat", "responses") else {}
    body = json.dumps({"error": {"message": text, **code}}).encode()
    assert expected is type(CODECS[wire].decode_error(status, {}, body, context("host", wire)))


@pytest.mark.parametrize(
    ("status", "text", "code", "health"),
    [
        (402, "Payment Required", None, "none"),
        (402, "This request requires more credits than are left; reduce max_tokens", None, "none"),
        (402, "Prompt tokens limit exceeded: 20000 > 300. Upgrade to a paid account to increase it", None, "none"),
        (403, "Key limit exceeded (total limit)", None, "account_off"),
        (402, "This request would cost too much for your plan", None, "none"),
        (402, "Insufficient Balance", None, "account_off"),
        (402, "Your credits are used up", None, "account_off"),
        (402, "no", "insufficient_quota", "account_off"),
        (403, "Blocked by the firewall", None, "none"),
        (403, "The terms of the model's provider were not accepted by this user", None, "none"),
        (403, "You have no access to model big-model", None, "model_off"),
        (403, "You don't have access to the model with the specified model ID.", None, "model_off"),
        (403, "no", "model_not_available", "model_off"),
        (404, "File file-1 not found", None, "none"),
        (413, "Request too large for the tokens per minute (TPM)", None, "none"),
    ],
)
def test_only_evidence_switches_something_off(status: int, text: str, code: str | None, health: str) -> None:
    """A status alone, or a word in passing, says nothing of account and model; other targets may be asked."""
    here = dataclasses.replace(context(), model="host/big-model")
    body = json.dumps({"error": {"message": text, "code": code}}).encode()
    error = CODECS["chat"].decode_error(status, {}, body, here)
    assert health == error.advice.health
    assert error.advice.provider == ("no" if status == 404 else "yes")


@pytest.mark.parametrize("wire", ["chat", "responses", "messages", "gemini"])
@pytest.mark.parametrize(
    ("text", "code", "goes_on", "asks_for_the_url"),
    [
        ("Not found", "not_found_error", "yes", False),
        ("Requested entity was not found.", "NOT_FOUND", "yes", False),
        ("Invalid URL (POST /v1/v1/messages)", "invalid_request_error", "yes", True),
        ("No such route", "not_found", "yes", True),
        ("File not found: file-1", "not_found_error", "no", False),
        ("It is gone", "previous_response_not_found", "no", False),
    ],
)
def test_a_404_without_evidence_lets_the_call_go_on(
    wire: str, text: str, code: str, goes_on: str, asks_for_the_url: bool
) -> None:
    """A 404 that names no model and nothing of the caller's sends the call on, and switches nothing off."""
    body = json.dumps({"error": {"message": text, "type": code, "status": code}}).encode()
    error = CODECS[wire].decode_error(404, {}, body, context("host", wire))
    assert (goes_on, goes_on, "none") == (error.advice.fallback, error.advice.provider, error.advice.health)
    assert asks_for_the_url == ("base_url" in error.message)


def test_a_file_that_is_missing_does_not_speak_of_the_base_url() -> None:
    """Only a path that is not there asks whether the address is right."""
    said = [
        CODECS["chat"].decode_error(404, {}, body, context()).message
        for body in (b'{"error": {"message": "File not found: file-1"}}', b"404 page not found")
    ]
    assert [False, True] == ["base_url" in one for one in said]
