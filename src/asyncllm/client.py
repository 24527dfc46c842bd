"""The client: wires the configuration, the hosts and the engine together, and holds no logic of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar, overload

from typing_extensions import TypeForm, Unpack

from ._checks import JSONFormat
from ._engine.call import Call, Patience, Payer
from ._engine.intake import Messages, read_call
from ._engine.routing import Choice
from ._engine.sending import send
from ._engine.stream import Stream, StreamPlan
from ._options import Arguments, CallOptions, with_keywords
from ._runtime import Runtime
from ._schema.messages import Message
from ._schema.request import Request
from ._schema.response import Response
from .conversation import Conversation

T = TypeVar("T")


class Client(Runtime):
    """Talks to every configured provider.

    Works with or without ``async with``; `aclose` ends it. It belongs to the event loop of its first call.

    Args:
        config: the path of a config file, a mapping of the same shape, or `Settings`. Without it the client is made
            of ``provider``, of ``providers``, or of the environment's keys as by `from_env`.
        provider: instead of ``config``: the kind of the one provider, such as ``"openai"``.
        model: with ``provider``: the model that calls ask when they name none.
        api_key: with ``provider``: its key; by default the environment's.
        base_url: with ``provider``: where its API is.
        providers: hosts of your own; an entry of the configuration with the same name holds their models and timeouts.
            Without ``config`` the first of them is the active one.
        http_client: an ``httpx.AsyncClient`` of your own to send everything through; never closed here.
        environ: where ``${VAR}`` and keys are looked up; the process's environment by default.
        on_alert: called when a budget reaches 90% and 100%, once a window, on a thread of the ledger's own.

    Raises:
        ConfigurationError: the configuration is wrong; the sentence names file, line and key.
    """

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
        """Sends the messages and returns the whole reply.

        Args:
            messages: a string, or a list of `Message` or ``{"role", "content"}`` dicts.
            response_format: the type or format of the answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The reply. ``parsed`` is the answer as ``response_format``; ``attempts`` lists every HTTP attempt.

        Raises:
            BadRequestError: a message or a keyword is wrong; nothing was sent.
            StructuredOutputError: the answer does not fit ``response_format``, or was cut or refused.
            AsyncLLMError: one of `asyncllm.errors`; each says what to do.
        """
        asked = read_call(messages, response_format, options, self._formats)
        request, choice = self._choose(asked)
        call = Call(
            self._lifetime.engine(),
            choice.targets,
            request,
            self._patience(asked, choice),
            _payer(asked),
            choice.variant,
        )
        return await send(call, parse=asked.parse, reasks=asked.validation_retries)

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
        """Sends the messages and returns the reply as it comes: iterate the result, or use it in ``async with``.

        Args:
            messages: a string, or a list of `Message` or ``{"role", "content"}`` dicts.
            response_format: the type or format of the answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The stream; it connects at the first step of the iteration. At its end ``stream.response`` is the whole
            reply.

        Raises:
            BadRequestError: a message or a keyword is wrong; at once.
            StructuredOutputError: at the end of the iteration, as `send` raises it.
            AsyncLLMError: everything else, at the first step of the iteration or later.
        """
        asked = read_call(messages, response_format, options, self._formats, stream=True)
        request, choice = self._choose(asked)
        return Stream(
            StreamPlan(
                engine=self._lifetime.engine,
                targets=choice.targets,
                request=request,
                patience=self._patience(asked, choice),
                parse=asked.parse,
                on_interrupt=asked.on_interrupt,
                payer=_payer(asked),
                variant=choice.variant,
            )
        )

    def conversation(
        self, *, system: str | None = None, provider: str | None = None, model: str | None = None
    ) -> Conversation:
        """A conversation that keeps its history and stays with one provider.

        Args:
            system: instructions to the model, as the first message.
            provider: a configured provider; the active one by default.
            model: a model of it; by default the configured one.

        Raises:
            ConfigurationError: there is no such provider.
        """
        target = self._targeting.resolve(provider, model, [])[0]
        messages = () if system is None else (Message.system(system),)
        return Conversation(self, provider=target.provider.name, model=target.model, messages=messages)

    def _choose(self, asked: Arguments) -> tuple[Request, Choice]:
        """The targets of the call, and its request for the first of them."""
        if self._routing.named(asked.provider, asked.model, asked.fallback, asked.task):
            choice = Choice(self._targeting.resolve(asked.provider, asked.model, asked.fallback))
        else:
            choice = self._routing.choose(asked.request, task=asked.task, sticky_key=asked.sticky_key)
        return replace(asked.request, model=choice.targets[0].model), choice

    def _patience(self, asked: Arguments, choice: Choice) -> Patience:
        """How the call waits: as it says, else as the configuration says."""
        after, percentile = self.settings.hedging.after, self.settings.hedging.percentile
        if asked.hedge is True and after is None and percentile is None:
            percentile = _HEDGE_PERCENTILE
        elif asked.hedge is False:
            after = percentile = None
        elif asked.hedge is not None and asked.hedge is not True:
            after, percentile = asked.hedge, None
        return Patience(
            total=choice.targets[0].timeouts.total if asked.timeout is None else asked.timeout,
            whole=asked.timeout,
            priority=asked.priority,
            hedge=after,
            hedge_percentile=percentile,
        )


_HEDGE_PERCENTILE = 95.0


def _payer(asked: Arguments) -> Payer | None:
    """For whom the call is made."""
    if asked.user is None and asked.agent is None and asked.tags is None:
        return None
    return Payer(user=asked.user, agent=asked.agent, tags=asked.tags)
