"""A conversation: it keeps the history and stays with one provider.

Every `send`, `stream` and `run` adds its question and, once the answer is whole, the answer. What failed or was cut
adds nothing, so the same question may be asked again. The models of a conversation may follow one another by fallback
within its provider. Another provider is an explicit `fork`, whatever the configuration says of fallback across
providers.

A conversation outlives its process: `to_json` writes all of it, and ``client.conversation(saved=text)`` takes it up
again; `Client.conversations` does so by itself, in a database. With `Keep` only the last part of a long history is
sent. With `Compact` the model, or the provider itself, sums up what is older.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from typing_extensions import TypeForm, Unpack

from . import _checks
from ._checks import JSONFormat
from ._conversation_rules import SUM_UP, Compact, Keep, leading_of, left_out
from ._engine.intake import Messages, read_messages
from ._engine.stream import Stream
from ._models.tokens import estimate_tokens
from ._options import CallOptions, with_keywords
from ._run_options import RUN_KEYWORDS, RunOptions, with_run_keywords
from ._schema.content import ProviderToolCall, ProviderToolResult, Unknown
from ._schema.events import Event
from ._schema.messages import Message
from ._schema.request import Request
from ._schema.response import Attempt, Response
from ._schema.stored import StoredFormatError, stored_conversation, to_text
from ._schema.stored import load_messages as read_stored
from .errors import AsyncLLMError, BadRequestError, StructuredOutputError

if TYPE_CHECKING:
    from ._run_stream import RunStream
    from .client import Client
    from .runs import Run

T = TypeVar("T")
_log = logging.getLogger("asyncllm")


_FORMAT = 1


class Keeper(Protocol):
    """Writes a conversation into a database."""

    id: str

    async def check(self) -> None:
        """Raises `ConversationConflictError` where somebody else has written the conversation."""
        ...

    async def write(self, talk: Conversation) -> None:
        """Writes the conversation as it is now."""
        ...


class Conversation:
    """A conversation with one provider. Made by `Client.conversation`, or by `Conversations.open`.

    Attributes:
        provider: the configured provider that answers; it never changes.
        messages: everything said so far.
        dropped: after a `fork` to another provider: what of the history it will not understand, a sentence each.
        keeper: writes it into a database after each exchange; None for one that is in memory only.
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
        compact: Compact | None = None,
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
        self._compact = compact
        self.keeper: Keeper | None = None
        self._unwritten = False
        self._cost = cost
        self._unpriced = unpriced

    @property
    def id(self) -> str | None:
        """Its id in the database; None for one that is in memory only."""
        return None if self.keeper is None else self.keeper.id

    @property
    def model(self) -> str | None:
        """The model that is asked; None for the configured one."""
        return self._model

    @property
    def cost(self) -> Decimal:
        """The cost in US dollars of all its attempts, failed ones too, without attempts of unknown cost."""
        return self._cost

    @property
    def unpriced(self) -> int:
        """How many attempts have no known cost."""
        return self._unpriced

    def _count(self, attempts: Sequence[Attempt]) -> None:
        self._unwritten = self._unwritten or bool(attempts)
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
        await self._prepare(asked)
        try:
            reply: Response[Any] = await self._client.send(
                (*self._sent(), *asked), response_format=response_format, **self._bound(options)
            )
        except AsyncLLMError as error:
            self._count(error.attempts)
            raise
        self._count(reply.attempts)
        self.messages = (*self.messages, *asked, reply.message)
        await self.save()
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

        if self.keeper is not None or self._compact is not None:
            stream = _KeptStream(stream, self._streamed)
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
            AsyncLLMError: as `Client.send` raises it; the conversation is as it was before. ``run(error.run)`` goes on.
        """
        from .runs import Run

        await self._prepare(() if isinstance(messages, Run) else read_messages(messages))
        said, unsent = self._said(messages)
        try:
            run: Run[Any] = await self._client.run(said, response_format=response_format, **self._bound_run(options))
        except AsyncLLMError as error:
            self._count(error.attempts if error.run is None else error.run.attempts)
            raise
        self._ran(run, unsent)
        await self.save()
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

        async def ended(run: Run[Any]) -> None:
            self._ran(run, unsent)
            await self._streamed()

        events.when_ended(ended)
        return events

    def _said(self, messages: Messages | Run[Any]) -> tuple[Any, tuple[Message, ...]]:
        """Returns the messages of a run, and the part of the history that `keep` leaves out."""
        from .runs import Run

        if isinstance(messages, Run):
            return messages, left_out(self.messages, messages.messages)
        sent = self._sent()
        leading = leading_of(self.messages)
        unsent = self.messages[leading : len(self.messages) - (len(sent) - leading)]
        return (*sent, *read_messages(messages)), unsent

    def _ran(self, run: Run[Any], unsent: tuple[Message, ...]) -> None:
        self._count(run.attempts)
        if not unsent:
            self.messages = run.messages
            return
        leading = leading_of(run.messages)
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
            compact=self._compact,
        )
        if not same:
            made.dropped = _foreign(self.messages)
        return made

    def rewind(self, turns: int = 1) -> tuple[Message, ...]:
        """Removes the last exchanges. The next exchange writes that into the database, and so does `save`.

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
        self._unwritten = True
        return taken

    async def compact(self, *, keep_turns: int = 2, model: str | None = None, instructions: str = SUM_UP) -> bool:
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
        leading = self.messages[: leading_of(self.messages)]
        rest = self.messages[len(leading) :]
        starts = [place for place, message in enumerate(rest) if message.role == "user"]
        if len(starts) <= keep_turns:
            return False
        cut = starts[-keep_turns] if keep_turns > 0 else len(rest)
        options: CallOptions = {} if model is None else {"model": model}
        if self._options.get("tools"):
            options["tool_choice"] = "none"
        try:
            reply = await self._client.send((*leading, *rest[:cut], Message.user(instructions)), **self._bound(options))
        except AsyncLLMError as error:
            self._count(error.attempts)
            raise
        self._count(reply.attempts)
        summary = Message.user(f"(Summary of the conversation so far: {reply.text})")
        self.messages = (*leading, summary, Message.assistant("I keep that in mind."), *rest[cut:])
        await self.save()
        return True

    async def save(self) -> None:
        """Writes it into its database, if it has one; done by itself after each exchange, and needed after `rewind`.

        Raises:
            ConversationConflictError: somebody else has written it.
        """
        self._unwritten = False
        if self.keeper is not None:
            await self.keeper.write(self)

    async def _prepare(self, asked: tuple[Message, ...]) -> None:
        """Before a call: nobody else has written it, and it is not too long."""
        if self.keeper is not None:
            await self.keeper.check()
        if self._is_long(asked):
            await self._sum_up()

    async def _streamed(self) -> None:
        """After a stream: it is written, and summed up for the next call if it is long."""
        if self._unwritten:
            await self.save()
            if self._is_long(()):
                try:
                    await self._sum_up()
                except AsyncLLMError as error:  # the reply is there; the next call tries again
                    _log.warning("the conversation could not be summed up: %s", error, extra={"event": "conversation"})

    def _is_long(self, asked: tuple[Message, ...]) -> bool:
        rule = self._compact
        return rule is not None and rule.by == "model" and self._tokens((*self._sent(), *asked)) > rule.tokens

    async def _sum_up(self) -> None:
        rule = self._compact
        if rule is not None:
            await self.compact(keep_turns=rule.keep_turns, model=rule.model, instructions=rule.instructions)

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
        leading = messages[: leading_of(messages)]
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

    def _bound(self, options: CallOptions) -> CallOptions:
        """The options of a call; keywords of runs that the conversation was made with are for its runs."""
        own: dict[str, Any] = {name: value for name, value in self._options.items() if name not in RUN_KEYWORDS}
        return {**own, **self._placed(options)}  # type: ignore[typeddict-item]  # keywords of calls only

    def _bound_run(self, options: RunOptions) -> RunOptions:
        """The options of a run."""
        return {**self._options, **self._placed(options)}

    def _placed(self, options: CallOptions) -> CallOptions:
        """The options with this conversation's provider, model and chain."""
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
        if self._compact is not None and self._compact.by == "provider":
            options = {"compact_at": self._compact.tokens, **options}
        return {
            **options,
            "provider": self.provider,
            "model": self._model if options.get("model") is None else options["model"],
            "fallback": fallback,
        }


class _KeptStream(Stream[T]):
    """Takes the place of a stream that has not begun; ``then`` is awaited after its last event, or at its close."""

    def __init__(self, stream: Stream[T], then: Callable[[], Awaitable[None]]) -> None:
        super().__init__(stream._plan)  # noqa: SLF001  # of its own class
        self._then = then

    async def __anext__(self) -> Event:
        try:
            return await super().__anext__()
        except (StopAsyncIteration, StructuredOutputError):
            await self._then()
            raise

    async def batch(self) -> list[Event]:
        """Returns all events that have come: at least one, or none at the end."""
        events = await super().batch()
        if not events:
            await self._then()
        return events

    async def aclose(self) -> None:
        """Closes the connection, even if there is more to read. Iteration then ends. Closing twice is fine."""
        await super().aclose()
        await self._then()


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
