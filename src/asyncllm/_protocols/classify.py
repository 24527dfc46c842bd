"""Chooses the exception for a provider's error: by its codes first, then by the status, by the text last.

Each protocol brings its own rows of codes and phrases; the statuses, the headers and the order are the same for all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from .. import errors
from .._schema.response import RateLimits
from ..errors import Advice
from .codec import Context
from .parts import number_of, seconds_until

ErrorType = type[errors.AsyncLLMError]

STATUS: Mapping[int, ErrorType] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    402: errors.BillingError,
    403: errors.PermissionDeniedError,
    404: errors.ModelNotFoundError,
    408: errors.ProviderTimeoutError,
    409: errors.ServerError,  # a conflict inside the provider: both vendors' SDKs retry it
    413: errors.RequestTooLargeError,
    422: errors.BadRequestError,
    424: errors.ServerError,
    425: errors.OverloadedError,
    429: errors.RateLimitError,
    498: errors.OverloadedError,
    499: errors.ProviderTimeoutError,
    501: errors.UnsupportedByProviderError,  # llama.cpp without --embeddings: asking again does not help
    503: errors.OverloadedError,
    504: errors.ProviderTimeoutError,
    524: errors.ProviderTimeoutError,
    529: errors.OverloadedError,
}


SHARED_CODES: Mapping[str, ErrorType] = MappingProxyType(
    {
        # Codes of local servers and proxies, which pass on each other's formats.
        "exceed_context_size_error": errors.ContextWindowExceededError,
        "context_length_exceeded": errors.ContextWindowExceededError,
        "token_limit_exceeded": errors.ContextWindowExceededError,
        "model_not_found": errors.ModelNotFoundError,
        "model_decommissioned": errors.ModelNotFoundError,
        "insufficient_quota": errors.BillingError,
        "billing_hard_limit_reached": errors.BillingError,
        "credit_balance_exhausted": errors.BillingError,
        "invalid_api_key": errors.AuthenticationError,
        "content_filter": errors.ContentBlockedError,
        "content_policy_violation": errors.ContentBlockedError,
        "responsibleaipolicyviolation": errors.ContentBlockedError,
        "data_inspection_failed": errors.ContentBlockedError,
        "moderation_blocked": errors.ContentBlockedError,
    }
)
_YES = Advice(fallback="yes", provider="yes")
# What outranks a code, because the code says less: lower-case phrases, of which all must be there.
_TOO_LARGE: tuple[tuple[str, ...], ...] = (
    ("can only afford",),
    ("credits", "fewer max_tokens"),
    ("credits", "reduce max_tokens"),
    ("prompt tokens limit exceeded",),
    ("request too large", "tokens per min"),
    ("request too large", "tpm"),
    ("request too large for model", "limit"),
    ("exceeds the tokens per minute",),
)
PHRASES: tuple[tuple[str, ErrorType], ...] = (
    ("no endpoints found for your", errors.UnsupportedByProviderError),
    ("no endpoints found for ", errors.ModelNotFoundError),
    ("no endpoints found", errors.UnsupportedByProviderError),
    ("no endpoints available", errors.UnsupportedByProviderError),
    ("no allowed providers are available", errors.UnsupportedByProviderError),
    ("maximum context length", errors.ContextWindowExceededError),
    ("maximum prompt length", errors.ContextWindowExceededError),
    ("context length exceeded", errors.ContextWindowExceededError),
    ("contextwindowexceedederror", errors.ContextWindowExceededError),
    ("exceeds the context window", errors.ContextWindowExceededError),
    ("exceed context limit", errors.ContextWindowExceededError),
    ("context size has been exceeded", errors.ContextWindowExceededError),
    ("exceeds the available context size", errors.ContextWindowExceededError),
    ("exceeded max context length", errors.ContextWindowExceededError),
    ("exceeds the model's maximum context", errors.ContextWindowExceededError),
    ("longer than the model's context length", errors.ContextWindowExceededError),
    ("reduce the length of the messages", errors.ContextWindowExceededError),
    ("prompt is too long", errors.ContextWindowExceededError),
    ("input is too long", errors.ContextWindowExceededError),
    ("input token count", errors.ContextWindowExceededError),
    ("input tokens exceeded", errors.ContextWindowExceededError),
    ("too many input tokens", errors.ContextWindowExceededError),
    ("number of tokens allowed", errors.ContextWindowExceededError),
    ("too large for model with", errors.ContextWindowExceededError),
    ("invalid model name", errors.ModelNotFoundError),
    ("is not a valid model id", errors.ModelNotFoundError),
    ("invalid model id", errors.ModelNotFoundError),
    ("model identifier is invalid", errors.ModelNotFoundError),
    ("model not exist", errors.ModelNotFoundError),
    ("model not found", errors.ModelNotFoundError),
    ("supported api model names are", errors.ModelNotFoundError),
    ("has been decommissioned", errors.ModelNotFoundError),
    ("on-demand throughput", errors.ModelNotFoundError),
    ("credit balance is too low", errors.BillingError),
    ("insufficient balance", errors.BillingError),
    ("insufficient credits", errors.BillingError),
    ("specified api usage limits", errors.BillingError),
    ("key limit exceeded", errors.BillingError),
    ("used all available credits", errors.BillingError),
    ("reached its monthly spending limit", errors.BillingError),
    ("content violates usage guidelines", errors.ContentBlockedError),
    ("content management policy", errors.ContentBlockedError),
    ("content exists risk", errors.ContentBlockedError),
    ("contain inappropriate content", errors.ContentBlockedError),
    ("flagged by our moderation", errors.ContentBlockedError),
    ("flagged as potentially violating", errors.ContentBlockedError),
    ("result of our safety system", errors.ContentBlockedError),
    ("incorrect api key", errors.AuthenticationError),
    ("invalid api key", errors.AuthenticationError),
    ("no healthy deployment", errors.OverloadedError),
    ("blocked by content filter", errors.ContentBlockedError),
    ("blocked by our content filter", errors.ContentBlockedError),
)
"""Lower-case phrase -> exception, on every wire: hosts, proxies and local servers say the same things in any format."""
_MODEL_WORDS = ("model", "deployment", "inference profile", "publisher")
# "Invalid model: m", "No such model", "model 'm' does not exist", "could not resolve the foundation model".
_NO_NAMES = (
    "is|was|does|do|has|that|which|and|or|not|name|id|output|input|response|request|version|parameters?|settings|config|"
    "generation|provider|access|file"
)
_UNKNOWN_MODEL = re.compile(
    r"\b(?:invalid|unknown|no such|unrecognized|unsupported) model\b(?! (?:parameter|setting|input|output|response))"
    rf"|\bmodel\W{{1,3}}(?!(?:{_NO_NAMES})\b)[\w./:@-]+\W{{0,3}}\s"
    r"(?:(?:is|was|could|can|has)(?: been|n't| ?not)? )*(?:(?:be )?not found|(?:does not|doesn't|not) exist|"
    r"not available|unavailable|not supported\.?$|not supported by|not served|not a valid|invalid|unknown|retired|"
    r"deprecated|removed)(?!\w)"  # a code such as `invalid_request_error` may follow the name
    r"|\bmodels/[\w./:@-]+ is not found\b|\bnot found: model\b"
    r"|\bcould not (?:resolve|find) (?:the )?(?:foundation )?model\b|\bmodel isn't mapped\b",
    re.MULTILINE,  # codes stand in lines of their own behind the sentence
)
# What stands for a prompt that is too long, beyond the phrases above; limits per minute and per day are others.
_TOO_LONG = re.compile(
    r"\b(?:prompt|input|context|messages?|conversation)\b[^.;]{0,60}\b(?:too long\b|exceed\w* [^.;]{0,60}"
    r"(?:context|length|token|window))|context_length_exceeded|\btoken limit exceeded|\bmax(?:imum)? context window\b"
    r"|\btoo many tokens: |\btokens exceeds? (?:the )?limit\b|\bexceed\w* (?:the )?model(?:'s)? token limit\b"
    r"|\btokens? [^.;]{0,40}exceeds? (?:the )?model(?:'s)? (?:context )?limit\b|\bcontext length of only\b"
    r"|\brange of input length\b|max_new_tokens`? must be <="
)
_PER_TIME = re.compile(r"\bper[ -]?(?:min|minute|day|hour)\b|\btp[md]\b")
# A thing of one caller's that is not there: it says nothing of the model.
_THING = re.compile(
    r"\b(?:file|item|response|conversation|container|cached ?content|vector store|batch|thread|document|guardrail)\b"
    r"[^.;]{0,90}(?:not found|does ?n[o']t exist|not exist|expired|not persisted)"
    r"|\b(?:no such|not found:?) (?:file|item|response|conversation|container|batch|thread|document)\b"
)
_PATH = re.compile(
    r"\b(?:invalid|unknown) url\b|\b(?:no|unknown) (?:such )?(?:route|path|endpoint)\b|\bcannot (?:post|get) /"
)
_NO_MONEY = (
    "balance",
    "credit",
    "quota",
    "billing",
    "insufficient",
    "exhausted",
    "past due",
    "spend",
    "top up",
    "unpaid",
)
_MODEL_CODES = frozenset({"model_not_available", "model_access_denied", "model_not_allowed"})
_OF_THE_MODEL = ("access to the model", "access to this model", "the specified model", "use this model")


def by_status(status: int) -> ErrorType:
    """Returns the exception for an HTTP status alone: an unknown 4xx is a bad request, an unknown 5xx an error of the
    server.
    """
    found = STATUS.get(status)
    if found is None:
        found = errors.ServerError if status >= 500 else errors.BadRequestError
    return found


def classify(
    status: int | None,
    codes: Iterable[object],
    text: str,
    *,
    code_rows: Mapping[str, ErrorType],
    text_rows: Iterable[tuple[str, ErrorType]] = (),
    vague_codes: frozenset[str] = frozenset(),
) -> ErrorType:
    """Returns the class of the exception for an answer.

    Args:
        status: the HTTP status; None where an error came inside a stream that gave none.
        codes: the provider's codes, the most telling first; a number or a string of digits is read as a status.
        text: the provider's message, and after it codes in lines of their own.
        code_rows: lower-case code -> exception.
        text_rows: lower-case phrase -> exception, asked only when no code decided.
        vague_codes: codes that decide only if neither a phrase nor the status says more (``invalid_request_error``).
    """
    low = text.lower()
    if status in (None, 200, 400, 402, 413, 429) and any(all(word in low for word in row) for row in _TOO_LARGE):
        return errors.RequestTooLargeError
    vague: ErrorType | None = None
    for code in codes:
        if code is None or code == "":
            continue
        word = str(code).lower()
        if word in SHARED_CODES and word not in code_rows:
            return SHARED_CODES[word]
        if word in code_rows:
            if word not in vague_codes:
                return code_rows[word]
            vague = vague or code_rows[word]
        elif (status is None or status < 400) and word.isdecimal() and 400 <= int(word) <= 599:
            status = int(word)
    if status == 404 and _THING.search(low):
        return errors.NotFoundError
    for phrase, kind in (*text_rows, *PHRASES):
        if phrase in low:
            return kind
    if status in (400, 404, 413, 422, 500, 200, None):
        if _TOO_LONG.search(low) and not _PER_TIME.search(low):
            return errors.ContextWindowExceededError
        if _UNKNOWN_MODEL.search(low) and status in (400, 404, 422):
            return errors.ModelNotFoundError
    if status is not None and status >= 400 and (vague is None or status not in (400, 200)):
        if status == 404 and not any(word in low for word in _MODEL_WORDS):
            return errors.NotFoundError
        return by_status(status)
    return vague or errors.ServerError


def build_error(
    kind: ErrorType,
    message: str,
    *,
    status: int | None,
    code: object,
    headers: Mapping[str, str],
    context: Context,
    request_id: str | None,
    retry_after: float | None = None,
    rate_limits: RateLimits | None = None,
) -> errors.AsyncLLMError:
    """Makes the exception for a failed answer, with all facts that it carries."""
    advice, told = None, message or f"the provider answered with status {status} and no message"
    low = told.lower()
    if kind is errors.NotFoundError and status == 404 and not _THING.search(f"{code} {low}".replace("_", " ")):
        advice = _YES  # it names neither a model nor a thing of the caller's: another target may answer
        if code in (None, "", 404, "404") or _PATH.search(low):
            told = f"{told}; is base_url right? There may be nothing at this path"
    elif kind is errors.RequestTooLargeError and (status in (402, 429) or _PER_TIME.search(low)):
        advice = _YES
    elif kind is errors.BillingError and status == 402 and not any(word in f"{code} {low}" for word in _NO_MONEY):
        advice = _YES  # the price of one request, a page: nothing is said of the account
    elif kind is errors.PermissionDeniedError and not _names_model(f"{code} {told}".lower(), code, context.model):
        advice = replace(kind.advice, health="none")  # a file, a firewall: nothing is said of the model
    return kind(
        told,
        provider=context.provider,
        model=context.model,
        status=status,
        code=None if code in (None, "") else str(code),
        request_id=request_id,
        retry_after=retry_after if retry_after is not None else parse_retry_after(headers, context.now),
        rate_limits=rate_limits,
        should_retry=_verdict(headers.get("x-should-retry")),
        advice=advice,
    )


def _names_model(low: str, code: object, model: str) -> bool:
    """Whether a refusal is one of the model that was asked for."""
    if str(code).lower() in _MODEL_CODES or any(phrase in low for phrase in _OF_THE_MODEL):
        return True
    name = model.lower().rpartition("/")[2]
    return bool(name) and name in low and any(word in low for word in _MODEL_WORDS)


def _verdict(value: str | None) -> bool | None:
    return {"true": True, "false": False}.get(value.strip().lower()) if value else None


def parse_retry_after(headers: Mapping[str, str], now: Callable[[], float]) -> float | None:
    """Returns the seconds to wait: ``retry-after-ms`` or ``x-amz-retry-after``, else ``retry-after`` (seconds or a
    date).

    A 0 says nothing, so the next header is read after it.
    """
    for name in ("retry-after-ms", "x-amz-retry-after"):
        value = number_of(headers.get(name))
        if value:
            return value / 1000
    found = seconds_until(headers.get("retry-after"), now)
    return number_of(headers.get("retry-after-ms")) if found is None else found


def snippet(body: bytes, limit: int = 200) -> str:
    """Returns the beginning of a body, for a sentence about it."""
    return " ".join(body[: limit * 4].decode("utf-8", "replace").split())[:limit]
