"""A conversation: the history kept, and one provider for life.

Every `send` and `stream` adds its question and, once the answer is whole, the answer; what failed or was cut adds
nothing, so the same question may be asked again. The models of a conversation may follow one another by fallback within
its provider; another provider is an explicit `fork`, whatever the configuration says of fallback across providers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ._engine.intake import Messages, read_messages
from ._engine.stream import Stream
from ._schema.messages import Message
from ._schema.response import Attempt, Response
from .errors import BadRequestError

if TYPE_CHECKING:
    from .client import Client


class Conversation:
    """Made by `Client.conversation`.

    Attributes:
        provider: the configured provider that answers; it never changes.
        messages: everything said so far.
    """

    def __init__(self, client: Client, *, provider: str, model: str | None, messages: tuple[Message, ...] = ()) -> None:
        self.provider = provider
        self.messages = messages
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

    async def send(self, messages: Messages, **keywords: Any) -> Response:
        """Asks, with all that was said before; the keywords are those of `Client.send`.

        Raises:
            BadRequestError: the call names another provider; `fork` the conversation instead.
            AsyncLLMError: as `Client.send`.
        """
        asked = read_messages(messages)
        try:
            reply = await self._client.send((*self.messages, *asked), **self._bound(keywords))
        except BaseException as error:
            self._attempts += getattr(error, "attempts", ())
            raise
        self._attempts += reply.attempts
        self.messages = (*self.messages, *asked, reply.message)
        return reply

    def stream(self, messages: Messages, **keywords: Any) -> Stream:
        """Asks, and gives the answer as it comes; the history grows when the answer is whole.

        Raises:
            BadRequestError: as `send`.
        """
        asked = read_messages(messages)
        stream = self._client.stream((*self.messages, *asked), **self._bound(keywords))

        def ended(response: Response, whole: bool) -> None:
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

    def _bound(self, keywords: dict[str, Any]) -> dict[str, Any]:
        if keywords.get("provider", self.provider) != self.provider:
            raise BadRequestError(f"this conversation belongs to {self.provider}; fork(provider=...) makes another one")
        for hop in keywords.get("fallback") or ():
            if not isinstance(hop, str) and hop[0] != self.provider:
                raise BadRequestError(
                    f"this conversation belongs to {self.provider}; fork(provider=...) makes one for {hop[0]}"
                )
        bound = {**keywords, "provider": self.provider}
        bound.setdefault("model", self._model)
        bound.setdefault("fallback", list(self._client.settings.providers[self.provider].fallback_models))
        return bound
