"""All exceptions of asyncllm, each with its advice.

::

    AsyncLLMError
    ├── ConfigurationError           the config or the call names something that does not exist
    ├── ClientStateError             the client is closed, in another loop, or in a forked process
    ├── UnsupportedError             the target cannot carry what was asked
    │   ├── UnsupportedContentError
    │   └── UnsupportedParameterError
    ├── BudgetExceededError          refused here, before any byte was sent
    ├── CallRefusedError             a hook refused the call, its target or its reply
    ├── HookError                    a hook failed
    ├── CircuitOpenError
    ├── LimitTimeoutError
    ├── LedgerError
    ├── ConversationConflictError    a stored conversation was written by somebody else
    ├── StructuredOutputError        the answer does not fit the schema
    ├── ToolArgumentsError           the model called a tool with arguments that do not fit
    ├── BatchError                   a line of a batch got no answer
    ├── DeadlineExceededError        the total deadline passed
    ├── AllFallbacksFailedError      two or more targets failed; carries every attempt
    ├── TransportError               the network
    │   ├── ConnectError             DNS, refused, TLS
    │   │   └── ConnectTimeoutError
    │   ├── ConnectionLostError      lost before the answer began
    │   │   └── WriteTimeoutError
    │   ├── FirstTokenTimeoutError   no first content in time
    │   ├── IdleTimeoutError         silent between two bytes
    │   └── NoContentTimeoutError    heartbeats, but no content
    ├── StreamInterruptedError       cut after its first content; ``partial`` holds what came
    │   └── StreamTruncatedError     ended cleanly, but without the protocol's own end
    └── ProviderError                the provider's own answer
        ├── BadRequestError
        │   ├── RequestTooLargeError
        │   ├── ContextWindowExceededError
        │   └── NotFoundError        something that is no model is not there
        │       └── UnsupportedByProviderError
        ├── AuthenticationError
        ├── PermissionDeniedError
        ├── ModelNotFoundError
        ├── BillingError
        ├── QuotaExhaustedError
        ├── RateLimitError
        ├── OverloadedError
        ├── ServerError
        ├── ProviderTimeoutError
        ├── ProtocolError            a 200 that is not its protocol
        ├── ResponseTooLargeError
        └── ContentBlockedError      blocked with no content at all

Each class carries its `Advice`: retry the same model, go on to the next one, to the next provider, count it against the
target's health, and what to book. The engine reads the advice; it never asks for a class by name.

The text of an exception never holds a key and at most 500 characters of what a provider said.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ._schema.advice import Advice
from ._schema.advice import FallbackReason as FallbackReason
from ._schema.advice import LedgerAdvice as LedgerAdvice
from ._schema.attempt_table import attempt_table
from ._schema.redaction import redact, without

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from ._schema.events import Event
    from ._schema.response import Attempt, FinishReason, RateLimits, Response
    from ._schema.usage import Usage
    from .runs import Run

# fmt: off
__all__ = [
    "Advice", "AllFallbacksFailedError", "AsyncLLMError", "AuthenticationError", "BadRequestError", "BatchError",
    "BillingError", "BudgetExceededError", "CallRefusedError", "CircuitOpenError", "ClientStateError",
    "ConfigurationError", "ConnectError", "ConnectTimeoutError", "ConnectionLostError", "ContentBlockedError",
    "ContextWindowExceededError", "ConversationConflictError", "DeadlineExceededError", "FirstTokenTimeoutError",
    "HookError", "IdleTimeoutError", "LedgerError", "LimitTimeoutError", "ModelNotFoundError",
    "NoContentTimeoutError", "NotFoundError", "OverloadedError", "PermissionDeniedError", "ProtocolError",
    "ProviderError", "ProviderTimeoutError", "QuotaExhaustedError", "RateLimitError", "RequestTooLargeError",
    "ResponseTooLargeError", "ServerError", "StreamInterruptedError", "StreamTruncatedError",
    "StructuredOutputError", "TransportError", "UnsupportedByProviderError", "UnsupportedContentError",
    "UnsupportedError", "UnsupportedParameterError", "WriteTimeoutError",
]
# fmt: on


class AsyncLLMError(Exception):
    """The root of all exceptions of this library.

    Attributes:
        message: the sentence, without the facts that ``str()`` adds.
        provider: the configured name of the provider, where one is involved.
        model: the model asked for.
        status: the HTTP status, where there was an answer.
        code: the provider's own code.
        request_id: the provider's id of the request.
        retry_after: seconds the provider asked to wait.
        attempts: every HTTP attempt of the call.
        rate_limits: what the rate-limit headers said.
        should_retry: the provider's own verdict (``x-should-retry``), which outranks ``advice.retry``.
        advice: what to do about it; that of the class, unless this error says something else.
        events: what a stream had decoded in the same read before it failed.
        not_asked: the targets of the call that were not asked, as ``provider/model``, and why.
        run: of an error that ended `Client.run` or its stream: the run so far, which can be given as ``messages`` to
            go on; else None.
    """

    advice: Advice = Advice()
    run: Run[Any] | None = None
    args: tuple[Any, ...]

    def __init__(
        self,
        message: str = "",
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        rate_limits: RateLimits | None = None,
        should_retry: bool | None = None,
        attempts: tuple[Attempt, ...] = (),
        advice: Advice | None = None,
        events: Sequence[Event] = (),
        not_asked: Mapping[str, str] | None = None,
    ) -> None:
        self.message: str = redact(message)
        super().__init__(self.message)
        self.provider = provider
        self.model = model
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.rate_limits = rate_limits
        self.should_retry = should_retry
        self.attempts = attempts
        self.events = events
        self.not_asked: Mapping[str, str] = not_asked or {}
        if advice is not None:
            self.advice = advice

    def __str__(self) -> str:
        facts = [
            f"{name}={value}"
            for name, value in (
                ("provider", self.provider),
                ("model", self.model),
                ("status", self.status),
                ("code", self.code),
                ("request_id", self.request_id),
                ("retry_after", self.retry_after),
            )
            if value is not None
        ]
        return f"{self.message} ({', '.join(facts)})" if facts else self.message

    def about(
        self, *, provider: str | None = None, model: str | None = None, request_id: str | None = None
    ) -> AsyncLLMError:
        """Adds what the attempt knows to the error and returns it."""
        self.provider = self.provider or provider
        self.model = self.model or model
        self.request_id = self.request_id or request_id
        return self

    def tell(self, sentence: str) -> None:
        """Adds a sentence that only the attempt knows, such as the URL that was asked."""
        end = "" if self.message.endswith((".", "!", "?", "…", ":")) else "."
        self.message = f"{self.message}{end} {sentence}"
        self.args = (self.message,)

    def conceal(self, secret: str) -> None:
        """Removes a credential from all texts of the error, as a server may have repeated it."""
        self.message = without(secret, self.message)
        self.args = (self.message,)
        self.code = self.code and without(secret, self.code)
        self.request_id = self.request_id and without(secret, self.request_id)

    def __reduce__(self) -> tuple[Any, ...]:
        # The facts travel as state, not as arguments: an error and its attempts refer to each other.
        return _blank, (type(self), self.args), self.__dict__


def _blank(kind: type[AsyncLLMError], args: tuple[Any, ...]) -> AsyncLLMError:
    error = kind.__new__(kind)
    error.args = args
    return error


class ConfigurationError(AsyncLLMError):
    """The configuration, or the call, names something that does not exist or does not fit.

    Attributes:
        problems: what is wrong with a configuration, a sentence each, with file, line and dotted key where known. They
            quote no value that could be a secret.
    """

    def __init__(self, message: str = "", *, problems: tuple[str, ...] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.problems = problems

    def __str__(self) -> str:
        return "\n  ".join([super().__str__(), *self.problems])


class ClientStateError(AsyncLLMError):
    """The client cannot be used here: it is closed, belongs to another running loop, or to the parent process."""


class UnsupportedError(AsyncLLMError):
    """The target does not support the request. Nothing was sent."""

    advice: Advice = Advice(fallback="yes", provider="yes")


class UnsupportedContentError(UnsupportedError):
    """This wire format or host does not support a part of a message."""


class UnsupportedParameterError(UnsupportedError):
    """This wire format or host does not support a keyword of the call."""


class BudgetExceededError(AsyncLLMError):
    """A hard budget has no room for this call. Nothing was sent.

    Attributes:
        budget: the budget's name.
        scope: what its window is for: ``{"provider": "openai"}``; empty for all calls.
        limit: US dollars, with what it was raised by; None where it is not known.
        spent: US dollars spent in the window.
        reserved: US dollars held by calls under way.
        resets_at: when the window ends, UTC; None where it never does.
    """

    advice: Advice = Advice(fallback="opt_in", provider="opt_in", fallback_on="budget")

    def __init__(
        self,
        message: str = "",
        *,
        budget: str | None = None,
        scope: Mapping[str, str] | None = None,
        limit: Decimal | None = None,
        spent: Decimal | None = None,
        reserved: Decimal | None = None,
        resets_at: datetime | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.budget = budget
        self.scope: dict[str, str] = dict(scope or {})
        self.limit = limit
        self.spent = spent
        self.reserved = reserved
        self.resets_at = resets_at


class CallRefusedError(AsyncLLMError):
    """A hook refused the call, one of its targets, or its reply. Raise it in your own hooks.

    Args:
        message: why, for the caller.
        next_target: only this target is refused, and the call goes on to the next one; for ``before_attempt``.
        **facts: as for `AsyncLLMError`.
    """

    def __init__(self, message: str = "", *, next_target: bool = False, **facts: Any) -> None:
        super().__init__(message, **facts)
        if next_target:
            self.advice: Advice = Advice(fallback="yes", provider="yes")


class HookError(AsyncLLMError):
    """A hook failed, and its policy is to end the call; what it raised is the cause."""


class CircuitOpenError(AsyncLLMError):
    """The target is switched off for now; ``retry_after`` says for how long. Nothing was sent."""

    advice: Advice = Advice(fallback="yes", provider="yes")


class LimitTimeoutError(AsyncLLMError):
    """The call waited under a limit until its deadline. Nothing was sent."""


class LedgerError(AsyncLLMError):
    """The ledger cannot write, and its policy is to fail instead of leaving the call unrecorded."""


class ConversationConflictError(AsyncLLMError):
    """A stored conversation was written or deleted by somebody else since it was opened."""


class StructuredOutputError(AsyncLLMError):
    """The answer does not fit the schema that was asked for.

    Attributes:
        text: the answer as it came.
        problems: what does not fit, a sentence each.
        finish_reason: why the model stopped; an answer that was cut, refused or blocked is not asked for again.
    """

    advice: Advice = Advice(ledger="real")

    def __init__(
        self,
        message: str = "",
        *,
        text: str = "",
        problems: tuple[str, ...] = (),
        finish_reason: FinishReason = "stop",
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.text = text
        self.problems = problems
        self.finish_reason: FinishReason = finish_reason


class ToolArgumentsError(AsyncLLMError):
    """The model called a tool with arguments that do not fit its schema.

    In a run the model is told, and may call again. It is raised only where a run shall stop at errors of tools.

    Attributes:
        problems: what is wrong, a sentence each.
    """

    advice: Advice = Advice(ledger="real")

    def __init__(self, message: str = "", *, problems: tuple[str, ...] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.problems = problems


class BatchError(AsyncLLMError):
    """A line of a batch got no answer, and costs nothing; or the batch is not there.

    Attributes:
        reason: ``"expired"``, ``"cancelled"``, ``"failed"``, ``"missing"``, or the provider's words.
    """

    def __init__(self, message: str = "", *, reason: str = "missing", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.reason = reason


class DeadlineExceededError(AsyncLLMError):
    """The total deadline of the call passed.

    Attributes:
        partial: what a stream had delivered by then; None for unary calls.
    """

    advice: Advice = Advice(ledger="partial")

    def __init__(self, message: str = "", *, partial: Response | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.partial = partial


class AllFallbacksFailedError(AsyncLLMError):
    """Two or more targets failed; ``attempts`` holds every one and the text a table; the last error is the cause."""

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *attempt_table(self.attempts)])


class TransportError(AsyncLLMError):
    """The network failed before there was an answer of the provider."""

    advice: Advice = Advice(retry="once", fallback="yes", provider="yes", health="count", ledger="unknown")


class ConnectError(TransportError):
    """No connection: DNS, refused, a proxy, or TLS.

    Attributes:
        certificate: the server's certificate was refused, so trying again is of no use.
    """

    advice: Advice = Advice(retry="yes", fallback="yes", provider="yes", health="count", ledger="zero", pause=0.5)

    def __init__(self, message: str = "", *, certificate: bool = False, **facts: Any) -> None:
        if certificate:
            facts.setdefault("should_retry", False)
        super().__init__(message, **facts)
        self.certificate = certificate


class ConnectTimeoutError(ConnectError):
    """The server did not accept a connection in time."""

    advice: Advice = replace(ConnectError.advice, retry_cost=10)


class ConnectionLostError(TransportError):
    """The connection was lost before the answer began."""


class WriteTimeoutError(ConnectionLostError):
    """The server stopped reading the request."""

    advice: Advice = replace(TransportError.advice, retry_cost=10)


class FirstTokenTimeoutError(TransportError):
    """A stream had no first content in time."""

    advice: Advice = Advice(fallback="yes", provider="yes", health="count", ledger="unknown")


class IdleTimeoutError(TransportError):
    """No byte came for too long in the middle of an answer."""

    advice: Advice = Advice(fallback="yes", provider="yes", health="count", ledger="partial")


class NoContentTimeoutError(TransportError):
    """Only heartbeats came for too long."""

    advice: Advice = Advice(fallback="yes", provider="yes", health="count", ledger="partial")


class StreamInterruptedError(AsyncLLMError):
    """A stream was cut after its first content was delivered.

    Attributes:
        partial: what was delivered; its text equals the deltas.
    """

    advice: Advice = Advice(fallback="as_inner", provider="as_inner", health="count", ledger="partial")

    def __init__(self, message: str = "", *, partial: Response | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.partial = partial


class StreamTruncatedError(StreamInterruptedError):
    """A stream ended without the protocol's own end; before its first content ``partial`` is empty."""

    advice: Advice = Advice(retry="once", fallback="yes", provider="yes", health="count", ledger="partial")


