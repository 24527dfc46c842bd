"""Builds the parts of a client from its configuration."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from ._auth.keys import with_key
from ._config import Settings, from_env
from ._config.rules import SecretStr, Unshown
from ._config.sections import AlertWebhookSettings, HTTPSettings, ProviderLimits, stated
from ._config.settings import DeploymentSettings, ProviderSettings
from ._engine.health import Health
from ._engine.lifetime import Background
from ._engine.limits import LimitRules, Limits
from ._engine.routing import Deployment, ProviderEntry
from ._engine.strategies import PriceOf
from ._engine.target import FactsOf, Key, Target
from ._ledger.book import Bookkeeper, Prices, appraiser
from ._ledger.budgets import Alert
from ._ledger.ledger import Ledger
from ._ledger.stores import store_of
from ._ledger.untracked import SessionCosts
from ._models.asker import Asker
from ._models.catalog import Catalog
from ._models.lookup import FactBook
from ._models.prices import PriceBook
from ._providers.provider import Provider
from ._providers.spec import adapted, build_host, find_host
from ._schema.facts import ModelFacts
from ._schema.usage import Usage
from ._transport.base import Transport
from ._transport.blocking import Network
from .errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

    from ._engine.hooks import Hook, Hooks
    from ._response_cache.response_cache import ResponseCache


def entries(
    settings: Settings,
    own: Mapping[str, Provider],
    environ: Mapping[str, str],
    facts_of: Callable[[str, str, str], ModelFacts],
) -> dict[str, ProviderEntry]:
    """Returns the configured providers, each with a function that makes its host at the first use.

    Args:
        settings: the configuration.
        own: the hosts that were made in Python, by name.
        environ: where keys are looked up that an entry does not hold.
        facts_of: (provider, kind, model) -> what is known of the model.
    """
    found = {}
    network = _network(settings)
    balance = settings.routing.balance or "weighted"
    for name, entry in settings.providers.items():

        def make(name: str = name, kind: str = entry.kind, options: Any = entry.options) -> Provider:
            if name in own:
                return adapted(own[name], options())
            shared = {"network": network, "facts_of": partial(facts_of, name, kind)}
            return build_host(kind, name, {**options(), **shared}, environ)

        def deploy(
            deployment: DeploymentSettings,
            entry: ProviderSettings = entry,
            name: str = name,
            make: Callable[..., Provider] = make,
        ) -> Provider:
            options = partial(entry.options_of, deployment)
            host = make(options=options)
            if name in own:
                host = _redirected(host, options())
            return replace(host, deployment=deployment.name, account=f"{name}/{deployment.name}")

        deployments = tuple([Deployment(one.weight, partial(deploy, one)) for one in entry.deployments])
        found[name] = ProviderEntry(
            name,
            entry.fallback_models,
            entry.timeouts or settings.timeouts,
            deployments[0].build if deployments else make,
            entry.retry or settings.retry,
            deployments,
            entry.balance or balance,
        )
    return found


def _redirected(host: Provider, options: Mapping[str, Any]) -> Provider:
    """A deployment of a host that was made in Python: elsewhere, or with another key."""
    if "base_url" in options:
        host = replace(host, base_url=options["base_url"].rstrip("/"))
    if "api_key" in options:
        host = replace(host, auth=with_key(host.auth, options["api_key"], host.name))
    return host


def host_with_key(
    settings: Settings,
    name: str,
    key: SecretStr | Callable[..., Any],
    own: Provider | None,
    environ: Mapping[str, str],
    facts_of: Callable[[str, str, str], ModelFacts],
) -> Provider:
    """Returns the host of an entry with another key, for a view of the client.

    Args:
        settings: the configuration.
        name: the entry.
        key: the key.
        own: the host, where it was made in Python.
        environ: where everything else is looked up that the entry does not hold.
        facts_of: (provider, kind, model) -> what is known of the model.

    Raises:
        ConfigurationError: the host cannot be used with a key.
    """
    if own is not None:
        return replace(own, auth=with_key(own.auth, key, name))
    entry = settings.providers[name]
    spec = find_host(entry.kind)
    options = entry.options() if spec is None else spec.without_credentials(entry.options())
    shared = {"network": _network(settings), "facts_of": partial(facts_of, name, entry.kind)}
    return build_host(entry.kind, name, {**options, **shared, "api_key": key}, environ)


def _network(settings: Settings) -> Network:
    """Returns the network settings for the requests that fetch credentials: those of all other traffic."""
    return Network(http=settings.http, timeouts=settings.timeouts)


def response_cache(settings: Settings) -> ResponseCache | None:
    """What keeps replies; None where nothing does."""
    if settings.response_cache is None:
        return None
    from ._response_cache.response_cache import ResponseCache

    return ResponseCache(settings.response_cache)


def limits(settings: Settings, health: Health) -> Limits | None:
    """What counts the limits, in this process or over all of them; None where nothing is limited or shared."""
    rules = limit_rules(settings)
    if settings.shared is not None:
        from ._shared.shared_limits import SharedLimits

        return SharedLimits(rules, settings.shared, health)
    return Limits(rules, lambda: health.now()) if rules else None


def limit_rules(settings: Settings) -> LimitRules:
    """The limits of the whole client, of its providers and of their models."""
    limited: dict[Key, ProviderLimits] = {}
    for name, entry in settings.providers.items():
        if entry.limits is not None:
            limited[(name,)] = entry.limits
        limited.update(
            {(name, one.name): one.limits for one in entry.deployments if one.limits is not None},
        )
    return LimitRules(
        whole=settings.limits,
        accounts=limited,
        models={
            (name, model, *deployment): own
            for (name, *deployment), limits in limited.items()
            for model, own in limits.models.items()
        },
    )


def price_book(settings: Settings) -> PriceBook:
    """The package's prices under those of the configuration, read when they are needed."""
    known = {name: stated(price) for name, price in settings.catalog.prices.items()}
    priced_as = {name: entry.priced_as for name, entry in settings.providers.items()}
    for name, entry in settings.providers.items():
        for deployment in entry.deployments:  # it costs what its entry says, where it has no price of its own
            whole = f"{name}/{deployment.name}"
            priced_as[whole] = entry.priced_as
            inherited = {key: price for key, price in known.items() if key.startswith(f"{name}/")}
            known = {**{f"{whole}/{key[len(name) + 1 :]}": price for key, price in inherited.items()}, **known}
    return PriceBook(known, priced_as)


