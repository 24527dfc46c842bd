"""A conversation: the history kept, and one provider for life.

Every `send` and `stream` adds its question and, once the answer is whole, the answer; what failed or was cut adds
nothing, so the same question may be asked again. The models of a conversation may follow one another by fallback within
its provider; another provider is an explicit `fork`, whatever the configuration says of fallback across providers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar, overload

from typing_extensions import TypeForm, Unpack

from . import _checks
from ._checks import JSONFormat
from ._engine.intake import Messages, read_messages
from ._engine.stream import Stream
from ._options import CallOptions, with_keywords
from ._schema.messages import Message
from ._schema.response import Attempt, Response
from .errors import BadRequestError

if TYPE_CHECKING:
    from .client import Client

T = TypeVar("T")


class Conversation:
    """Made by `Client.conversation`.

    Attributes:
        provider: the configured provider that answers; it never changes.
        messages: everything said so far.
    """

    def __init__(self, client: Client, *, provider: str, model: str | None, messages: tuple[Message, ...] = ()) -> None:
        self.provider = provider
        self.messages: tuple[Message, ...] = messages
        self._client = client
        self._model = model
        self._attempts: list[Attempt] = []

    @property
    def cost(self) -> Decimal:
        """US dollars of every attempt made for it, failed ones included, without what has no known price."""
        return sum([attempt.cost for attempt in self._attempts if attempt.cost is not None], Decimal(0))

    @property
    def unpriced(self) -> int:
        """How many attempts have no known cost."""
        return sum(attempt.cost is None for attempt in self._attempts)

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
                (*self.messages, *asked), response_format=response_format, **self._bound(options)
            )
        except BaseException as error:
            self._attempts += getattr(error, "attempts", ())
            raise
        self._attempts += reply.attempts
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
            (*self.messages, *asked), response_format=response_format, **self._bound(options)
        )

        def ended(response: Response[Any], whole: bool) -> None:
            self._attempts += response.attempts
            if whole:
                self.messages = (*self.messages, *asked, response.message)

        stream.when_ended(ended)
        return stream

    def fork(self, *, provider: str | None = None, model: str | None = None) -> Conversation:
        """A conversation of its own with the same history, on the same provider or another one."""
        same = provider is None or provider == self.provider
        return Conversation(
            self._client,
            provider=provider or self.provider,
            model=model or (self._model if same else None),
            messages=self.messages,
        )

    def _bound(self, options: CallOptions) -> CallOptions:
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
        return {
            **options,
            "provider": self.provider,
            "model": options.get("model") or self._model,
            "fallback": fallback,
        }
