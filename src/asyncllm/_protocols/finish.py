"""Finish reasons: one vocabulary for the words of all providers, as gateways pass on each other's.

Rules.

* Case does not matter, and a word counts on every wire: Gemini's ``MAX_TOKENS`` behind the chat format is a length.
* A reply that holds calls for the caller and ended normally has the reason ``tool_calls``, whatever the word.
* A word that means that generation failed (``error``, ``MALFORMED_FUNCTION_CALL``, ``malformed_*``) or was broken off
  (``abort``, ``cancelled``) is an error and no reply, also after thoughts or text. So is every word not known here in
  which ``error``, ``fail`` or the like stands.
* An answer that holds nothing and gives no reason is an error; thoughts alone, and empty texts, are nothing. So is one
  that holds nothing and ends with the word for calls.
* ``UNEXPECTED_TOOL_CALL`` complains of the call itself: the model called a function that was not declared. Where the
  call came whole, it is a reply with a call, as on the hosts that do not check names: the caller can answer "there is
  no such tool", the host takes that history, and the model corrects itself (recorded on Vertex). Without a call it
  failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from .._schema.content import Part, Reasoning, Refusal, Text
from .._schema.response import FinishReason
from .._schema.usage import Usage
from ..errors import Advice, ContentBlockedError, ServerError
from .codec import Context

_STOP = (
    *("stop", "eos", "end_turn", "stop_sequence", "eos_token", "finish", "finished", "complete", "completed", "done"),
    *("endoftext", "stop_criteria_met", "tool_use", "1"),
)
# Words for "the calls are for you": without calls in the reply they say nothing that we know.
_CALLS = ("tool_calls", "tool_call", "function_call")
_LENGTH = (
    *("length", "max_tokens", "model_length", "max_output_tokens", "model_context_window_exceeded", "max_length", "2"),
)
_FILTER = (
    *("content_filter", "sensitive", "content_filtered", "guardrail_intervened", "error_toxic", "safety", "recitation"),
    *("blocklist", "prohibited_content", "spii", "image_safety", "image_prohibited_content", "image_recitation"),
    *("model_armor", "escalation", "pup_limited_disabled", "3", "4"),
)

WORDS: Mapping[str, FinishReason] = MappingProxyType(
    {
        **dict.fromkeys(_STOP, "stop"),
        **dict.fromkeys(_LENGTH, "length"),
        **dict.fromkeys(_FILTER, "content_filter"),
        **dict.fromkeys(("pause_turn", "continuation"), "pause"),
        "refusal": "refusal",
    }
)
"""Lower-case word -> reason. The digits are Gemini's reasons, from servers that write enums as numbers; from 5 on its
two hosts disagree."""

# vLLM and SGLang say `abort`, DeepSeek `insufficient_system_resource`, Cohere `user_cancel`.
_FAILED = frozenset({"interrupted", "insufficient_system_resource", "user_cancel"})
# `incomplete` is the status of a Responses reply that does not say why.
_NO_REASON = frozenset({"", "null", "none", "unspecified", "finish_reason_unspecified", "incomplete"})
_UNDECLARED = "unexpected_tool_call"
# Z.ai says `network_error`, Cohere `error_limit`; `error_toxic` and its like are in the table of words.
_FAILED_PARTS = (
    *("malformed", "error", "fail", "exception", "abort", "cancelled", "canceled", "timeout", "timed_out", "crash"),
    *(_UNDECLARED, "too_many_tool_calls", "missing_thought_signature"),
)
_ONCE = Advice(retry="once", fallback="yes", provider="yes", health="count", ledger="real")


def finish_reason(word: str | None, *, calls: bool, refused: bool = False) -> FinishReason:
    """Returns the reason in our vocabulary; ``"other"`` for a word that is not known and for none.

    Args:
        word: the wire's own word.
        calls: the reply holds calls for the caller.
        refused: it holds a refusal.
    """
    plain = (word or "").lower()
    found = WORDS.get(plain, "other")
    if found == "stop" or found == "other":
        if calls:
            return "tool_calls"
        if refused and (found == "stop" or plain in _CALLS or not plain):
            return "refusal"
    return found


def means_failure(word: str | None, *, calls: bool = False) -> bool:
    """Whether a word says that the generation failed.

    Args:
        word: the wire's own word.
        calls: the reply holds calls for the caller.
    """
    plain = (word or "").lower()
    if calls and _UNDECLARED in plain:
        return False
    return plain in _FAILED or (plain not in WORDS and any(part in plain for part in _FAILED_PARTS))


class Said(NamedTuple):
    """Whether a reply holds anything.

    Attributes:
        anything: there are parts.
        answer: one of them is more than a thought or an empty text.
    """

    anything: bool
    answer: bool


def said_by(parts: Iterable[Part]) -> Said:
    """Returns what these parts hold."""
    anything = False
    for part in parts:
        if says_something(part):
            return Said(True, True)
        anything = anything or type(part) is not Text
    return Said(anything, False)


def says_something(part: Part) -> bool:
    """Returns whether a part belongs to an answer. A thought does not, and an empty text does not."""
    kind = type(part)
    if kind is Text or kind is Refusal:
        return bool(part.text or getattr(part, "citations", ()))  # type: ignore[union-attr]  # both have a text
    return kind is not Reasoning


def check_reply(
    word: str | None,
    *,
    said: Said,
    context: Context,
    calls: bool = False,
    request_id: str | None = None,
    status: int | None = None,
    usage: Usage | None = None,
    remark: object = None,
) -> None:
    """Raises an error for a failed generation, a blocked reply, or an empty one without a reason.

    Args:
        word: the wire's own word for the end.
        said: what came.
        context: of the call.
        calls: the reply holds whole calls for the caller.
        request_id: of the answer.
        status: of the answer; None in a stream.
        usage: what the provider counted.
        remark: the provider's own sentence about the end.

    Raises:
        ServerError: the generation failed, or nothing came and nobody says why.
        ContentBlockedError: a filter left nothing at all.
    """
    told = f": {remark}" if isinstance(remark, str) and remark else ""
    if means_failure(word, calls=calls):
        sentence = f"the provider says that the generation failed ({word}){told}"
    elif said.answer:
        return
    elif (word or "").lower() in _NO_REASON:
        sentence = f"the provider's answer holds nothing{' but thoughts' * said.anything} and gives no reason{told}"
    elif (word or "").lower() in _CALLS:
        sentence = f"the provider says that there are calls ({word}), and the answer holds none{told}"
    elif said.anything:
        return
    elif finish_reason(word, calls=False) in ("content_filter", "refusal"):
        raise ContentBlockedError(
            f"the answer was blocked ({word}); nothing of it came{told}",
            provider=context.provider,
            model=context.model,
            status=status,
            code=word,
            request_id=request_id,
            usage=usage,
        )
    else:
        return
    raise ServerError(
        sentence,
        provider=context.provider,
        model=context.model,
        status=status,
        code=word or None,
        request_id=request_id,
        usage=usage,
        advice=_ONCE,
    )
