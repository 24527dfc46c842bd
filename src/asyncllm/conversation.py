"""A conversation: it keeps the history and stays with one provider.

Every `send`, `stream` and `run` adds its question and, once the answer is whole, the answer. What failed or was cut
adds nothing, so the same question may be asked again. The models of a conversation may follow one another by fallback
within its provider. Another provider is an explicit `fork`, whatever the configuration says of fallback across
providers.

A conversation outlives its process: `to_json` writes all of it, and ``client.conversation(saved=text)`` takes it up
again. With `Keep` only the last part of a long history is sent; `compact` lets the model sum up what is older.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeVar, overload

from typing_extensions import TypeForm, Unpack

from . import _checks
from ._checks import JSONFormat
from ._engine.intake import Messages, read_messages
from ._engine.stream import Stream
from ._models.tokens import estimate_tokens
from ._options import CallOptions, with_keywords
from ._run_options import RunOptions, with_run_keywords
from ._schema.content import ProviderToolCall, ProviderToolResult, Unknown
from ._schema.messages import Message
from ._schema.request import Request
from ._schema.response import Attempt, Response
from ._schema.stored import StoredFormatError, stored_conversation, to_text
from ._schema.stored import load_messages as read_stored
from .errors import AsyncLLMError, BadRequestError

if TYPE_CHECKING:
    from ._run_stream import RunStream
    from .client import Client
    from .runs import Run

T = TypeVar("T")


_FORMAT = 1
_SUM_UP = (
    "Sum up the conversation so far in at most 300 words, for your own later use. Keep names, numbers, decisions and "
    "open questions."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How much of a long history is sent. System messages are always sent, and an exchange is never cut in two.

    An exchange is a message of the user and all that follows it up to the next one, tools included.

    Attributes:
        turns: the last exchanges.
        tokens: as many of the last exchanges as fit, by an estimate; the last one always.
    """

    turns: int | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("turns", "tokens"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise BadRequestError(f"keep {name} must be a whole number of at least 1, not {value!r}")


class Conversation:
    """A conversation with one provider. Made by `Client.conversation`.

    Attributes:
        provider: the configured provider that answers; it never changes.
        messages: everything said so far.
        dropped: after a `fork` to another provider: what of the history it will not understand, a sentence each.
    """

    def __init__(
        self,
        client: Client,
        *,
        provider: str,
        model: str | None,
        messages: tuple[Message, ...] = (),
        options: RunOptions | None = None,
        keep: Keep | None = None,
        cost: Decimal = Decimal(0),
        unpriced: int = 0,
    ) -> None:
        self.provider = provider
        self.messages: tuple[Message, ...] = messages
        self.dropped: tuple[str, ...] = ()
        self._client = client
        self._model = model
        self._options: RunOptions = options or {}
        self._keep = keep
        self._cost = cost
        self._unpriced = unpriced

    @property
    def cost(self) -> Decimal:
        """The cost in US dollars of all its attempts, failed ones too, without attempts of unknown cost."""
        return self._cost

    @property
    def unpriced(self) -> int:
        """How many attempts have no known cost."""
        return self._unpriced

    def _count(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            if attempt.cost is None:
                self._unpriced += 1
            else:
                self._cost += attempt.cost

    @overload
    async def send(
        self, messages: Messages, *, response_format: None = None, **options: Unpack[CallOptions]
    ) -> Response[None]: ...
    @overload
    async def send(
        self, messages: Messages, *, response_format: JSONFormat, **options: Unpack[CallOptions]
    ) -> Response[Any]: ...
    @overload
    async def send(
        self, messages: Messages, *, response_format: TypeForm[T], **options: Unpack[CallOptions]
    ) -> Response[T]: ...
    @with_keywords
    async def send(
        self, messages: Messages, *, response_format: Any = None, **options: Unpack[CallOptions]
    ) -> Response[Any]:
        """Sends the messages with all that was said before, and returns the whole reply.

        Args:
            messages: a string, or a list of `Message` or ``{"role", "content"}`` dicts.
            response_format: the type or format of the answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The reply; it and the messages are now part of the conversation.

        Raises:
            BadRequestError: the call names another provider; `fork` the conversation instead.
            AsyncLLMError: as `Client.send` raises it; the conversation is as it was before.
        """
        asked = read_messages(messages)
        try:
            reply: Response[Any] = await self._client.send(
                (*self._sent(), *asked), response_format=response_format, **self._bound(options)
            )
        except AsyncLLMError as error:
            self._count(error.attempts)
            raise
        self._count(reply.attempts)
        self.messages = (*self.messages, *asked, reply.message)
        return reply

    @overload
    def stream(
        self, messages: Messages, *, response_format: None = None, **options: Unpack[CallOptions]
    ) -> Stream[None]: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: JSONFormat, **options: Unpack[CallOptions]
    ) -> Stream[Any]: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: TypeForm[T], **options: Unpack[CallOptions]
    ) -> Stream[T]: ...
    @with_keywords
    def stream(self, messages: Messages, *, response_format: Any = None, **options: Unpack[CallOptions]) -> Stream[Any]:
        """Sends the messages with all that was said before, and returns the reply as it comes.

        Args:
            messages: a string, or a list of `Message` or ``{"role", "content"}`` dicts.
            response_format: the type or format of the answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The stream; the messages and the reply become part of the conversation when the reply is whole.

        Raises:
            BadRequestError: a message or a keyword is wrong, or the call names another provider; at once.
            AsyncLLMError: as `Client.stream` raises it.
        """
        asked = read_messages(messages)
        stream: Stream[Any] = self._client.stream(
            (*self._sent(), *asked), response_format=response_format, **self._bound(options)
        )

        def ended(response: Response[Any], whole: bool) -> None:
            self._count(response.attempts)
            if whole:
                self.messages = (*self.messages, *asked, response.message)

        stream.when_ended(ended)
        return stream

    @overload
    async def run(
        self, messages: Messages | Run[Any], *, response_format: None = None, **options: Unpack[RunOptions]
    ) -> Run[None]: ...
    @overload
    async def run(
        self, messages: Messages | Run[Any], *, response_format: JSONFormat, **options: Unpack[RunOptions]
    ) -> Run[Any]: ...
    @overload
    async def run(
        self, messages: Messages | Run[Any], *, response_format: TypeForm[T], **options: Unpack[RunOptions]
    ) -> Run[T]: ...
    @with_run_keywords
    async def run(
        self, messages: Messages | Run[Any], *, response_format: Any = None, **options: Unpack[RunOptions]
    ) -> Run[Any]:
        """Lets the model call tools until it answers, with all that was said before; see `Client.run`.

        Args:
            messages: what is said now; or a `Run` of this conversation that stopped early, which goes on.
            response_format: the type or format of the last answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The run. Its messages, the calls and results of tools included, are now part of the conversation.

        Raises:
            BadRequestError: the call names another provider; `fork` the conversation instead.
            AsyncLLMError: as `Client.send` raises it; the conversation is as it was before.
        """
        said, unsent = self._said(messages)
        try:
            run: Run[Any] = await self._client.run(said, response_format=response_format, **self._bound_run(options))
        except AsyncLLMError as error:
            self._count(error.attempts)
            raise
        self._ran(run, unsent)
        return run

    @overload
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: None = None, **options: Unpack[RunOptions]
    ) -> RunStream[None]: ...
    @overload
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: JSONFormat, **options: Unpack[RunOptions]
    ) -> RunStream[Any]: ...
    @overload
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: TypeForm[T], **options: Unpack[RunOptions]
    ) -> RunStream[T]: ...
    @with_run_keywords
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: Any = None, **options: Unpack[RunOptions]
    ) -> RunStream[Any]:
        """Does what `run` does, and returns the events as they come.

        Args:
            messages: as for `run`.
            response_format: the type or format of the last answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The events. The messages become part of the conversation after the last one.

        Raises:
            BadRequestError: the call names another provider; at once.
            AsyncLLMError: everything else, while it is iterated.
        """
        said, unsent = self._said(messages)
        events: RunStream[Any] = self._client.run_stream(
            said, response_format=response_format, **self._bound_run(options)
        )
        events.when_ended(lambda run: self._ran(run, unsent))
        return events

    def _said(self, messages: Messages | Run[Any]) -> tuple[Any, tuple[Message, ...]]:
        """Returns the messages of a run, and the part of the history that `keep` leaves out."""
        from .runs import Run

        if isinstance(messages, Run):
            return messages, ()
        sent = self._sent()
        leading = _leading(self.messages)
        unsent = self.messages[leading : len(self.messages) - (len(sent) - leading)]
        return (*sent, *read_messages(messages)), unsent

    def _ran(self, run: Run[Any], unsent: tuple[Message, ...]) -> None:
        self._count(run.attempts)
        if not unsent:
            self.messages = run.messages
            return
        leading = _leading(run.messages)
        self.messages = (*run.messages[:leading], *unsent, *run.messages[leading:])

    def fork(self, *, provider: str | None = None, model: str | None = None) -> Conversation:
        """Returns a new conversation with the same history.

        Args:
            provider: the provider of the new one; by default the same.
            model: its model; by default the same, or the configured one of another provider.

        Returns:
            The new conversation; ``dropped`` says what of the history another provider will not understand.
        """
        same = provider is None or provider == self.provider
        made = Conversation(
            self._client,
            provider=provider or self.provider,
            model=model or (self._model if same else None),
            messages=self.messages,
            options=self._options,
            keep=self._keep,
        )
        if not same:
            made.dropped = _foreign(self.messages)
        return made

    def rewind(self, turns: int = 1) -> tuple[Message, ...]:
        """Removes the last exchanges.

        Args:
            turns: how many messages of the user are taken back, with all that follows them.

        Returns:
            The messages that were taken back.

        Raises:
            BadRequestError: there are not so many.
        """
        starts = [place for place, message in enumerate(self.messages) if message.role == "user"]
        if isinstance(turns, bool) or not isinstance(turns, int) or not 1 <= turns <= len(starts):
            raise BadRequestError(f"there are {len(starts)} exchanges to take back, not {turns!r}")
        cut = starts[-turns]
        taken, self.messages = self.messages[cut:], self.messages[:cut]
        return taken

    async def compact(self, *, keep_turns: int = 2, model: str | None = None, instructions: str = _SUM_UP) -> bool:
        """Replaces the older part of the history by a summary that the model writes.

        Args:
            keep_turns: how many of the last exchanges stay as they are.
            model: who sums up; by default the conversation's own model.
            instructions: what the model is told.

        Returns:
            Whether there was something to sum up.

        Raises:
            AsyncLLMError: as `Client.send` raises it; the conversation is as it was before.
        """
        leading = self.messages[: _leading(self.messages)]
        rest = self.messages[len(leading) :]
        starts = [place for place, message in enumerate(rest) if message.role == "user"]
        if len(starts) <= keep_turns:
            return False
        cut = starts[-keep_turns] if keep_turns > 0 else len(rest)
        options: CallOptions = {} if model is None else {"model": model}
        try:
            reply = await self._client.send((*leading, *rest[:cut], Message.user(instructions)), **self._bound(options))
        except AsyncLLMError as error:
            self._count(error.attempts)
            raise
        self._count(reply.attempts)
        summary = Message.user(f"(Summary of the conversation so far: {reply.text})")
        self.messages = (*leading, summary, Message.assistant("I keep that in mind."), *rest[cut:])
        return True

    def to_json(self) -> str:
        """Returns the conversation as text to store, in a stable format. ``client.conversation(saved=...)`` reads it.

        `asyncllm.load_messages` reads the messages of it.
        """
        return to_text(
            {
                "asyncllm_conversation": _FORMAT,
                "provider": self.provider,
                "model": self._model,
                "cost": str(self._cost),
                "unpriced": self._unpriced,
                **stored_conversation(self.messages),
            }
        )

    def _sent(self) -> tuple[Message, ...]:
        """Returns the history to send: all of it, or what `keep` says."""
        keep, messages = self._keep, self.messages
        if keep is None:
            return messages
        leading = messages[: _leading(messages)]
        starts = [place for place, message in enumerate(messages) if message.role == "user"]
        if not starts:
            return messages
        first = 0
        if keep.turns is not None:
            first = max(first, len(starts) - keep.turns)
        if keep.tokens is not None:
            ends = [*starts[1:], len(messages)]
            sizes = [self._tokens(messages[start:end]) for start, end in zip(starts, ends, strict=True)]
            total = self._tokens(leading)
            fitting = len(starts)
            for size in reversed(sizes):
                if total + size > keep.tokens and fitting < len(starts):
                    break
                total += size
                fitting -= 1
            first = max(first, fitting)
        return messages if first == 0 else (*leading, *messages[starts[first] :])

    def _tokens(self, messages: tuple[Message, ...]) -> int:
        return estimate_tokens(Request(model=self._model or "", messages=messages)) if messages else 0

    def _bound_run(self, options: RunOptions) -> RunOptions:
        return self._bound(options)  # type: ignore[return-value]  # it keeps every keyword

    def _bound(self, options: CallOptions) -> CallOptions:
        """Returns the options of a call with this conversation's own options, provider, model and chain."""
        if (options.get("provider") or self.provider) != self.provider:
            raise BadRequestError(f"this conversation belongs to {self.provider}; fork(provider=...) makes another one")
        fallback = options.get("fallback")
        if fallback is None:
            fallback = list(self._client.settings.providers[self.provider].fallback_models)
        for hop in _checks.fallback("fallback", fallback):
            if not isinstance(hop, str) and hop[0] != self.provider:
                raise BadRequestError(
                    f"this conversation belongs to {self.provider}; fork(provider=...) makes one for {hop[0]}"
                )
        return {
            **self._options,  # type: ignore[typeddict-unknown-key]  # keywords of runs are there for runs only
            **options,
            "provider": self.provider,
            "model": options.get("model") or self._model,
            "fallback": fallback,
        }


