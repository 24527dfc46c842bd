"""A canonical reply, with its usage and every HTTP attempt that was made for it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, Literal

from .content import Reasoning, ToolCall
from .foreign_names import OF_A_REPLY, explains
from .messages import Message
from .usage import UNKNOWN_USAGE, Usage
from .values import dataclass

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from ..errors import AsyncLLMError

    Parsed = TypeVar("Parsed", covariant=True, default=Any)
else:  # the standard library's has no default before Python 3.13; only type checkers look at it
    from typing import TypeVar

    Parsed = TypeVar("Parsed", covariant=True)

CostSource = Literal["provider", "table", "estimate"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause", "other"]
_MOST_SHOWN = 60
_MOST_BESIDE = 300
Outcome = Literal["ok", "error", "cancelled", "interrupted", "unknown", "cached"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One HTTP attempt, successful or not.

    Attributes:
        deployment: the key, region or endpoint that was used; None where the provider has only one.
        latency: seconds from the first byte out to the end of the answer.
        first_token_latency: seconds to the first content of a stream; None for unary calls.
        cost: USD; None when a part of the bill is unknown.
        cost_source: who says so: ``"provider"`` where it said what it charged, the price ``"table"``, or an
            ``"estimate"`` where nobody counted the tokens; None without a cost.
        unpriced_reason: why there is no cost; None where there is one.
        saved: USD that a reply from the response cache had cost when it was asked for; None for all other attempts.
        waited: seconds it waited for its turn under a limit; None where nothing is limited.
        variant: what load balancing chose for the call, as ``provider/model``; None without load balancing. It stays
            the same when the attempt is a fallback to another model.
    """

    provider: str
    model: str
    outcome: Outcome
    deployment: str | None = None
    error: AsyncLLMError | None = None
    status: int | None = None
    latency: float | None = None
    first_token_latency: float | None = None
    usage: Usage = UNKNOWN_USAGE
    cost: Decimal | None = None
    cost_source: CostSource | None = None
    unpriced_reason: str | None = None
    request_id: str | None = None
    waited: float | None = None
    saved: Decimal | None = None
    variant: str | None = None

    def __repr__(self) -> str:
        facts = [self.label, self.outcome, *([str(self.status)] if self.status is not None else [])]
        if self.latency is not None:
            facts.append(f"{self.latency:.2f} s")
        if self.error is not None:
            facts.append(type(self.error).__name__)
        return f"<Attempt {', '.join(facts)}>"

    @property
    def label(self) -> str:
        """Where it went: ``provider/model``, with the deployment between them where the provider has several."""
        return "/".join([name for name in (self.provider, self.deployment, self.model) if name is not None])


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What the provider's rate-limit headers said; ``reset`` values are seconds from the answer."""

    requests_limit: int | None = None
    requests_remaining: int | None = None
    requests_reset: float | None = None
    tokens_limit: int | None = None
    tokens_remaining: int | None = None
    tokens_reset: float | None = None


