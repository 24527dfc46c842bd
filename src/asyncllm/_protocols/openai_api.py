"""What OpenAI's two formats share: headers, the last steps of a request, whole bodies, failures, and parts.

The last steps of a request: the dialect's ``adapt``, then ``extra_body`` merged into the body (objects key by key,
everything else replaced), then the headers, where the caller's own win.

Failures come in many shapes: ``{"error": {message, type, param, code}}`` (OpenAI), the same with numbers for codes
(OpenRouter, vLLM, llama.cpp), flat ``{message, type, code}`` (Cerebras, Mistral), ``{"error": "text", "code":
"text"}`` (xAI, Hugging Face), ``{"detail": "text" | [...]}`` (FastAPI: Mistral, Hugging Face), plain text, HTML,
nothing. The most telling code comes first: OpenRouter's ``metadata.error_type``, then ``code``, then Azure's
``innererror.code``, then ``type``.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from .. import errors
from .._schema.content import CacheMark, Document, Image, Refusal, Text, ToolCall, Unknown, Video
from .._schema.request import Request, ResponseFormat, Tool
from .._schema.response import RateLimits
from ..errors import ProtocolError, UnsupportedContentError, UnsupportedParameterError
from .classify import ErrorType, build_error, classify, parse_retry_after, snippet
from .codec import Context, WireRequest, deep_merge, load_whole
from .json_schemas import strict_schema, with_object_root
from .parts import D, PartWriter, as_dict, parse_count, parse_duration, seconds_until

_REQUEST_IDS = (
    "x-request-id",
    "apim-request-id",  # Azure
    "request-id",
    "mistral-correlation-id",
    "x-ds-trace-id",  # DeepSeek
    "x-generation-id",  # OpenRouter
    "cf-ray",
)

# Cerebras and Mistral name the window; the shortest one is the one that is hit first.
_WINDOWS = (
    ("requests", ("requests", "requests-minute", "req-minute", "requests-day")),
    ("tokens", ("tokens", "tokens-minute", "tokens-day")),
)
# A field of `RateLimits`, the headers that may hold it, and how they are read.
_RATE_LIMITS = tuple(
    (f"{unit}_{what}", tuple(f"x-ratelimit-{what}-{word}" for word in words), read)
    for unit, words in _WINDOWS
    for what, read in (("limit", parse_count), ("remaining", parse_count), ("reset", parse_duration))
)
_ALL_RATE_LIMITS = frozenset(name for _, names, _ in _RATE_LIMITS for name in names)


def request_id(headers: Mapping[str, str]) -> str | None:
    """Returns the provider's id of the request; None if it sends none."""
    for name in _REQUEST_IDS:
        if headers.get(name):
            return headers[name]
    return None


def rate_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """Reads the ``x-ratelimit-*`` headers; None if there are none that tell a number."""
    if _ALL_RATE_LIMITS.isdisjoint(headers):
        return None
    told: dict[str, Any] = {}
    for field, names, read in _RATE_LIMITS:
        for name in names:
            if name in headers:
                value = read(headers[name])
                if value is not None:
                    told[field] = value
                break
    return RateLimits(**told) if told else None


Body = dict[str, Any]


def post(
    path: str, body: Body, request: Request, writer: PartWriter[Any], adapt: Callable[[Body], Body] | None
) -> WireRequest:
    """Writes the request for a finished body."""
    if adapt is not None:
        body = adapt(body)
    if request.extra_body:
        body = deep_merge(body, request.extra_body)
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if request.stream else "application/json",
    }
    if request.extra_headers:
        headers.update({name.lower(): value for name, value in request.extra_headers.items()})
    return WireRequest(
        method="POST",
        path=path,
        headers=tuple(headers.items()),
        body=writer.context.json.dumps(body),
        left_out=writer.left_out,
        warnings=writer.warnings,
    )


