"""Google's errors -> exceptions.

An error is ``{"error": {"code", "message", "status", "details": [...]}}``, sometimes the only element of a list,
sometimes without the ``error`` around it. ``status`` is google.rpc's word, ``details`` holds typed messages of
google.rpc: ``ErrorInfo.reason`` is the most telling code, ``QuotaFailure`` names the quota (one that ends in
``PerDay`` comes back at midnight Pacific time), ``RetryInfo.retryDelay`` says how long to wait.

A refused stream may say ``text/event-stream`` and carry the plain JSON all the same. An error in the middle of a
stream is a chunk like any other; one that comes as bare JSON lines, without ``data:``, is no event of the framing,
and the stream then counts as truncated.

Sources: google-genai 3.4.0 (errors.py), pydantic-ai 2.68.0 (_model_errors.py), google.rpc.error_details, November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import errors
from ..classify import ErrorType, build_error, classify, snippet
from ..codec import Context
from ..parts import as_dict, parse_duration
from .dialect import GeminiDialect

CODES: Mapping[str, ErrorType] = {
    # google.rpc.ErrorInfo.reason
    "api_key_invalid": errors.AuthenticationError,
    "api_key_expired": errors.AuthenticationError,
    "access_token_expired": errors.AuthenticationError,
    "access_token_scope_insufficient": errors.PermissionDeniedError,
    "access_token_type_unsupported": errors.AuthenticationError,
    "credentials_missing": errors.AuthenticationError,
    "account_state_invalid": errors.AuthenticationError,
    "service_disabled": errors.PermissionDeniedError,
    "api_key_service_blocked": errors.PermissionDeniedError,
    "billing_disabled": errors.BillingError,
    "rate_limit_exceeded": errors.RateLimitError,
    "quota_per_day": errors.QuotaExhaustedError,  # ours, for a violated quota whose id says so
    # google.rpc.Code
    "cancelled": errors.ProviderTimeoutError,
    "unknown": errors.ServerError,
    "invalid_argument": errors.BadRequestError,
    "deadline_exceeded": errors.ProviderTimeoutError,
    "not_found": errors.ModelNotFoundError,
    "already_exists": errors.BadRequestError,
    "permission_denied": errors.PermissionDeniedError,
    "resource_exhausted": errors.RateLimitError,
    "failed_precondition": errors.BadRequestError,
    "aborted": errors.ServerError,
    "out_of_range": errors.BadRequestError,
    "unimplemented": errors.BadRequestError,
    "internal": errors.ServerError,
    "unavailable": errors.OverloadedError,
    "data_loss": errors.ServerError,
    "unauthenticated": errors.AuthenticationError,
}
_VAGUE = frozenset(
    {"invalid_argument", "not_found", "failed_precondition", "out_of_range", "permission_denied", "unknown"}
)
_PHRASES: tuple[tuple[str, ErrorType], ...] = (
    ("api key not valid", errors.AuthenticationError),
    ("api key expired", errors.AuthenticationError),
    ("api key not found", errors.AuthenticationError),
    ("reported as leaked", errors.AuthenticationError),
    ("request payload size exceeds", errors.RequestTooLargeError),
    ("location is not supported", errors.PermissionDeniedError),
)
_BILLING: tuple[tuple[str, ErrorType], ...] = (("billing", errors.BillingError),)


def read_error(
    status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: GeminiDialect
) -> errors.AsyncLLMError:
    """Returns the exception for a failed answer; it never raises, whatever the body holds."""
    try:
        value = context.json.loads(body)
    except errors.AsyncLLMError:
        value = None
    return _build(error_object(value) or {}, status, snippet(body), headers, context)


def read_inner_error(error: Mapping[str, Any], context: Context) -> errors.AsyncLLMError:
    """Returns the exception for an error inside an answer with a successful HTTP status; the error's own code is its
    status.
    """
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code <= 599 else None
    return _build(error, status, "the provider reported an error in its answer", {}, context)


def error_object(value: Any) -> dict[str, Any] | None:
    """Returns the error in a decoded body, in any of its three wrappings; None if it holds none."""
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict) and "error" in item), None)
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if isinstance(error, dict) and error:
        return error
    if isinstance(error, str) and error:
        return {"message": error}
    if "candidates" not in value and isinstance(value.get("status"), str) and ("message" in value or "code" in value):
        return value
    return None


def _build(
    error: Mapping[str, Any], status: int | None, fallback: str, headers: Mapping[str, str], context: Context
) -> errors.AsyncLLMError:
    listed = error.get("details")
    details = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    word = error.get("status") if isinstance(error.get("status"), str) else None
    reason = _reason(details)
    message = error.get("message")
    message = message if isinstance(message, str) and message.strip() else fallback
    kind = classify(
        status,
        (reason, word, error.get("code")),
        message,
        code_rows=CODES,
        text_rows=_PHRASES + _BILLING if word == "FAILED_PRECONDITION" else _PHRASES,
        vague_codes=_VAGUE,
    )
    return build_error(
        kind,
        message.strip(),
        status=status,
        code=reason or word or error.get("code"),
        headers=headers,
        context=context,
        request_id=_first(details, "RequestInfo", "requestId"),
        retry_after=parse_duration(_first(details, "RetryInfo", "retryDelay")),
    )


def _reason(details: list[dict[str, Any]]) -> str | None:
    """Returns the most precise code: a quota by the day, else the reason of the ErrorInfo."""
    quotas: list[Any] = []
    for detail in details:
        kind = str(detail.get("@type"))
        violations = detail.get("violations")
        if kind.endswith("QuotaFailure") and isinstance(violations, list):
            quotas += [as_dict(violation).get("quotaId") for violation in violations]
        elif kind.endswith("ErrorInfo"):
            quotas.append(as_dict(detail.get("metadata")).get("quota_limit"))
    if any(isinstance(quota, str) and "perday" in quota.lower() for quota in quotas):
        return "QUOTA_PER_DAY"
    return _first(details, "ErrorInfo", "reason")


def _first(details: list[dict[str, Any]], kind: str, field: str) -> str | None:
    for detail in details:
        value = detail.get(field)
        if str(detail.get("@type")).endswith(kind) and isinstance(value, str) and value:
            return value
    return None