@explains(OF_A_REPLY)
@dataclass(frozen=True, slots=True, kw_only=True)
class Response(Generic[Parsed]):
    """A whole reply; ``Response[City]`` is one whose ``parsed`` is a City.

    Write the parameter in annotations only: call ``Response(...)`` without it.

    Attributes:
        message: the assistant's turn; put it into ``messages`` as it is to go on.
        finish_reason: why the model stopped, in one vocabulary for every provider.
        raw_finish_reason: the provider's own word for it.
        stop_sequence: which stop sequence ended the reply, where the wire tells.
        usage: tokens; unknown is unknown.
        cost: USD; None when a part of the bill is unknown.
        cost_source: who says so: ``"provider"`` where it said what it charged, the price ``"table"``, or an
            ``"estimate"`` where nobody counted the tokens; None without a cost.
        unpriced_reason: why there is no cost; None where there is one.
        provider: the configured name of the provider that answered.
        model: the model that answered, in the provider's words.
        requested_model: the model that was asked for.
        id: the provider's id of the reply.
        request_id: the provider's id of the HTTP request, for its support.
        call_id: the id of the call in the ledger, which all its attempts have in common; None without a ledger.
        parsed: the answer as the type of ``response_format``; None without one, and where the model calls tools first.
        warnings: what was left out or changed on the way, a sentence each.
        attempts: every HTTP attempt of the call, the successful one last.
        rate_limits: the provider's rate-limit headers, None where it sends none.
        raw: the decoded JSON body; of a stream what it told besides the parts, None where that is nothing.
        continuation: what the body of a request needs to go on where the provider paused (``finish_reason`` is
            ``"pause"``); None where the reply itself is sent back instead.
    """

    message: Message
    finish_reason: FinishReason
    raw_finish_reason: str | None = None
    stop_sequence: str | None = None
    usage: Usage = UNKNOWN_USAGE
    cost: Decimal | None = None
    cost_source: CostSource | None = None
    unpriced_reason: str | None = None
    provider: str = ""
    model: str = ""
    requested_model: str = ""
    id: str | None = None
    request_id: str | None = None
    call_id: str | None = None
    parsed: Parsed = None  # type: ignore[assignment]  # the default of a reply to which no format was asked
    warnings: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    rate_limits: RateLimits | None = None
    raw: Mapping[str, Any] | None = None
    continuation: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        """The text, the calls, and one line of facts: who answered, tokens, cost, time."""
        calls = [f"{call.name}({call.raw_arguments or ''})" for call in self.tool_calls]
        return "\n".join([*([self.text] if self.text else []), *calls, f"[{self._facts()}]"])

    def __repr__(self) -> str:
        shown = self.text if len(self.text) <= _MOST_SHOWN else f"{self.text[: _MOST_SHOWN - 1]}…"
        beside = _beside(self.raw or {})
        told = repr(beside)[:_MOST_BESIDE]
        return f"<Response {shown!r} [{self._facts()}]{f' beside it in raw: {told}' if beside else ''}>"

    def _facts(self) -> str:
        usage = self.usage
        read, written = ["?" if count is None else f"{count:,}" for count in (usage.input_tokens, usage.output_tokens)]
        facts = ["/".join(filter(None, (self.provider, self.model)))] if self.provider or self.model else []
        facts.append(f"{read} + {written} tokens")
        facts.append("cost unknown" if self.cost is None else f"${self.cost.normalize():f}")
        if self.attempts and self.attempts[-1].latency is not None:
            facts.append(f"{sum(attempt.latency or 0 for attempt in self.attempts):.2f} s")
        if len(self.attempts) > 1:
            facts.append(f"{len(self.attempts)} attempts")
        if self.finish_reason != "stop":
            facts.append(f"ended by {self.finish_reason}")
        container = (self.raw or {}).get("container")
        if isinstance(container, Mapping) and container.get("id"):
            facts.append(f"container {container['id']}")  # the next turn needs it
        if self.warnings:
            facts.append("1 warning" if len(self.warnings) == 1 else f"{len(self.warnings)} warnings")
        return ", ".join(facts)

    @property
    def text(self) -> str:
        """All text of the reply, joined; ``""`` if there is none."""
        return self.message.text

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls the caller must run; tools the provider ran itself are in ``message.content``."""
        return self.message.tool_calls

    @property
    def reasoning(self) -> str:
        """The readable reasoning, joined; ``""`` if there is none."""
        return "".join([part.text for part in self.message.content if type(part) is Reasoning])


def _beside(raw: Mapping[str, Any]) -> list[Any]:
    """What a caller asked for and no part holds: log probabilities, and the choices after the first."""
    found: list[Any] = []
    for name in ("choices", "candidates"):
        choices = raw.get(name)
        for at, choice in enumerate(choices if isinstance(choices, list) else ()):
            if not isinstance(choice, Mapping):
                continue
            found += [choice[key] for key in ("logprobs", "logprobsResult") if choice.get(key)]
            if choice.get("index", at):
                found.append(choice.get("message") or choice.get("content"))
    return found
