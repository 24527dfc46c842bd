"""From the configuration's words to the values the engine works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from .auth.network import Network
from .config import Settings
from .config.sections import LimitSettings, RetrySettings, RouteTarget
from .engine.capability import Facts, FactsOf, Named
from .engine.limits import Bounds, LimitRules
from .engine.retry import RetryPolicy
from .engine.routing import RoutingRules
from .engine.strategies import PriceOf
from .engine.targeting import Entry
from .providers import kinds
from .providers.base import Provider
from .transport.base import Timeouts


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