class ProviderError(AsyncLLMError):
    """The provider answered with an error."""


class BadRequestError(ProviderError):
    """The request is wrong: the provider refused it (400, 422), or a check before sending did. Another model would
    refuse it too.
    """


class RequestTooLargeError(BadRequestError):
    """The body is larger than the provider accepts (413)."""


class ContextWindowExceededError(BadRequestError):
    """The prompt does not fit the model's context window."""

    advice: Advice = Advice(fallback="larger_window", provider="larger_window")


class NotFoundError(BadRequestError):
    """Something other than a model was not found (404): a file, an earlier response, or the path itself."""


class UnsupportedByProviderError(NotFoundError):
    """No host behind the provider supports what was asked for, such as tools or pictures. Another target may."""

    advice: Advice = Advice(fallback="yes", provider="yes")


class AuthenticationError(ProviderError):
    """The credential is missing, wrong or expired (401)."""

    advice: Advice = Advice(retry="after_refresh", provider="yes", health="credential_off")


class PermissionDeniedError(ProviderError):
    """The credential may not use this model or feature (403)."""

    advice: Advice = Advice(fallback="yes", provider="yes", health="model_off")


class ModelNotFoundError(ProviderError):
    """The provider does not know the model, or does not have it any more (404)."""

    advice: Advice = Advice(fallback="yes", provider="yes", health="model_off")


