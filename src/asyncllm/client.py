"""The client: wires the configuration, the hosts and the engine together, and holds no logic of its own."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .config import Settings, from_env, load
from .engine.background import Background
from .engine.exchange import Engine
from .engine.intake import Messages, read_messages
from .engine.lifetime import Lifetime
from .engine.options import ToolLike, build_request
from .engine.parsing import parser
from .engine.stream import Plan, Stream
from .engine.targeting import Entry, Fallback, Targeting
from .engine.unary import send
from .engine.watch import Watch
from .errors import ConfigurationError
from .providers import kinds
from .providers.base import Provider
from .schema.request import Request, ToolChoice
from .schema.response import Response
from .transport.base import Timeouts, Transport
from .wire_json import WireJSON

if TYPE_CHECKING:
    import httpx


class Client:
    """Talks to every configured provider.

    Works with or without ``async with``; `aclose` ends it. It belongs to the event loop of its first call.

    Args:
        config: the path of a config file, a mapping of the same shape, or `Settings`; may be left out where
            ``providers`` holds a host, and the first of them is then the active one.
        providers: hosts of your own; an entry of the configuration with the same name holds their models and timeouts.
        http_client: an ``httpx.AsyncClient`` of your own to send everything through; never closed here.
        environ: where ``${VAR}`` and keys are looked up; the process's environment by default.

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
    ) -> None:
        self._environ = os.environ if environ is None else environ
        own = {provider.name: provider for provider in providers}
        self.settings = load(
            _only(providers) if config is None else config,
            environ=self._environ,
            extra_kinds=frozenset(provider.kind for provider in providers),
        )
        self._http_client = http_client
        self._json = WireJSON()
        self._lifetime = Lifetime(self._build_engine)
        self._targeting = Targeting(
            _entries(self.settings, own, self._environ), self.settings.active_provider, self.settings.active_model
        )
        self._targeting.provider(self.settings.active_provider)  # the active one is checked at once

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
            timeout: the total deadline in seconds, fallbacks included.
            extra_body: merged into the provider's JSON body last.
            extra_headers: added to the headers; they cannot replace the credential.

        Returns:
            The reply. ``attempts`` lists every HTTP attempt that led to it.

        Raises:
            AsyncLLMError: one of `asyncllm.errors`; each says what to do.
        """
        request, targets = self._request(
            messages,
            provider,
            model,
            fallback,
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
        total = targets[0].timeouts.total if timeout is None else timeout
        return await send(
            self._lifetime.engine(), targets, request, total=total, parse=parser(response_format, self._json)
        )

    def stream(
        self,
        messages: Messages,
        *,
        provider: str | None = None,
        model: str | None = None,
        fallback: Fallback | None = None,
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
        request, targets = self._request(
            messages,
            provider,
            model,
            fallback,
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
                targets=targets,
                request=request,
                total=targets[0].timeouts.total if timeout is None else timeout,
                whole=timeout,
                parse=parser(response_format, self._json),
            )
        )

    async def aclose(self) -> None:
        """Closes every connection; no call is possible after it. Closing twice is fine."""
        await self._lifetime.aclose()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def _request(
        self, messages: Messages, provider: str | None, model: str | None, fallback: Fallback | None, **options: Any
    ) -> tuple[Request, tuple[Any, ...]]:
        targets = self._targeting.resolve(provider, model, fallback)
        return build_request(read_messages(messages), model=targets[0].model, **options), targets

    def _build_engine(self, background: Background) -> Engine:
        return Engine(
            transport=self._build_transport(background),
            background=background,
            watch=Watch(background),
            json=self._json,
            new_id=_new_id,
            now=time.time,
        )

    def _build_transport(self, background: Background) -> Transport:
        if self._http_client is not None:
            from .transport.own_client import ClientTransport

            return ClientTransport(self._http_client, spawn=background.spawn)
        from .transport.http import HTTPTransport

        http = self.settings.http
        return HTTPTransport(
            spawn=background.spawn,
            library=http.library,
            max_connections=http.max_connections,
            idle_connections=http.idle_connections,
            keepalive=http.keepalive,
            trust_env=http.trust_env,
            proxy=http.proxy.get_secret_value() if http.proxy is not None else None,
            no_proxy=http.no_proxy,
            ca_bundle=None if http.ca_bundle is None else str(http.ca_bundle),
            environ=self._environ,
        )


def _new_id(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex[:24]}"


def _only(providers: Sequence[Provider]) -> dict[str, Any]:
    if not providers:
        raise ConfigurationError(
            "a client needs a configuration: Client('config.yaml'), a dict of the same shape, or Client.from_env()"
        )
    entries = {provider.name: {"kind": provider.kind} for provider in providers}
    return {"active_provider": providers[0].name, "providers": entries}


def _entries(settings: Settings, own: Mapping[str, Provider], environ: Mapping[str, str]) -> dict[str, Entry]:
    entries = {}
    for name, entry in settings.providers.items():

        def make(name: str = name, kind: str = entry.kind, options: Any = entry.options) -> Provider:
            return own.get(name) or kinds.build(kind, name, options(), environ)

        timeouts = Timeouts(**(entry.timeouts or settings.timeouts).model_dump())
        entries[name] = Entry(name, entry.fallback_models, timeouts, make)
    return entries
