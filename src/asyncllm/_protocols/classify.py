"""From what a provider said to the exception that says what to do: codes first, then the status, text last.

Each protocol brings its own rows of codes and phrases; the statuses, the headers and the order are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime

from .. import errors
from .._schema.response import RateLimits
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
    vague: ErrorType | None = None
    for code in codes:
        if code is None or code == "":
            continue
        word = str(code).lower()
        if word in code_rows:
            if word not in vague_codes:
                return code_rows[word]
            vague = vague or code_rows[word]
        elif (status is None or status < 400) and word.isdecimal() and 400 <= int(word) <= 599:
            status = int(word)
    low = text.lower()
    for phrase, kind in text_rows:
        if phrase in low:
            return kind
    if status is not None and status >= 400 and (vague is None or status not in (400, 200)):
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
    return kind(
        message or f"the provider answered with status {status} and no message",
        provider=context.provider,
        model=context.model,
        status=status,
        code=None if code in (None, "") else str(code),
        request_id=request_id,
        retry_after=retry_after if retry_after is not None else parse_retry_after(headers, context.now),
        rate_limits=rate_limits,
        should_retry=_verdict(headers.get("x-should-retry")),
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
