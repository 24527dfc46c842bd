"""From an Anthropic error to the exception that says what to do.

A body is ``{"type": "error", "error": {"type", "message", "details": {"error_code"}}, "request_id"}``. The codes are
asked in the order ``error_code``, ``error.type``; ``invalid_request_error`` and ``api_error`` say too little to decide
before the message and the status. Hosts in between answer in their own shapes (Google's ``error.status``, in a list or
not; AWS's flat ``message`` with the code in a header): their codes are rows of the dialect. Sources: anthropic SDK 2.11
(``_exceptions``, ``types/shared``), Anthropic's page on errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import errors
from ..._schema.response import RateLimits
from ..classify import ErrorType, build_error, classify, snippet
from ..codec import Context
from ..parts import as_dict
from .dialect import AnthropicDialect
from .usage import read_rate_limits

CODES: Mapping[str, ErrorType] = {
    # error.details.error_code
    "enforced_spend_limit_reached": errors.BillingError,
    "contract_spend_limit_reached": errors.BillingError,
    "credit_balance_exhausted": errors.BillingError,
    "organization_usage_limit_exceeded": errors.BillingError,
    "organization_on_hold": errors.BillingError,  # the whole account is off, until a human acts
    "ramp_limit_exceeded": errors.RateLimitError,
    # error.type
    "invalid_request_error": errors.BadRequestError,
    "authentication_error": errors.AuthenticationError,
    "billing_error": errors.BillingError,
    "permission_error": errors.PermissionDeniedError,
    "not_found_error": errors.ModelNotFoundError,
    "conflict_error": errors.ServerError,
    "request_too_large": errors.RequestTooLargeError,
    "rate_limit_error": errors.RateLimitError,
    "api_error": errors.ServerError,
    "timeout_error": errors.ProviderTimeoutError,
    "overloaded_error": errors.OverloadedError,
}
VAGUE = frozenset({"invalid_request_error", "not_found_error", "api_error"})
PHRASES: tuple[tuple[str, ErrorType], ...] = ()


def request_id_of(headers: Mapping[str, str], dialect: AnthropicDialect, body: Any = None) -> str | None:
    """Returns the id of the HTTP request, from a header or else from the body of an error."""
    for name in dialect.request_id_headers:
        found = headers.get(name)
        if found:
            return found
    found = as_dict(body).get("request_id")
    return found if isinstance(found, str) and found else None


def read_error(
    status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: AnthropicDialect
) -> errors.AsyncLLMError:
    """Returns the exception for a failed answer; it never raises, whatever the body holds."""
    try:
        value = context.json.loads(body)
    except errors.AsyncLLMError:
        value = None
    limits = read_rate_limits(headers, context.now)
    return error_from(value, headers, context, dialect, status=status, text=snippet(body), rate_limits=limits)


def error_from(
    value: Any,
    headers: Mapping[str, str],
    context: Context,
    dialect: AnthropicDialect,
    *,
    status: int | None,
    text: str = "",
    rate_limits: RateLimits | None = None,
) -> errors.AsyncLLMError:
    """Returns the exception for an error object of any host, in a body or in a stream.

    ``status`` is None in a stream, whose 200 says nothing; ``text`` is what to say where the object holds no message.
    """
    if isinstance(value, list) and value:
        value = value[0]
    body = as_dict(value)
    error = body.get("error", body)
    if isinstance(error, str):
        error = {"message": error}
    error = as_dict(error)
    message = next(
        (found for key in ("message", "Message") if isinstance(found := error.get(key), str) and found), text
    )
    codes = _codes(error, headers, dialect)
    kind = classify(
        status,
        codes,
        message,
        code_rows={**CODES, **dialect.codes},
        text_rows=(*PHRASES, *dialect.phrases),
        vague_codes=VAGUE | dialect.vague_codes,
    )
    return build_error(
        kind,
        message,
        status=status,
        code=codes[0] if codes else None,
        headers=headers,
        context=context,
        request_id=request_id_of(headers, dialect, body),
        rate_limits=rate_limits,
    )


def _codes(error: Mapping[str, Any], headers: Mapping[str, str], dialect: AnthropicDialect) -> list[str | int]:
    """Returns every code that the answer holds, the most precise one first."""
    found = [
        as_dict(error.get("details")).get("error_code"),
        error.get("type"),
        error.get("status"),
        headers.get(dialect.code_header, "").partition(":")[0] if dialect.code_header else None,
        error.get("code"),
    ]
    return [code for code in found if isinstance(code, (str, int)) and code != ""]