def price_of(book: PriceBook) -> PriceOf:
    """Returns a function that gives the current prices of a million input and output tokens, for routing by cost."""
    million = 1_000_000

    def price_of(target: Target) -> tuple[Decimal, Decimal] | None:
        now = datetime.now(timezone.utc)
        host = target.provider
        first, second = [
            book.cost(
                host.kind,
                target.model,
                Usage(input_tokens=input_tokens, output_tokens=output_tokens),
                when=now,
                provider=host.label,
                place=host.place,
            ).dollars
            for input_tokens, output_tokens in ((1000, 0), (0, 1000))
        ]
        return None if first is None or second is None else (first * million / 1000, second * million / 1000)

    return price_of


def catalog(
    settings: Settings,
    prices: PriceBook,
    *,
    asker: Asker,
    provider_of: Callable[[str], Provider],
) -> Catalog:
    """Returns the catalog of models. The configuration's capabilities override those of the package."""
    known = settings.catalog.capabilities
    capabilities = FactBook(
        {name: stated(found) for name, found in known.items()},
        kinds=[entry.kind for entry in settings.providers.values()],
        priced_as={name: entry.priced_as for name, entry in settings.providers.items()},
    )
    return Catalog(
        asker=asker,
        kinds={name: entry.kind for name, entry in settings.providers.items()},
        provider_of=provider_of,
        capabilities=capabilities,
        prices=prices,
        path=settings.catalog.cache_path,
    )


def facts_of(catalog: Catalog) -> FactsOf:
    """Returns a function that gives the facts of a target's model, for routing by capability."""

    def facts_of(target: Target) -> ModelFacts:
        return catalog.facts(target.provider.name, target.provider.kind, target.model)

    return facts_of


def books(settings: Settings, prices: PriceBook, on_alert: Callable[[Alert], None] | None) -> Bookkeeper:
    """Returns the books of a client: ledger, budgets and prices. Without tracking there are only prices and the
    session's sum.
    """
    if not settings.cost_tracking.enabled:
        return Bookkeeper(SessionCosts(), prices)
    return Bookkeeper(ledger_of(settings, prices, on_alert=on_alert), prices)


def ledger_of(settings: Settings, prices: Prices, *, on_alert: Callable[[Alert], None] | None = None) -> Ledger:
    """The ledger that a configuration describes; nothing is opened before its first use.

    Args:
        settings: a whole configuration, with ``cost_tracking.enabled``.
        prices: what tokens cost, for attempts that a dead process left behind.
        on_alert: called when a budget reaches 90% and 100%, on the ledger's own thread.

    Raises:
        ConfigurationError: the database needs a driver that is not installed.
    """
    tracking = settings.cost_tracking
    if tracking.alert_webhook is not None:
        on_alert = _also_sent(tracking.alert_webhook, on_alert)
    return Ledger(
        store_of(tracking.database.get_secret_value(), tracking.journal_path),
        budgets=settings.budgets,
        on_error=tracking.on_error,
        log_path=tracking.log_path,
        on_alert=on_alert,
        appraise=appraiser(prices),
        keep=tracking.keep,
    )


