"""The client: wires the configuration, the hosts and the engine together, and holds no logic of its own."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from . import assembly
from .config import Settings, from_env, load
from .conversation import Conversation
from .engine.background import Background
from .engine.call import Call
from .engine.exchange import Engine
from .engine.forecast import CostEstimate, estimate_messages, forecast
from .engine.health import Health, TargetHealth
from .engine.intake import Messages, read_messages
from .engine.lifetime import Lifetime
from .engine.limits import Limits
from .engine.options import ToolLike, build_patience, build_payer, build_request, check_on_interrupt
from .engine.parsing import parser
from .engine.plan import Plan
from .engine.routing import Choice, Routing
from .engine.stream import Stream
from .engine.targeting import Fallback, Targeting
from .engine.unary import send
from .engine.watch import Watch
from .providers.base import Provider
from .schema.messages import Message
from .schema.request import Request, ToolChoice
from .schema.response import Response
from .transport.base import Transport
from .wire_json import WireJSON

if TYPE_CHECKING:
    import httpx

    from .ledger.budgets import Alert
    from .ledger.ledger import Ledger


class Client:
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

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, Any] | Settings | None = None,
        *,
        providers: Sequence[Provider] = (),
        http_client: httpx.AsyncClient | None = None,
        environ: Mapping[str, str] | None = None,
        on_alert: Callable[[Alert], None] | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        own = {provider.name: provider for provider in providers}
        self.settings = load(
            assembly.only(providers) if config is None else config,
            environ=self._environ,
            extra_kinds=frozenset(provider.kind for provider in providers),
        )
        self._http_client = http_client
        self._json = WireJSON()
        self._lifetime = Lifetime(self._build_engine)
        self._targeting = Targeting(
            assembly.entries(self.settings, own, self._environ),
            self.settings.active_provider,
            self.settings.active_model,
            cross_provider=self.settings.cross_provider_fallback,
        )
        self._random = random.Random()  # noqa: S311  # spreads calls over time and targets, guards nothing
        self._health = Health()
        limits = assembly.limit_rules(self.settings)
        self._limits = Limits(limits, lambda: self._health.now()) if limits else None
        self._facts_of = assembly.facts(self.settings)
        self._routing = Routing(
            assembly.routing_rules(self.settings),
            self._targeting,
            self._health,
            price_of=assembly.prices(self.settings),
            facts_of=self._facts_of,
            draw=self._random.random,
        )
        self._targeting.provider(self.settings.active_provider)  # the active one is checked at once
        self._books = assembly.books(self.settings, on_alert)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Client:
        """A client of whichever providers have keys in the environment.

        Raises:
            ConfigurationError: no key is set; the sentence lists the variables.
        """
        environ = os.environ if environ is None else environ
        return cls(from_env(environ), environ=environ, **options)

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
        return await send(call, parse=parser(response_format, self._json))

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

    @property
    def ledger(self) -> Ledger:
        """The record of every attempt: reports, exports and budgets.

        Raises:
            ConfigurationError: the configuration keeps none (``cost_tracking: {enabled: false}``).
        """
        return assembly.kept(self._books).ledger

    async def session_cost(self) -> Decimal:
        """US dollars of everything this client has settled so far, without what has no known price.

        Raises:
            ConfigurationError: the configuration keeps no ledger.
        """
        return self.ledger.session_cost()

    async def estimate(
        self,
        messages: Messages,
        *,
        provider: str | None = None,
        model: str | None = None,
        max_tokens: int | None = None,
        tools: Sequence[ToolLike] | None = None,
    ) -> CostEstimate:
        """What a call would take and cost at most, before it is made; nothing is sent.

        Raises:
            ConfigurationError: the configuration keeps no ledger, or names no such provider.
            BadRequestError: a message or a tool is wrong.
        """
        target = self._targeting.resolve(provider, model, [])[0]
        tokens = estimate_messages(read_messages(messages), tools)
        return forecast(assembly.kept(self._books), target, tokens, max_tokens)

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

    def health(self) -> tuple[TargetHealth, ...]:
        """What is known of every target that was used: its circuit, failures, latencies, and who waits for it."""
        return self._health.report(lambda key: (0, None) if self._limits is None else self._limits.queue(key))

    def reset_health(self, provider: str | None = None) -> None:
        """Lets attempts pass again at once, whatever was known of a provider's targets, or of all.

        Raises:
            ConfigurationError: there is no such provider.
        """
        if provider is not None:
            self._targeting.provider(provider)
        self._health.reset(provider)

    async def aclose(self) -> None:
        """Closes every connection and writes what the ledger still holds; no call is possible after it.

        Closing twice is fine.
        """
        await self._lifetime.aclose()
        if self._books is not None:
            await self._books.ledger.aclose()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

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

    def _build_transport(self, background: Background) -> Transport:
        return assembly.transport(self.settings.http, self._http_client, background, self._environ)

    def _build_engine(self, background: Background) -> Engine:
        self._health.attach(background.clock)
        if self._limits is not None:
            self._limits.forget()
        return Engine(
            transport=self._build_transport(background),
            background=background,
            watch=Watch(background),
            json=self._json,
            new_id=assembly.new_id,
            now=time.time,
            health=self._health,
            limits=self._limits,
            books=self._books,
            window_of=lambda kind, model: self._facts_of(kind, model).context_window,
            draw=self._random.random,
        )