def _leading(messages: Sequence[Message]) -> int:
    """Returns the number of system messages at the beginning."""
    return sum(1 for _ in takewhile(lambda message: message.role == "system", messages))


def _foreign(messages: Sequence[Message]) -> tuple[str, ...]:
    """Returns what belongs to the provider that wrote it and is not sent to another one."""
    found: dict[str, int] = {}
    for message in messages:
        for part in message.content:
            if getattr(part, "signature", None) or getattr(part, "encrypted", None):
                found["signed or encrypted reasoning"] = found.get("signed or encrypted reasoning", 0) + 1
            elif isinstance(part, (ProviderToolCall, ProviderToolResult)):
                found["tools that the provider ran"] = found.get("tools that the provider ran", 0) + 1
            elif getattr(part, "file_id", None):
                found["files by their id"] = found.get("files by their id", 0) + 1
            elif isinstance(part, Unknown):
                found["content of unknown types"] = found.get("content of unknown types", 0) + 1
    return tuple([f"{what}: {count}" for what, count in found.items()])


def load_messages(stored: str | bytes | Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Returns the messages that `dump_messages` or `Conversation.to_json` wrote.

    Args:
        stored: the text, or the list of messages in it.

    Raises:
        BadRequestError: it is no stored conversation, or one of a later version.
    """
    try:
        return read_stored(stored)
    except StoredFormatError as error:
        raise BadRequestError(str(error)) from None


def read_saved(text: str) -> Mapping[str, Any]:
    """Reads what `Conversation.to_json` wrote: provider, model, cost, unpriced and messages.

    Raises:
        BadRequestError: it is no stored conversation, or one of a later version.
    """
    try:
        found = json.loads(text)
        version = found["asyncllm_conversation"]
    except (ValueError, KeyError, TypeError):
        raise BadRequestError("this is no stored conversation: it must be the text that to_json() gave") from None
    if version != _FORMAT:
        raise BadRequestError(f"this conversation was stored by a later version (format {version}); update asyncllm")
    try:
        return {
            "provider": str(found["provider"]),
            "model": found["model"],
            "messages": load_messages(text),
            "cost": Decimal(found["cost"]),
            "unpriced": int(found["unpriced"]),
        }
    except (KeyError, ValueError, ArithmeticError) as error:
        raise BadRequestError(f"a stored conversation cannot be read: {error}") from None
