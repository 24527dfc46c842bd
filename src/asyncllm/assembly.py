"""From the configuration's words to the values the engine works with."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from .auth.network import Network
from .catalog.prices import PriceBook
from .config import Settings
from .config.sections import BudgetSettings, HTTPSettings, LimitSettings, RetrySettings, RouteTarget
from .engine.background import Background
from .engine.capability import Facts, FactsOf, Named
from .engine.limits import Bounds, LimitRules
from .engine.retry import RetryPolicy
from .engine.routing import RoutingRules
from .engine.strategies import PriceOf
from .engine.targeting import Entry
from .errors import ConfigurationError
from .ledger.book import Bookkeeper, appraiser
from .ledger.budgets import Alert, Budget, Scope
from .ledger.ledger import Ledger
from .ledger.money import to_nano
from .ledger.stores import store_of
from .providers import kinds
from .providers.base import Provider
from .transport.base import Timeouts, Transport

if TYPE_CHECKING:
    import httpx


def entries(settings: Settings, own: Mapping[str, Provider], environ: Mapping[str, str]) -> dict[str, Entry]:
    """The configured providers: what chains need of them, and how each is made at its first use."""
    found = {}
    network = _network(settings)
    for name, entry in settings.providers.items():

        def make(name: str = name, kind: str = entry.kind, options: Any = entry.options) -> Provider:
            return own.get(name) or kinds.build(kind, name, {**options(), "network": network}, environ)

        timeouts = Timeouts(**(entry.timeouts or settings.timeouts).model_dump())
        found[name] = Entry(name, entry.fallback_models, timeouts, make, retry_policy(entry.retry or settings.retry))
    return found


def _network(settings: Settings) -> Network:
    """How the traffic that fetches credentials reaches its servers: the way of all other traffic."""
    http = settings.http
    return Network(
        proxy=http.proxy,
        no_proxy=http.no_proxy,
        ca_bundle=None if http.ca_bundle is None else str(http.ca_bundle),
        trust_env=http.trust_env,
    )


def retry_policy(settings: RetrySettings) -> RetryPolicy:
    """How often attempts are made again."""
    return RetryPolicy(**settings.model_dump())


def limit_rules(settings: Settings) -> LimitRules:
    """The limits of the whole client, of its providers and of their models."""
    limited = {name: entry.limits for name, entry in settings.providers.items() if entry.limits is not None}
    return LimitRules(
        whole=_bounds(settings.limits),
        providers={name: _bounds(limits) for name, limits in limited.items()},
        models={
            (name, model): _bounds(own) for name, limits in limited.items() for model, own in limits.models.items()
        },
    )


def _bounds(limits: LimitSettings) -> Bounds:
    return Bounds(
        concurrent=limits.concurrent,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
    )


def routing_rules(settings: Settings) -> RoutingRules:
    """The strategy and its targets."""
    routing = settings.routing
    return RoutingRules(
        strategy=routing.strategy,
        targets=_named(routing.targets),
        weights=tuple([1.0 if target.weight is None else target.weight for target in routing.targets]),
        tasks={task: _named(targets) for task, targets in routing.tasks.items()},
        tiers={tier: _named(targets) for tier, targets in routing.tiers.items()},
    )


def _named(targets: Sequence[RouteTarget]) -> tuple[Named, ...]:
    return tuple([(target.provider, target.model) for target in targets])


def prices(settings: Settings) -> PriceOf:
    """The prices that the configuration names, by ``provider/model`` or by model."""
    known = settings.catalog.prices

    def price_of(kind: str, model: str) -> tuple[Decimal, Decimal] | None:
        price = known.get(f"{kind}/{model}") or known.get(model)
        return None if price is None or price.input is None or price.output is None else (price.input, price.output)

    return price_of


def facts(settings: Settings) -> FactsOf:
    """What the configuration says of models, by ``provider/model`` or by model."""
    known = settings.catalog.capabilities

    def facts_of(kind: str, model: str) -> Facts:
        found = known.get(f"{kind}/{model}") or known.get(model)
        return Facts() if found is None else Facts(**{name: getattr(found, name) for name in Facts.__slots__})

    return facts_of


def books(settings: Settings, on_alert: Callable[[Alert], None] | None) -> Bookkeeper | None:
    """The ledger, its budgets and the prices; None where the configuration keeps none."""
    tracking = settings.cost_tracking
    if not tracking.enabled:
        return None
    known = settings.catalog.prices
    book = PriceBook({name: price.model_dump(exclude_none=True) for name, price in known.items()})
    book.load()
    ledger = Ledger(
        store_of(tracking.database.get_secret_value()),
        budgets=[_budget(budget) for budget in settings.budgets],
        on_error="fail" if tracking.on_error == "error" else "warn",
        log_path=tracking.log_path,
        on_alert=on_alert,
        appraise=appraiser(book),
    )
    return Bookkeeper(ledger, book)


def _budget(settings: BudgetSettings) -> Budget:
    return Budget(
        limit=to_nano(settings.limit),
        per=settings.per,
        scope=Scope(**settings.scope.model_dump()),
        zone=timezone.utc if settings.timezone == "UTC" else ZoneInfo(settings.timezone),
        hard=settings.on_exceed == "error",
        assume_output_tokens=settings.assume_output_tokens,
        on_error="fail" if settings.on_error == "error" else "warn",
        name=settings.name,
    )


def kept(books: Bookkeeper | None) -> Bookkeeper:
    """The books, where there are any.

    Raises:
        ConfigurationError: the configuration keeps none.
    """
    if books is None:
        raise ConfigurationError("no ledger is kept: set cost_tracking.enabled to true")
    return books


def transport(
    http: HTTPSettings, client: httpx.AsyncClient | None, background: Background, environ: Mapping[str, str]
) -> Transport:
    """The connections of one event loop: through the caller's own client, or through our pool."""
    if client is not None:
        from .transport.own_client import ClientTransport

        return ClientTransport(client, spawn=background.spawn)
    from .transport.http import HTTPTransport

    return HTTPTransport(
        spawn=background.spawn,
        library=http.library,
        max_connections=http.max_connections,
        idle_connections=http.idle_connections,
        keepalive=http.keepalive,
        trust_env=http.trust_env,
        proxy=None if http.proxy is None else http.proxy.get_secret_value(),
        no_proxy=http.no_proxy,
        ca_bundle=None if http.ca_bundle is None else str(http.ca_bundle),
        environ=environ,
    )


def new_id(prefix: str) -> str:
    """An id for what the wire left without one."""
    return f"{prefix}{uuid.uuid4().hex[:24]}"


def only(providers: Sequence[Provider]) -> dict[str, Any]:
    """The configuration of a client that knows nothing but these hosts; the first is active."""
    if not providers:
        raise ConfigurationError(
            "a client needs a configuration: Client('config.yaml'), a dict of the same shape, or Client.from_env()"
        )
    entries = {provider.name: {"kind": provider.kind} for provider in providers}
    return {"active_provider": providers[0].name, "providers": entries}
