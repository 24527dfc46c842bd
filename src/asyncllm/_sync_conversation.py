"""A conversation, blocking."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from typing_extensions import TypeForm, Unpack

from ._checks import JSONFormat
from ._conversation_rules import Compact, Keep
from ._engine.intake import Messages
from ._options import CallOptions, with_keywords
from ._run_options import RunOptions, with_run_keywords
from ._schema.messages import Message
from ._schema.response import Response
from ._sync_streams import SyncRunStream, SyncStream, Wait
from .conversation import Conversation

if TYPE_CHECKING:
    from ._conversation_store import Conversations, ConversationSummary
    from .runs import Run

__all__ = ["SyncConversation", "SyncConversations"]

T = TypeVar("T")


class SyncConversation:
    """A conversation that keeps its history and stays with one provider, blocking.

    Made by `SyncClient.conversation`.
    """

    def __init__(self, conversation: Conversation, call: Wait) -> None:
        self._conversation = conversation
        self._call = call

    @property
    def provider(self) -> str:
        """The configured provider that answers. It never changes."""
        return self._conversation.provider

    @property
    def messages(self) -> tuple[Message, ...]:
        """Everything said so far."""
        return self._conversation.messages

    @property
    def cost(self) -> Decimal:
        """US dollars of every attempt made for it, failed ones included, without what has no known price."""
        return self._conversation.cost

    @property
    def unpriced(self) -> int:
        """How many attempts have no known cost."""
        return self._conversation.unpriced

    @overload
    def send(
        self, messages: Messages, *, response_format: None = None, **options: Unpack[CallOptions]
    ) -> Response[None]: ...
    @overload
    def send(
        self, messages: Messages, *, response_format: JSONFormat, **options: Unpack[CallOptions]
    ) -> Response[Any]: ...
    @overload
    def send(
        self, messages: Messages, *, response_format: TypeForm[T], **options: Unpack[CallOptions]
    ) -> Response[T]: ...
    @with_keywords
    def send(self, messages: Messages, *, response_format: Any = None, **options: Unpack[CallOptions]) -> Response[Any]:
        """Sends the messages with all that was said before, and returns the whole reply.

        Args:
            messages: a string, or a list of `Message` or ``{"role", "content"}`` dicts.
            response_format: the type or format of the answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The reply; it and the messages are now part of the conversation.

        Raises:
            BadRequestError: the call names another provider; `fork` the conversation instead.
            AsyncLLMError: as `SyncClient.send` raises it; the conversation is as it was before.
        """
        return self._call(lambda: self._conversation.send(messages, response_format=response_format, **options))

    @overload
    def stream(
        self, messages: Messages, *, response_format: None = None, **options: Unpack[CallOptions]
    ) -> SyncStream[None]: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: JSONFormat, **options: Unpack[CallOptions]
    ) -> SyncStream[Any]: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: TypeForm[T], **options: Unpack[CallOptions]
    ) -> SyncStream[T]: ...
    @with_keywords
    def stream(
        self, messages: Messages, *, response_format: Any = None, **options: Unpack[CallOptions]
    ) -> SyncStream[Any]:
        """Sends the messages with all that was said before, and returns the reply as it comes.

        Args:
            messages: a string, or a list of `Message` or ``{"role", "content"}`` dicts.
            response_format: the type or format of the answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The stream; the messages and the reply become part of the conversation when the reply is whole.

        Raises:
            BadRequestError: a message or a keyword is wrong, or the call names another provider; at once.
            AsyncLLMError: as `SyncClient.stream` raises it.
        """
        return SyncStream(self._conversation.stream(messages, response_format=response_format, **options), self._call)

    @overload
    def run(
        self, messages: Messages | Run[Any], *, response_format: None = None, **options: Unpack[RunOptions]
    ) -> Run[None]: ...
    @overload
    def run(
        self, messages: Messages | Run[Any], *, response_format: JSONFormat, **options: Unpack[RunOptions]
    ) -> Run[Any]: ...
    @overload
    def run(
        self, messages: Messages | Run[Any], *, response_format: TypeForm[T], **options: Unpack[RunOptions]
    ) -> Run[T]: ...
    @with_run_keywords
    def run(
        self, messages: Messages | Run[Any], *, response_format: Any = None, **options: Unpack[RunOptions]
    ) -> Run[Any]:
        """Lets the model call tools until it answers, with all that was said before; see `SyncClient.run`.

        Args:
            messages: what is said now; or a `Run` of this conversation that stopped early, which goes on.
            response_format: the type or format of the last answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The run. Its messages, the calls and results of tools included, are now part of the conversation.

        Raises:
            BadRequestError: the call names another provider; `fork` the conversation instead.
            AsyncLLMError: as `SyncClient.send` raises it; the conversation is as it was before.
        """
        return self._call(lambda: self._conversation.run(messages, response_format=response_format, **options))

    @overload
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: None = None, **options: Unpack[RunOptions]
    ) -> SyncRunStream[None]: ...
    @overload
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: JSONFormat, **options: Unpack[RunOptions]
    ) -> SyncRunStream[Any]: ...
    @overload
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: TypeForm[T], **options: Unpack[RunOptions]
    ) -> SyncRunStream[T]: ...
    @with_run_keywords
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: Any = None, **options: Unpack[RunOptions]
    ) -> SyncRunStream[Any]:
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
        events = self._conversation.run_stream(messages, response_format=response_format, **options)
        return SyncRunStream(events, self._call)

    @property
    def model(self) -> str | None:
        """The model that is asked; None for the configured one."""
        return self._conversation.model

    @property
    def id(self) -> str | None:
        """Its id in the database; None for one that is in memory only."""
        return self._conversation.id

    def save(self) -> None:
        """Writes it into its database, if it has one; done by itself after each exchange, and needed after `rewind`."""
        self._call(self._conversation.save)

    def rewind(self, turns: int = 1) -> tuple[Message, ...]:
        """Removes the last exchanges and returns their messages.

        Args:
            turns: how many messages of the user are taken back, with all that follows them.

        Raises:
            BadRequestError: there are not so many.
        """
        return self._conversation.rewind(turns)

    def compact(self, **options: Any) -> bool:
        """Replaces the older part of the history by a summary that the model writes.

        Args:
            **options: ``keep_turns``, ``model`` and ``instructions``, as for `Conversation.compact`.

        Returns:
            Whether there was something to sum up.
        """
        return self._call(lambda: self._conversation.compact(**options))

    def to_json(self) -> str:
        """Returns the conversation as text to store. ``client.conversation(saved=...)`` reads it."""
        return self._conversation.to_json()

    @property
    def dropped(self) -> tuple[str, ...]:
        """After a `fork` to another provider: what it will not get of the history, a sentence each."""
        return self._conversation.dropped

    def fork(self, *, provider: str | None = None, model: str | None = None) -> SyncConversation:
        """Returns a new conversation with the same history.

        Args:
            provider: the provider of the new one; by default the same.
            model: its model; by default the same, or the configured one of another provider.
        """
        return SyncConversation(self._conversation.fork(provider=provider, model=model), self._call)


class SyncConversations:
    """Conversations in a database, blocking. Made by `SyncClient.conversations`."""

    def __init__(self, conversations: Conversations, call: Wait) -> None:
        self._conversations = conversations
        self._call = call

    def open(
        self,
        id: str,
        *,
        system: str | None = None,
        keep: Keep | None = None,
        compact: Compact | None = None,
        **options: Unpack[RunOptions],
    ) -> SyncConversation:
        """The conversation of an id: the stored one, or a new one. It is written after every exchange.

        Args:
            id: the application's own, such as ``"user-7/chat-3"``.
            system: instructions to the model, for a new one.
            keep: as for `SyncClient.conversation`.
            compact: as for `SyncClient.conversation`.
            **options: as for `SyncClient.conversation`.

        Raises:
            ConfigurationError: the database cannot be used, or there is no such provider.
        """
        made = self._call(lambda: self._conversations.open(id, system=system, keep=keep, compact=compact, **options))
        return SyncConversation(made, self._call)

    def put(self, id: str, talk: SyncConversation) -> None:
        """Writes a conversation under a new id, such as a fork; from then on it is written by itself.

        Args:
            id: an id that is not used yet.
            talk: the conversation.

        Raises:
            ConversationConflictError: there is a conversation of this id.
        """
        self._call(lambda: self._conversations.put(id, talk._conversation))  # noqa: SLF001  # of this very file

    def list(self, *, prefix: str = "", limit: int = 100, offset: int = 0) -> Sequence[ConversationSummary]:
        """The stored conversations, the one that was written last first.

        Args:
            prefix: only ids that begin so.
            limit: the most of them.
            offset: how many are passed over.
        """
        return self._call(lambda: self._conversations.list(prefix=prefix, limit=limit, offset=offset))

    def delete(self, id: str) -> bool:
        """Removes a conversation; says whether it was there."""
        return self._call(lambda: self._conversations.delete(id))

    def close(self) -> None:
        """Closes the database. Conversations that are open can still be used, and open it again."""
        self._call(self._conversations.aclose)

    def __enter__(self) -> SyncConversations:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