class BillingError(ProviderError):
    """The account has no money left, or a spending limit is reached."""

    advice: Advice = Advice(provider="yes", health="account_off")


class QuotaExhaustedError(ProviderError):
    """A quota that comes back only after hours or a day is used up."""

    advice: Advice = Advice(fallback="yes", provider="yes", health="until_reset")


class RateLimitError(ProviderError):
    """Too many requests or tokens at the moment (429)."""

    advice: Advice = Advice(retry="yes", fallback="yes", provider="yes", health="cooldown", pause=2.0)


class OverloadedError(ProviderError):
    """The provider is overloaded (503, 529)."""

    advice: Advice = Advice(retry="yes", fallback="yes", provider="yes", health="count")


class ServerError(ProviderError):
    """The provider failed (5xx), or says in its answer that the generation failed.

    Attributes:
        usage: the tokens the provider counted for it, where it said so.
    """

    advice: Advice = Advice(retry="yes", fallback="yes", provider="yes", health="count")

    def __init__(self, message: str = "", *, usage: Usage | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.usage = usage


class ProviderTimeoutError(ProviderError):
    """The provider gave up waiting for its model (408, 504)."""

    advice: Advice = Advice(
        retry="once", fallback="yes", provider="yes", health="count", ledger="unknown", retry_cost=10
    )


class ProtocolError(ProviderError):
    """The answer is not what its protocol says: bad JSON, bad UTF-8, HTML with 200."""

    advice: Advice = Advice(retry="once", fallback="yes", provider="yes", health="count", ledger="estimated")


class ResponseTooLargeError(ProviderError):
    """The answer is larger than the limits of this client."""

    advice: Advice = Advice(health="count", ledger="estimated")


class ContentBlockedError(ProviderError):
    """The prompt or the answer was blocked, and there is no content.

    Attributes:
        usage: the tokens the provider counted for it, where it said so.
    """

    advice: Advice = Advice(fallback="opt_in", provider="opt_in", ledger="real", fallback_on="content_filter")

    def __init__(self, message: str = "", *, usage: Usage | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.usage = usage
