"""From what a provider said to the exception that says what to do: codes first, then the status, text last.

Each protocol brings its own rows of codes and phrases; the statuses, the headers and the order are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from .. import errors
from .._schema.response import RateLimits
from ..errors import Advice
from .codec import Context
from .parts import number_of

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
        "model_not_found": errors.ModelNotFoundError,
        "model_decommissioned": errors.ModelNotFoundError,
    }
)
_YES = Advice(fallback="yes", provider="yes")
# What outranks a code, because the code says less: lower-case phrases, of which all must be there.
_TOO_LARGE: tuple[tuple[str, ...], ...] = (
    ("can only afford",),
    ("request too large", "tokens per min"),
    ("request too large", "tpm"),
    ("request too large for model", "limit"),
    ("exceeds the tokens per minute",),
)
PHRASES: tuple[tuple[str, ErrorType], ...] = (
    ("no endpoints found that support", errors.UnsupportedByProviderError),
    ("no endpoints available that support", errors.UnsupportedByProviderError),
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
    ("content violates usage guidelines", errors.ContentBlockedError),
    ("blocked by content filtering policy", errors.ContentBlockedError),
)
"""Lower-case phrase -> exception, on every wire: hosts, proxies and local servers say the same things in any format."""
_MODEL_WORDS = ("model", "deployment", "inference profile", "publisher")


def by_status(status: int) -> ErrorType:
    """The exception for an HTTP status alone: an unknown 4xx is a bad request, an unknown 5xx a server error."""
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
    """The exception for an answer.

    Args:
        status: the HTTP status; None where an error came inside a stream that gave none.
        codes: the provider's codes, the most telling first; a number or a string of digits is read as a status.
        text: the provider's message.
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
    for phrase, kind in (*text_rows, *PHRASES):
        if phrase in low:
            return kind
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
    """The exception, with every fact the answer holds."""
    advice, told = None, message or f"the provider answered with status {status} and no message"
    if kind is errors.NotFoundError and status == 404 and code in (None, "", 404, "404"):
        told, advice = f"{told}; is base_url right? There may be nothing at this path", _YES
    elif kind is errors.RequestTooLargeError and status in (402, 429):
        advice = _YES
    elif kind is errors.PermissionDeniedError and not any(word in f"{code} {told}".lower() for word in _MODEL_WORDS):
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


def _verdict(value: str | None) -> bool | None:
    return {"true": True, "false": False}.get(value.strip().lower()) if value else None


def parse_retry_after(headers: Mapping[str, str], now: Callable[[], float]) -> float | None:
    """Seconds to wait: ``retry-after-ms`` or ``x-amz-retry-after``, else ``retry-after`` (seconds or a date)."""
    for name in ("retry-after-ms", "x-amz-retry-after"):
        value = number_of(headers.get(name))
        if value is not None:
            return value / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    value = number_of(text)
    if value is not None:
        return value
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now())
    except (TypeError, ValueError, OverflowError):
        return None


def snippet(body: bytes, limit: int = 200) -> str:
    """The beginning of a body, for a sentence about it."""
    return " ".join(body[: limit * 4].decode("utf-8", "replace").split())[:limit]
