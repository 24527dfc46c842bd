"""The client: wires the configuration, the hosts and the engine together, and holds no logic of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from ._engine.call import Call
from ._engine.intake import Messages, read_messages
from ._engine.options import ToolLike, build_patience, build_payer, build_request, check_on_interrupt, check_reasks
from ._engine.parsing import parser
from ._engine.plan import Plan
from ._engine.routing import Choice
from ._engine.stream import Stream
from ._engine.targeting import Fallback
from ._engine.unary import send
from ._schema.messages import Message
from ._schema.request import Request, ToolChoice
from ._schema.response import Response
from .conversation import Conversation
from .runtime import Runtime

if TYPE_CHECKING:
    pass


class Client(Runtime):
    """Talks to every configured provider.

    Works with or without ``async with``; `aclose` ends it. It belongs to the event loop of its first call.

    Args:
        config: the path of a config file, a mapping of the same shape, or `Settings`; may be left out where
            ``providers`` holds a host, and the first of them is then the active one.
        providers: hosts of your own; an entry of the configuration with the same name holds their models and timeouts.
        http_client: an ``httpx.AsyncClient`` of your own to send everything through; never closed here.
        environ: where ``${VAR}`` and keys are looked up; the process's environment by default.
        on_alert: called when a budget reaches 90% and 100%, once a window, on a thread of the ledger's own.

    Raises:
        ConfigurationError: the configuration is wrong; the sentence names file, line and key.
    """

    async def send(
        self,
        messages: Messages,
        *,
        provider: str | None = None,
        model: str | None = None,
        fallback: Fallback | None = None,
        task: str | None = None,
        sticky_key: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        tools: Sequence[ToolLike] | None = None,
        tool_choice: str | ToolChoice | Mapping[str, Any] | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: Any = None,
        validation_retries: int = 0,
        reasoning: str | int | None = None,
        timeout: float | None = None,
        on_interrupt: Literal["raise", "restart"] = "raise",
        hedge: float | bool | None = None,
        priority: int = 0,
        user: str | None = None,
        agent: str | None = None,
        tags: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        extra_headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Asks, and waits for the whole answer.

        Args:
            messages: a string, or a list of `Message` or ``{"role", "content"}`` dicts.
            provider: a configured provider; the active one by default.
            model: a model of it; by default the configured one.
            fallback: models to go on to, ``"model"`` or ``("provider", "model")``; by default the provider's
                ``fallback_models``.
            task: what the call is for, where the configuration routes by capability: ``"analytical"``, ``"code"``,
                ``"creative"``, ``"speed"``, the name of a tier, or a task of your own.
            sticky_key: calls with the same key (a user, a conversation) go to the same target under load balancing.
            temperature: sampling temperature.
            top_p: nucleus sampling.
            max_tokens: the most tokens to generate, reasoning included.
            stop: sequences that end the answer.
            seed: for sampling that can be repeated, where the provider can.
            tools: `Tool` values, or dicts in OpenAI's shape.
            tool_choice: ``"auto"``, ``"none"``, ``"required"`` or the name of a tool.
            parallel_tool_calls: whether several tools may be called at once.
            response_format: ``"json"``, a JSON schema, or a pydantic model class; the result is in ``parsed``.
            validation_retries: how often a model whose answer does not fit is told why, and asked again.
            reasoning: an effort word, or a budget in tokens.
            timeout: the total deadline in seconds: retries, waits and fallbacks included.
            on_interrupt: for streams that are cut after their first content: ``"raise"``, or ``"restart"`` to begin
                again on the next target, told by a `Restart` event.
            hedge: seconds without first content after which the next target is asked as well, and the first content
                wins; True for the 95th percentile of the latencies seen; False for never, whatever the configuration.
            priority: where calls wait under a limit, a higher one goes first.
            user: for whom the call is made; it goes to the ledger and stays here, as ``agent`` and ``tags`` do.
            agent: what made the call.
            tags: names and values to find the call by, in reports and budgets.
            extra_body: merged into the provider's JSON body last.
            extra_headers: added to the headers; they cannot replace the credential.

        Returns:
            The reply. ``attempts`` lists every HTTP attempt that led to it.

        Raises:
            AsyncLLMError: one of `asyncllm.errors`; each says what to do.
        """
        request, choice = self._request(
            messages,
            provider,
            model,
            fallback,
            task,
            sticky_key,
            stream=False,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            stop=stop,
            seed=seed,
            tools=tools,
            tool_choice=tool_choice,
            parallel_tool_calls=parallel_tool_calls,
            response_format=response_format,
            reasoning=reasoning,
            extra_body=extra_body,
            extra_headers=extra_headers,
        )
        check_on_interrupt(on_interrupt)
        patience = build_patience(choice.targets[0].timeouts, timeout, hedge, priority, self.settings.hedging)
        payer = build_payer(user, agent, tags)
        call = Call(self._lifetime.engine(), choice.targets, request, patience, payer, choice.variant)
        reasks = check_reasks(validation_retries, response_format)
        return await send(call, parse=parser(response_format, self._json), reasks=reasks)

    def stream(
        self,
        messages: Messages,
        *,
        provider: str | None = None,
        model: str | None = None,
        fallback: Fallback | None = None,
        task: str | None = None,
        sticky_key: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        tools: Sequence[ToolLike] | None = None,
        tool_choice: str | ToolChoice | Mapping[str, Any] | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: Any = None,
        reasoning: str | int | None = None,
        timeout: float | None = None,
        on_interrupt: Literal["raise", "restart"] = "raise",
        hedge: float | bool | None = None,
        priority: int = 0,
        user: str | None = None,
        agent: str | None = None,
        tags: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        extra_headers: Mapping[str, str] | None = None,
    ) -> Stream:
        """Asks, and gives the answer as it comes: iterate the result, or use it in ``async with``.

        The keywords are those of `send`. A named ``timeout`` bounds the whole stream; without one the configured total
        bounds it until its first content.

        Raises:
            BadRequestError: a message or a keyword is wrong; at once.
            AsyncLLMError: everything else, at the first step of the iteration or later.
        """
        request, choice = self._request(
            messages,
            provider,
            model,
            fallback,
            task,
            sticky_key,
            stream=True,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            stop=stop,
            seed=seed,
            tools=tools,
            tool_choice=tool_choice,
            parallel_tool_calls=parallel_tool_calls,
            response_format=response_format,
            reasoning=reasoning,
            extra_body=extra_body,
            extra_headers=extra_headers,
        )
        return Stream(
            Plan(
                engine=self._lifetime.engine,
                targets=choice.targets,
                request=request,
                patience=build_patience(choice.targets[0].timeouts, timeout, hedge, priority, self.settings.hedging),
                parse=parser(response_format, self._json),
                on_interrupt=check_on_interrupt(on_interrupt),
                payer=build_payer(user, agent, tags),
                variant=choice.variant,
            )
        )

    def conversation(
        self, *, system: str | None = None, provider: str | None = None, model: str | None = None
    ) -> Conversation:
        """A conversation that keeps its history and stays with one provider.

        Raises:
            ConfigurationError: there is no such provider.
        """
        target = self._targeting.resolve(provider, model, [])[0]
        messages = () if system is None else (Message.system(system),)
        return Conversation(self, provider=target.provider.name, model=target.model, messages=messages)

    def _request(
        self,
        messages: Messages,
        provider: str | None,
        model: str | None,
        fallback: Fallback | None,
        task: str | None,
        sticky_key: str | None,
        **options: Any,
    ) -> tuple[Request, Choice]:
        if self._routing.named(provider, model, fallback, task):
            targets = self._targeting.resolve(provider, model, fallback)
            return build_request(read_messages(messages), model=targets[0].model, **options), Choice(targets)
        request = build_request(read_messages(messages), model="", **options)
        choice = self._routing.choose(request, task=task, sticky_key=sticky_key)
        return replace(request, model=choice.targets[0].model), choice
