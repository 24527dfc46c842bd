"""The base of the client: configuration, engine, models, health and costs. `client` adds the verbs that ask a model."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from copy import copy
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, Union
from weakref import WeakKeyDictionary

from . import _assembly as assembly
from . import _checks
from ._async_only import AsyncOnly
from ._checks import ToolLike, read_tools
from ._config import Settings, from_env, load
from ._config.rules import Environment, SecretStr, Unshown
from ._engine.attempt import Engine
from ._engine.formats import Formats
from ._engine.health import Health
from ._engine.health_report import TargetHealth
from ._engine.intake import Messages, read_messages
from ._engine.lifetime import Background, Lifetime, Preparation, SharedLifetime, Watch
from ._engine.limits import USUAL_QUESTION_LIMITS, LimitRules, Limits
from ._engine.questions import Questions
from ._engine.routing import Routing, Targeting
from ._engine.target import Target
from ._models.registry import ModelInfo, RefreshResult
from ._models.tokens import TokenCount
from ._models.validation import Validation
from ._protocols.wire_json import WireJSON
from ._providers.provider import Provider
from ._schema.foreign_names import OF_A_CLIENT, explains
from ._schema.request import Request
from ._transport.base import Transport
from .errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

    from ._auth.keys import Secret
    from ._engine.hooks import Hook
    from ._ledger.budgets import Alert
    from ._ledger.ledger import Ledger

Self = TypeVar("Self", bound="Runtime")
Config = Union[str, "os.PathLike[str]", Mapping[str, Any], Settings]


@explains(OF_A_CLIENT)
class Runtime(AsyncOnly):
    """The base class of `asyncllm.Client`."""

    def __init__(
        self,
        config: Config | None = None,
        *more: NoReturn,
        provider: str | None = None,
        model: str | None = None,
        api_key: str | Secret | Callable[[], str] | Callable[[], Awaitable[str]] | None = None,
        base_url: str | None = None,
        providers: Sequence[Provider] = (),
        http_client: httpx.AsyncClient | None = None,
        environ: Mapping[str, str] | None = None,
        on_alert: Callable[[Alert], None] | None = None,
        hooks: Sequence[Hook] = (),
        **unknown: NoReturn,
    ) -> None:
        if more:
            del config, api_key, environ, more
            raise TypeError(_ONE_ARGUMENT)
        if unknown:
            name = next(iter(unknown))
            del config, api_key, environ, unknown  # no frame that an error leaves shows them
            raise _no_such_argument(name)
        environ = self._environ = Environment(os.environ if environ is None else environ)
        given, secret = Unshown(config), api_key
        named = {
            "model": model,
            "api_key": SecretStr(secret, "the argument api_key of Client") if isinstance(secret, str) else secret,
            "base_url": base_url,
        }
        is_checked, has_key = isinstance(config, Settings), secret is not None
        del config, api_key, secret  # no frame that an error leaves shows them
        self._hooks = assembly.hooks(hooks)
        self._logs_content = assembly.begin_logging(self._environ)
        self._defaults: dict[str, Any] = {}
        self._own = own = {provider.name: provider for provider in providers}
        self.settings: Settings = load(
            assembly.configuration(given, provider, named, providers, self._environ),
            environ=self._environ,
            extra_kinds=frozenset(provider.kind for provider in providers),
        )
        self._http_client = http_client
        self._json = WireJSON()
        self._formats = Formats(self._json)
        self._signatures: MutableMapping[Any, dict[bool, Any]] = WeakKeyDictionary()  # of plain functions in runs
        self._lifetime: Lifetime | SharedLifetime = Lifetime(self._build_engine)
        self._targeting = Targeting(
            assembly.entries(self.settings, own, self._environ, lambda *about: self._catalog.facts(*about)),
            self.settings.active_provider,
            self.settings.active_model,
            cross_provider=self.settings.cross_provider_fallback,
        )
        self._random = random.Random()  # noqa: S311  # spreads calls over time and targets, guards nothing
        self._health = Health()
        self._limits = assembly.limits(self.settings, self._health)
        self._replies = assembly.response_cache(self.settings)
        prices = assembly.price_book(self.settings)
        self._question_limits = Limits(LimitRules(), lambda: self._health.now(), usual=USUAL_QUESTION_LIMITS)
        asker = Questions(self._ready, self._targeting.aim, time.time)
        self._catalog = assembly.catalog(self.settings, prices, asker=asker, provider_of=self._targeting.provider)
        self._routing = Routing(
            self.settings.routing,
            self._targeting,
            self._health,
            limits=self._limits,
            price_of=assembly.price_of(prices),
            facts_of=assembly.facts_of(self._catalog),
            draw=self._random.random,
        )
        if not is_checked:
            self._check_active(named=provider is not None and not has_key)
        self._books = assembly.books(self.settings, prices, on_alert)
        library = assembly.library_loader(self.settings.http, http_client)
        self._preparation = Preparation([library, self._json.load, prices.load, self._catalog.capabilities.load])
        self._refresh = self.settings.catalog.refresh_on_start

    def __repr__(self) -> str:
        settings: Settings | None = getattr(self, "settings", None)
        if settings is None:  # it could not be made; error trackers show it in the frames of the error
            return f"<{type(self).__name__}>"
        active = settings.active_provider
        models = [settings.active_model, *settings.providers[active].fallback_models]
        model = next((name for name in models if name), "")
        others = f", {len(settings.providers)} providers" if len(settings.providers) > 1 else ""
        return f"<{type(self).__name__} {'/'.join(filter(None, (active, model)))}{others}>"

    def _check_active(self, *, named: bool) -> None:
        """Checks the active provider, so that a wrong configuration is reported where the client is made."""
        try:
            self._targeting.provider(self.settings.active_provider)
        except ConfigurationError as error:
            if named:
                error.message += "; or give Client the key as api_key=, or a configuration file"
            raise

    @classmethod
    def from_env(cls: type[Self], environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """Makes a client of all providers that have keys in the environment.

        Raises:
            ConfigurationError: no key is set; the sentence lists the variables.
        """
        environ, given = Environment(os.environ if environ is None else environ), Unshown(**options)
        del options
        given.named["environ"], given.arguments = environ, (from_env(environ),)
        return given.into(cls)

    def with_options(
        self: Self,
        *,
        api_key: str | SecretStr | Callable[[], str] | Callable[[], Awaitable[str]] | None = None,
        provider: str | None = None,
        user: str | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Returns a view of this client for another tenant.

        Connections, ledger, budgets and limits are those of this client. With a key, the view has a credential and a
        health of its own: a key that is refused or exhausted is nobody else's matter. To close a view does nothing.

        Args:
            api_key: the key that calls to the provider are made with, or a function that gives it.
            provider: whose key it is; the active provider's by default.
            user: for whom calls are booked that name no ``user``.
            timeout: the total deadline in seconds of calls that name none.

        Raises:
            ConfigurationError: there is no such provider, or it does not sign in with a key.
        """
        view = copy(self)
        given = {"user": user, "timeout": timeout}
        view._defaults = {**self._defaults, **{name: value for name, value in given.items() if value is not None}}  # noqa: SLF001  # a copy of this very object
        view._lifetime = SharedLifetime(self._lifetime, lambda engine: engine)  # noqa: SLF001  # a copy of this very object
        if api_key is not None:
            key = SecretStr(api_key, "the argument api_key of with_options") if isinstance(api_key, str) else api_key
            del api_key
            view._sign_in(self, provider or self.settings.active_provider, key)  # noqa: SLF001  # a copy of this very object
        return view

    def _sign_in(self, whole: Runtime, name: str, key: Any) -> None:
        """Gives this view its own credential, and its own health and catalog."""

        def build() -> Provider:
            return assembly.host_with_key(
                self.settings, name, key, self._own.get(name), self._environ, lambda *about: self._catalog.facts(*about)
            )

        self._targeting = whole._targeting.with_host(name, build)
        self._targeting.provider(name)  # a key that cannot be is told where it is given
        if self._replies is not None and self._replies.mode == "cache":
            self._replies = None  # what one account was told is nothing for another
        self._health = health = Health()
        asker = Questions(self._ready, self._targeting.aim, time.time)
        self._catalog = catalog = whole._catalog.asked_by(asker, self._targeting.provider)
        self._routing = Routing(
            self.settings.routing,
            self._targeting,
            health,
            limits=self._limits,
            price_of=assembly.price_of(catalog.prices),
            facts_of=assembly.facts_of(catalog),
            draw=self._random.random,
        )

        def change(engine: Engine) -> Engine:
            health.attach(engine.background.clock)
            return replace(engine, health=health, catalog=catalog, tenant_of=name)

        self._lifetime = SharedLifetime(whole._lifetime, change)

    @property
    def ledger(self) -> Ledger:
        """The record of every attempt: reports, exports and budgets.

        Raises:
            ConfigurationError: the configuration keeps none (``cost_tracking: {enabled: false}``).
        """
        return assembly.kept(self._books)

    async def session_cost(self) -> Decimal:
        """Returns the cost in US dollars of everything this client has settled so far. Attempts of unknown cost are
        not in it.
        """
        return self._books.ledger.session_cost()

    async def models(
        self, provider: str | None = None, *, include_deprecated: bool = False, capability: str | None = None
    ) -> tuple[ModelInfo, ...]:
        """Returns the models that the providers listed when they were last asked; none before the first
        `refresh_models`.

        Args:
            provider: only this one's.
            include_deprecated: also those whose end is announced, or that are no longer listed.
            capability: only those known to have it, such as ``"tools"`` or ``"vision"``.

        Raises:
            ConfigurationError: there is no such provider.
            BadRequestError: there is no such capability.
        """
        _named(provider)
        return await self._catalog.models(provider, include_deprecated=include_deprecated, capability=capability)

    async def refresh_models(self, provider: str | None = None) -> RefreshResult:
        """Asks all providers for their models at the same time, or one provider. A failure stands in the result.

        Raises:
            ConfigurationError: there is no such provider.
        """
        _named(provider)
        return await self._catalog.refresh_models(provider)

    async def validate_model(self, provider: str, model: str) -> Validation:
        """Checks by the cheapest real request whether a model can be used, and says why not.

        Args:
            provider: a configured provider.
            model: a model of it.

        Raises:
            ConfigurationError: there is no such provider, or no key for it.
        """
        return await self._catalog.validate_model(_checks.name("provider", provider), _checks.name("model", model))

    async def is_deprecated(self, provider: str, model: str) -> bool:
        """Returns whether the end of a model is announced, or its provider does not list it any more.

        Args:
            provider: a configured provider.
            model: a model of it.

        Raises:
            ConfigurationError: there is no such provider.
        """
        return await self._catalog.is_deprecated(_checks.name("provider", provider), _checks.name("model", model))

    async def count_tokens(
        self,
        messages: Messages,
        *,
        provider: str | None = None,
        model: str | None = None,
        tools: Sequence[ToolLike] | None = None,
    ) -> TokenCount:
        """Counts the input tokens of a conversation. The provider counts if it can; else the result is an estimate and
        says so.

        Args:
            messages: as for `send`.
            provider: a configured provider; the active one by default.
            model: a model of it; by default the configured one.
            tools: as for `send`.

        Raises:
            BadRequestError: a message or a tool is wrong.
            AsyncLLMError: the provider counts, but refused or could not be reached.
        """
        target = self._target(provider, model)
        request = Request(model=target.model, messages=read_messages(messages), tools=read_tools(tools))
        return await self._catalog.count_tokens(target.provider.name, request)

    def _target(self, provider: str | None, model: str | None) -> Target:
        """The first target of a verb that names a provider and a model, or neither."""
        _named(provider, model)
        return self._targeting.resolve(provider, model, [])[0]

    def health(self) -> tuple[TargetHealth, ...]:
        """Returns the health of every target that was used: circuit, failures, latencies, and waiting calls."""
        return self._health.report(lambda key: (0, None) if self._limits is None else self._limits.queue(key))

    def reset_health(self, provider: str | None = None) -> None:
        """Forgets the health of a provider's targets, or of all, so that attempts may go there at once.

        Raises:
            ConfigurationError: there is no such provider.
        """
        _named(provider)
        if provider is not None:
            self._targeting.provider(provider)
        self._health.reset(provider)

    async def aclose(self) -> None:
        """Closes every connection and writes what the ledger still holds. No call is possible afterwards.

        Closing twice is fine.
        """
        if isinstance(self._lifetime, SharedLifetime):
            return  # the connections and the ledger are those of the client that this is a view of
        if self._limits is not None:
            await self._limits.aclose()
        if self._replies is not None:
            await self._replies.aclose()
        await self._lifetime.aclose()
        await self._books.ledger.aclose()

    async def __aenter__(self: Self) -> Self:
        await self._preparation.run()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _refresh_on_start(self) -> None:
        await self._catalog.refresh_models()

    async def _ready(self) -> Engine:
        """The engine of the running loop; what it needs is imported before."""
        engine, _ = await self._prepared()
        return engine

    async def _prepared(self) -> tuple[Engine, float]:
        """The engine of the running loop, and the seconds that it took to import what it needs."""
        spent = 0.0 if self._preparation.done else await self._preparation.run()
        return self._lifetime.engine(), spent

    def _build_transport(self, background: Background) -> Transport:
        made = assembly.transport(self.settings.http, self._http_client, background, self._environ)
        if not self._logs_content:
            return made
        from ._transport.logged import LoggedTransport

        return LoggedTransport(made)

    def _build_engine(self, background: Background) -> Engine:
        self._health.attach(background.clock)
        if self._limits is not None:
            self._limits.attach(background)
        self._question_limits.attach(background)
        if self.settings.catalog.cache_path is not None:
            background.spawn(self._catalog.load)
        if self._refresh:
            self._refresh = False
            background.spawn(self._refresh_on_start)
        return Engine(
            transport=self._build_transport(background),
            background=background,
            watch=Watch(background),
            json=self._json,
            new_id=assembly.new_id,
            now=time.time,
            health=self._health,
            limits=self._limits,
            question_limits=self._question_limits,
            books=self._books,
            catalog=self._catalog,
            sampling=self.settings.unsupported_parameters,
            draw=self._random.random,
            hooks=self._hooks,
        )


def _named(provider: str | None = None, model: str | None = None) -> None:
    """Checks the names of a provider and a model.

    Raises:
        BadRequestError: one of the two is not.
    """
    for keyword, value in (("provider", provider), ("model", model)):
        if value is not None:
            _checks.name(keyword, value)


_ONE_ARGUMENT = (
    "Client() takes one argument by its place, the configuration; name the others, as in "
    "Client(provider='openai', model='gpt-5.4-mini', api_key=...)"
)


def _no_such_argument(name: str) -> TypeError:
    import difflib
    import inspect

    known = [name for name in inspect.signature(Runtime).parameters if name not in ("more", "unknown")]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known)}"
    return TypeError(f"Client() got an unexpected keyword argument {name!r}; {hint}")