def _also_sent(settings: AlertWebhookSettings, on_alert: Callable[[Alert], None] | None) -> Callable[[Alert], None]:
    """Returns a callback that sends alerts to the webhook of a configuration, and calls the application's own."""
    from ._ledger.webhook import AlertWebhook

    webhook = AlertWebhook(settings.url.get_secret_value(), secret=settings.secret)
    if on_alert is None:
        return webhook

    def both(alert: Alert) -> None:
        webhook(alert)
        on_alert(alert)

    return both


def begin_logging(environ: Mapping[str, str]) -> bool:
    """Writes the log to stderr where ``ASYNCLLM_LOG`` says so; tells whether content is logged too.

    Raises:
        ConfigurationError: the variable holds another word.
    """
    word = environ.get("ASYNCLLM_LOG")
    if not word:
        return False
    level = word.strip().upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigurationError("ASYNCLLM_LOG must be debug, info, warning or error")
    import logging

    logger = logging.getLogger("asyncllm")
    logger.setLevel(level)
    if not any(handler.name == "ASYNCLLM_LOG" for handler in logger.handlers):
        handler = logging.StreamHandler()
        handler.name = "ASYNCLLM_LOG"
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
    return level == "DEBUG"


def hooks(given: Sequence[Hook]) -> Hooks | None:
    """The application's hooks; None where there are none.

    Raises:
        ConfigurationError: one of them is no hook.
    """
    if not given:
        return None
    from ._engine.hooks import Hooks

    return Hooks(given)


def kept(books: Bookkeeper) -> Ledger:
    """Returns the ledger of a client.

    Raises:
        ConfigurationError: the configuration keeps none.
    """
    if not isinstance(books.ledger, Ledger):
        raise ConfigurationError("no ledger is kept: set cost_tracking.enabled to true")
    return books.ledger


def transport(
    http: HTTPSettings, client: httpx.AsyncClient | None, background: Background, environ: Mapping[str, str]
) -> Transport:
    """Returns the transport of one event loop: the caller's own HTTP client, or our pool."""
    if client is not None:
        from ._transport.own_client import ClientTransport

        return ClientTransport(client, spawn=background.spawn)
    from ._transport.http import HTTPTransport

    return HTTPTransport(http, spawn=background.spawn, environ=environ)


def library_loader(http: HTTPSettings, client: httpx.AsyncClient | None) -> Callable[[], object]:
    """Returns a function that imports the HTTP library; it does nothing for the caller's own HTTP client."""

    def load() -> None:
        if client is None:
            from ._transport.http import import_library

            import_library(http.library)

    return load


def new_id(prefix: str) -> str:
    """Returns a new id for something to which the wire gave none."""
    return f"{prefix}{uuid.uuid4().hex[:24]}"


def configuration(
    given: Unshown,
    provider: str | None,
    named: Mapping[str, Any],
    hosts: Sequence[Provider],
    environ: Mapping[str, str],
) -> Any:
    """Returns the configuration of a client: the one it was given, one provider, the caller's own hosts, or the
    environment.

    Args:
        given: a path, a mapping or `Settings`; None where there is none. No frame shows it.
        provider: the kind of the one provider.
        named: ``model``, ``api_key`` and ``base_url`` of it.
        hosts: of the caller's own; without ``config`` the first is active.
        environ: where keys are looked up.
    """
    said = {key: value for key, value in named.items() if value is not None}
    if provider is None and said:
        raise ConfigurationError(
            f"{next(iter(said))}= needs provider=, such as Client(provider='openai', model='...', api_key=...); "
            "or give a configuration: Client('config.yaml')"
        )
    if provider is not None:
        if given.arguments[0] is not None or hosts:
            raise ConfigurationError("give either a configuration or provider=, but not both")
        model = said.pop("model", None)
        entry = {**said, "fallback_models": [] if model is None else [model]}
        return {"active_provider": provider, "providers": {provider: entry}}
    if given.arguments[0] is not None:
        return given.arguments[0]
    if not hosts:
        return from_env(environ)
    entries = {host.name: {"kind": host.kind} for host in hosts}
    return {"active_provider": hosts[0].name, "providers": entries}