def read_whole(
    status: int, headers: Mapping[str, str], body: bytes, context: Context, wanted: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Reads the JSON object that a body is; also returns a warning if half a character in it was replaced.

    Args:
        status: of the answer.
        headers: of the answer.
        body: its bytes.
        context: of the call.
        wanted: what the object should be, such as ``"a chat completion"``.

    Raises:
        ProtocolError: it is empty, a page, or anything else that is no object.
    """
    start = body[:1] if body[:1] == b"{" else body.lstrip()[:1]
    if not start:
        told = f"the provider answered with an empty body instead of {wanted}"
    elif start == b"<":
        where = "is base_url right (it ends in /v1)?"
        told = f"the provider answered with a page instead of JSON: {where} {snippet(body, 100)}"
    else:
        try:
            whole, warnings = load_whole(body, context)
        except ProtocolError:
            whole, warnings = None, ()
        if isinstance(whole, dict):
            return whole, warnings
        told = f"the provider's answer is not {wanted}: {snippet(body, 100)}"
    raise ProtocolError(
        told, provider=context.provider, model=context.model, status=status, request_id=request_id(headers)
    )


CODES: Mapping[str, ErrorType] = MappingProxyType(
    {
        # the prompt is too long
        "context_length_exceeded": errors.ContextWindowExceededError,
        "exceed_context_size_error": errors.ContextWindowExceededError,
        "string_above_max_length": errors.ContextWindowExceededError,
        "request_too_large": errors.RequestTooLargeError,
        "payload_too_large": errors.RequestTooLargeError,
        # money
        "insufficient_quota": errors.BillingError,
        "billing_hard_limit_reached": errors.BillingError,
        "billing_not_active": errors.BillingError,
        "credit_balance_exhausted": errors.BillingError,
        "organization_spend_limit_exceeded": errors.BillingError,
        "project_spend_limit_exceeded": errors.BillingError,
        "organization_usage_limit_exceeded": errors.BillingError,
        "exceeded_current_quota_error": errors.BillingError,
        "payment_required": errors.BillingError,
        # who asks
        "invalid_api_key": errors.AuthenticationError,
        "wrong_api_key": errors.AuthenticationError,
        "invalid_key": errors.AuthenticationError,
        "authentication_error": errors.AuthenticationError,
        "authentication": errors.AuthenticationError,
        "permission_denied": errors.PermissionDeniedError,
        "permission_error": errors.PermissionDeniedError,
        "unsupported_country_region_territory": errors.PermissionDeniedError,
        # which model
        "model_not_found": errors.ModelNotFoundError,
        "model_not_available": errors.ModelNotFoundError,
        "model_decommissioned": errors.ModelNotFoundError,
        "invalid_model": errors.ModelNotFoundError,
        "deploymentnotfound": errors.ModelNotFoundError,
        "unknown_model": errors.ModelNotFoundError,
        # too much at once
        "resource_exhausted": errors.RateLimitError,
        "quota_per_day": errors.QuotaExhaustedError,
        "rate_limit_exceeded": errors.RateLimitError,
        "rate_limit_error": errors.RateLimitError,
        "ratelimitreached": errors.RateLimitError,
        "too_many_requests": errors.RateLimitError,
        "slow_down": errors.RateLimitError,
        "flex_unavailable": errors.OverloadedError,
        "server_is_overloaded": errors.OverloadedError,
        "service_unavailable": errors.OverloadedError,
        "overloaded": errors.OverloadedError,
        "overloaded_error": errors.OverloadedError,
        "provider_overloaded": errors.OverloadedError,
        "provider_unavailable": errors.ServerError,
        "timeout": errors.ProviderTimeoutError,
        # what is not allowed
        "content_filter": errors.ContentBlockedError,
        "content_policy_violation": errors.ContentBlockedError,
        "responsibleaipolicyviolation": errors.ContentBlockedError,
        "misalignment_policy_violation": errors.ContentBlockedError,
        "cyber_policy": errors.ContentBlockedError,
        "refusal": errors.ContentBlockedError,
        # what says little by itself
        "invalid_request_error": errors.BadRequestError,
        "invalid_request": errors.BadRequestError,
        "invalid_prompt": errors.BadRequestError,
        "invalid_parameter_error": errors.BadRequestError,
        "tool_use_failed": errors.BadRequestError,
        "server_error": errors.ServerError,
        "internal_server_error": errors.ServerError,
        "server": errors.ServerError,
    }
)
VAGUE = frozenset(
    {
        "invalid_request_error",
        "invalid_request",
        "invalid_prompt",
        "invalid_parameter_error",
        "tool_use_failed",
        "server_error",
        "internal_server_error",
        "server",
        "permission_error",
        "refusal",
    }
)
PHRASES: tuple[tuple[str, ErrorType], ...] = (
    ("exceeded your current quota", errors.BillingError),
    ("incorrect api key", errors.AuthenticationError),
    ("invalid api key", errors.AuthenticationError),
    ("please check the api-key", errors.AuthenticationError),
    ("overloaded", errors.OverloadedError),
    ("over capacity", errors.OverloadedError),
)


class KnownErrors(Protocol):
    """Says what a dialect must tell of errors; the Responses API has the same bodies."""

    @property
    def error_codes(self) -> tuple[tuple[str, ErrorType], ...]:
        """Returns the host's own codes, lower case, which come before the common ones."""
        ...

    @property
    def retryable_codes(self) -> frozenset[str]:
        """Returns the refusals that are the model's slip, so that trying again makes sense."""
        ...


class Failure(NamedTuple):
    """Holds what a body says of a failure: the sentence, its codes (the most precise first), its own details."""

    message: str
    codes: tuple[object, ...]
    metadata: dict[str, Any]


def read_failure(body: Any) -> Failure:
    """Reads a parsed error body of any shape; the message is ``""`` where it has none."""
    if isinstance(body, list) and body:  # Google: the error is the only element of a list
        body = body[0]
    outer = as_dict(body)
    inner = outer.get("error")
    error = inner if isinstance(inner, dict) else outer
    metadata = as_dict(error.get("metadata"))
    codes: tuple[object, ...] = (
        metadata.get("error_type"),
        error.get("code"),
        as_dict(error.get("innererror")).get("code"),
        error.get("type"),
        error.get("status_code"),
        error.get("status"),
        outer.get("code"),
    )
    details = [item for item in error.get("details", ()) if isinstance(item, dict)] if _is_google(error) else []
    if details or error.get("status") == "RESOURCE_EXHAUSTED":  # Google: a quota, whatever its sentence says of billing
        daily = any("perday" in str(violation).lower() for item in details for violation in item.get("violations", ()))
        codes = ("quota_per_day" if daily else error.get("status"), *codes)
        delay = next((item["retryDelay"] for item in details if isinstance(item.get("retryDelay"), str)), None)
        if delay is not None:
            metadata = {**metadata, "headers": {"retry-after": delay.removesuffix("s")}}
    parts = [_message(error, inner, outer)]
    if metadata.get("flagged_input") is not None:  # OpenRouter: the prompt was moderated (403)
        codes = ("content_policy_violation", *codes)
    if isinstance(metadata.get("raw"), str):  # OpenRouter: the words of the host behind it
        parts.append(metadata["raw"])
    return Failure(": ".join([part for part in parts if part]), tuple(map(_plain, codes)), metadata)


def _is_google(error: dict[str, Any]) -> bool:
    return isinstance(error.get("details"), list) and isinstance(error.get("status"), str)


def _plain(code: object) -> object:
    return code if isinstance(code, (str, int)) and not isinstance(code, bool) else None


def _message(error: dict[str, Any], inner: object, outer: dict[str, Any]) -> str:
    for found in (error.get("message"), inner, outer.get("message"), error.get("detail"), outer.get("detail")):
        if isinstance(found, str) and found:
            return found
        if isinstance(found, list):  # FastAPI: what is wrong, and where
            told = [f"{_where(item)}{item['msg']}" for item in found if isinstance(item, dict) and "msg" in item]
            if told:
                return "; ".join(told[:3])
    return ""


def _where(item: dict[str, Any]) -> str:
    where = item.get("loc")
    return f"{'.'.join(map(str, where))}: " if isinstance(where, list) and where else ""


def failure_error(
    failure: Failure,
    status: int | None,
    headers: Mapping[str, str],
    context: Context,
    dialect: KnownErrors,
) -> errors.AsyncLLMError:
    """Returns the exception for a failure with ``status``, or inside a success (its codes may name a status)."""
    rows = {**CODES, **dict(dialect.error_codes)} if dialect.error_codes else CODES
    text = "\n".join([failure.message, *[code for code in failure.codes if isinstance(code, str)]])
    kind = classify(status, failure.codes, text, code_rows=rows, text_rows=PHRASES, vague_codes=VAGUE)
    code = next((code for code in failure.codes if code not in (None, "")), None)
    error = build_error(
        kind,
        failure.message,
        status=_status(status, failure.codes),
        code=code,
        headers=headers,
        context=context,
        request_id=request_id(headers),
        retry_after=_retry_after(failure.metadata, headers, context),
        rate_limits=rate_limits(headers),
    )
    if str(code) in dialect.retryable_codes and error.should_retry is None:
        error.should_retry = True
    return error


def _status(status: int | None, codes: tuple[object, ...]) -> int | None:
    """Returns the HTTP status, or the one that an error inside a success names."""
    if status is not None and status >= 400:
        return status
    for code in codes:
        word = str(code)
        if word.isdecimal() and 400 <= int(word[:4]) <= 599:
            return int(word[:4])
    return status


def _retry_after(metadata: dict[str, Any], headers: Mapping[str, str], context: Context) -> float | None:
    """Returns the seconds to wait. OpenRouter repeats headers of the host behind it, and gives its own reset in
    milliseconds since the epoch.
    """
    found = parse_retry_after(headers, context.now)
    inner = {str(name).lower(): str(value) for name, value in as_dict(metadata.get("headers")).items()}
    if found is not None or not inner:
        return found
    found = parse_retry_after(inner, context.now)
    return seconds_until(inner.get("x-ratelimit-reset"), context.now) if found is None else found


def read_error(
    status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: KnownErrors
) -> errors.AsyncLLMError:
    """Returns the exception for a failed answer, whatever its body holds."""
    try:
        parsed = context.json.loads(body)
    except errors.ProtocolError:
        parsed = None
    if isinstance(parsed, str):
        parsed = {"message": parsed}
    failure = read_failure(parsed)
    if not failure.message:
        failure = failure._replace(message=_told_by(status, body))
    return failure_error(failure, status, headers, context, dialect)


def _told_by(status: int, body: bytes) -> str:
    start = body.lstrip()[:1]
    if not start:
        return f"the provider answered {status} with an empty body"
    if start == b"<":
        return f"the provider answered {status} with a page instead of JSON: {snippet(body, 100)}"
    return snippet(body)


_SUFFIXES: Mapping[str, str] = {
    "application/pdf": ".pdf",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
}


class OpenAIWriter(PartWriter[D]):
    """Writes what both of OpenAI's formats have in common: schemas, documents, and media as ``data:`` URLs."""

    __slots__ = ()

    def cannot_take(self, what: str, advice: str) -> UnsupportedContentError:
        """Returns the exception for a part that the host does not support."""
        return self.refuse(f"{self.context.provider} ({self.api}) cannot take {what}; {advice}")

    def format(self, wanted: ResponseFormat, *, strict: bool) -> dict[str, Any]:
        """Writes the name, the schema and the rest of an answer that must fit a schema.

        Args:
            wanted: what was asked for, with a schema.
            strict: the host holds a model to a schema by ``strict``, and is asked to where nobody said otherwise.
        """
        schema: Mapping[str, Any] = with_object_root(wanted.schema or {})
        held = wanted.strict
        if strict and held is not False:
            subset = strict_schema(schema, self.json, nullable=False)
            if subset is not None:
                schema, held = subset, True
            elif held is None:
                self.warn("the JSON schema was sent as a hint: OpenAI's strict mode cannot say all of it")
        written: dict[str, Any] = {"name": wanted.name, "schema": schema}
        optional = {"description": wanted.description, "strict": held}
        return written | {name: value for name, value in optional.items() if value is not None}

    def parameters(self, tool: Tool) -> dict[str, Any]:
        """Writes the schema of a tool's arguments, and ``strict`` if it was given; a strict schema is in the subset.

        Args:
            tool: a function of the caller's, with parameters.
        """
        schema = with_object_root(tool.parameters)
        if not tool.strict:
            return {"parameters": dict(schema)} | ({} if tool.strict is None else {"strict": False})
        subset = strict_schema(schema, self.json, nullable=True)
        if subset is None:
            self.warn(f"strict was left out of the tool {tool.name!r}: the strict mode cannot say its schema")
            return {"parameters": dict(schema)}
        return {"parameters": dict(subset), "strict": True}

    def cannot(self, keyword: str, what: str) -> UnsupportedParameterError:
        """Returns the exception for a keyword that the host does not support."""
        return self.refuse_keyword(keyword, f"{self.context.provider} ({self.api}) {what}")

    def drop_extra(self, part: Text | ToolCall | Refusal) -> None:
        """Warns about fields of a part that only the wire it came from understands."""
        if part.extra and not self.is_own(part.origin):
            self.warn("data that belongs to another provider was left out of the history")

    def unmarked(self, cache: CacheMark | None) -> None:
        """Warns about a mark on something that cannot carry one here."""
        if cache is not None:
            self.warn("a prompt-cache mark was left out: there is no place for it")

    def raw(self, part: Unknown) -> dict[str, Any]:
        """Writes what an `Unknown` part holds, if it may go to this host."""
        if self.is_foreign(part.origin) or not isinstance(part.raw, Mapping):
            raise self.cannot_take(
                f"content of type {part.type!r} from another provider", "leave it out of the messages"
            )
        return dict(part.raw)

    def address(self, part: Image | Video) -> str | None:
        """Returns the URL of a picture or film, or its bytes as one; None if it holds neither."""
        if part.url is not None or part.data is None:
            return part.url
        if not part.media_type:
            kind, example = ("Video", "video/mp4") if isinstance(part, Video) else ("Image", "image/png")
            raise self.bad(f"{kind}(data=...) needs its media_type, such as {example}")
        return _data_url(part.data, part.media_type)

    def file(self, part: Document) -> dict[str, str]:
        """Writes the name and the content of a document that is given by its text or its bytes."""
        if part.text is not None:
            media_type, data = part.media_type or "text/plain", part.text.encode()
        elif part.data is not None and part.media_type:
            media_type, data = part.media_type, part.data
        else:
            raise self.bad(
                "a Document needs text, a url, a file_id, or data with its media_type, such as application/pdf"
            )
        name = part.name or f"document{_SUFFIXES.get(media_type, '')}"
        return {"filename": name, "file_data": _data_url(data, media_type)}


def _data_url(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode()}"
