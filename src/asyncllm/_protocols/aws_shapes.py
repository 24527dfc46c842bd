"""The path of a Bedrock call: the model's id is one percent-encoded segment, colons and slashes too.

From a Bedrock error to the exception that says what to do.

Over HTTP the code is in the header ``x-amzn-errortype``, with a suffix after a colon, or in the body's ``code`` or
``__type``, with a prefix before a ``#``; inside a stream it is the name of the exception frame, in lower camel case.
Case is ignored. ``ValidationException`` stands for everything a request can be wrong in, from an unknown model to a
full context window, so its message is asked first; the daily quota hides in ``ThrottlingException``, a bad API key in
``AccessDeniedException``. Sources: botocore 1.44.5 (``bedrock-runtime``, ``parsers``), pydantic-ai 2.68
(``_model_errors``), recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from .. import errors
from .classify import ErrorType, build_error, classify, snippet
from .codec import Context
from .parts import as_dict


def model_path(model: str, operation: str) -> str:
    """Returns ``/model/{id}/{operation}``; operations are ``converse``, ``invoke`` and their streaming twins."""
    return f"/model/{quote(model, safe='-._~')}/{operation}"


CODES: Mapping[str, ErrorType] = {
    "validationexception": errors.BadRequestError,
    "servicequotaexceededexception": errors.QuotaExhaustedError,
    "accessdeniedexception": errors.PermissionDeniedError,
    "unrecognizedclientexception": errors.AuthenticationError,
    "invalidsignatureexception": errors.AuthenticationError,
    "signaturedoesnotmatch": errors.AuthenticationError,
    "incompletesignatureexception": errors.AuthenticationError,
    "missingauthenticationtokenexception": errors.AuthenticationError,
    "invalidclienttokenid": errors.AuthenticationError,
    "expiredtokenexception": errors.AuthenticationError,
    "resourcenotfoundexception": errors.ModelNotFoundError,
    "modeltimeoutexception": errors.ProviderTimeoutError,
    "requesttimeoutexception": errors.ProviderTimeoutError,
    "modelerrorexception": errors.ServerError,
    "modelstreamerrorexception": errors.ServerError,
    "throttlingexception": errors.RateLimitError,
    "toomanyrequestsexception": errors.RateLimitError,
    "modelnotreadyexception": errors.OverloadedError,
    "serviceunavailableexception": errors.OverloadedError,
    "internalserverexception": errors.ServerError,
    "internalfailure": errors.ServerError,
}
VAGUE = frozenset(
    {
        "validationexception",
        "resourcenotfoundexception",
        "accessdeniedexception",
        "throttlingexception",
        "modelerrorexception",
    }
)
PHRASES: tuple[tuple[str, ErrorType], ...] = (
    ("tokens per day", errors.QuotaExhaustedError),
    ("api key is valid", errors.AuthenticationError),
    ("security token included in the request", errors.AuthenticationError),
)


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Returns the id of the HTTP request; None if the host sends none."""
    return headers.get("x-amzn-requestid") or None


def read_error(
    status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: object
) -> errors.AsyncLLMError:
    """Returns the exception for a failed answer, which is the same for every dialect; it never raises."""
    return error_from(body, headers, context, status=status, code=headers.get("x-amzn-errortype"))


def error_from(
    body: bytes, headers: Mapping[str, str], context: Context, *, status: int | None, code: str | None
) -> errors.AsyncLLMError:
    """Returns the exception for an error's body, in an answer or in a frame.

    Args:
        body: JSON with a ``message``, or anything else.
        headers: of the answer.
        context: of the call.
        status: None in a stream, whose 200 says nothing.
        code: the code that stood beside the body, suffix and all.
    """
    try:
        value = as_dict(context.json.loads(body))
    except errors.AsyncLLMError:
        value = {}
    codes = [plain for found in (code, value.get("code"), value.get("__type")) if (plain := _plain(found))]
    message = _message(value) or snippet(body)
    kind = classify(status, codes, message, code_rows=CODES, text_rows=PHRASES, vague_codes=VAGUE)
    return build_error(
        kind,
        message,
        status=status,
        code=codes[0] if codes else None,
        headers=headers,
        context=context,
        request_id=request_id_of(headers),
    )


def _plain(code: Any) -> str | None:
    """Returns a code without the namespaces around it."""
    return code.rpartition("#")[2].partition(":")[0].strip() if isinstance(code, str) else None


def _message(value: Mapping[str, Any]) -> str:
    words = [value.get("message") or value.get("Message"), value.get("originalMessage")]
    return ": ".join([word for word in words if isinstance(word, str) and word])


_GEOGRAPHY = re.compile(r"(?:us-gov|us|eu|apac|ap|jp|au|ca|sa|me|af|global)\.(?=[a-z0-9-]+\.)")


def base_model(model: str) -> str:
    """Returns the vendor's own id in a Bedrock id: without the ARN around it and the geography before it."""
    tail = model.rpartition("/")[2] if model.startswith("arn:") else model
    return _GEOGRAPHY.sub("", tail, count=1) if _GEOGRAPHY.match(tail) else tail
