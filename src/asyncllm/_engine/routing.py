"""From what a call says about where to go to its targets: the named chain, or what the configured strategy chooses.

A call that names a provider, a model or a chain gets what it names. Otherwise the strategy orders its targets, which
are those of the configuration or, where it lists none, the active provider's chain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from .._schema.request import Request
from ..errors import BadRequestError, ConfigurationError
from .capability import Named, fit, for_task
from .estimate import estimate
from .health import Health
from .router import FactsOf, Target, order
from .strategies import PriceOf, by_cost, by_latency, by_weight
from .targeting import Fallback, Targeting

Strategy = Literal["fallback", "cost", "latency", "capability", "load_balance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRules:
    """The routing section of a configuration.

    Attributes:
        targets: what cost, latency and load_balance choose from.
        weights: of the targets, for load_balance.
        tasks: the models of a task.
        tiers: the models of a tier.
    """

    strategy: Strategy = "fallback"
    targets: Sequence[Named] = ()
    weights: Sequence[float] = ()
    tasks: Mapping[str, Sequence[Named]] = field(default_factory=dict)
    tiers: Mapping[str, Sequence[Named]] = field(default_factory=dict)


class Choice(NamedTuple):
    """Where a call goes.

    Attributes:
        variant: what load balancing chose, as ``provider/model``.
    """

    targets: tuple[Target, ...]
    variant: str | None = None


class Routing:
    """Chooses the targets of each call.

    Args:
        rules: the strategy and its keys.
        targeting: makes targets, and the chains that calls name.
        health: knows the latencies.
        price_of: knows the prices.
        facts_of: knows what models can do.
        draw: a random number of at least 0 and less than 1.
    """

    def __init__(
        self,
        rules: RoutingRules,
        targeting: Targeting,
        health: Health,
        *,
        price_of: PriceOf,
        facts_of: FactsOf,
        draw: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._targeting = targeting
        self._health = health
        self._price_of = price_of
        self._facts_of = facts_of
        self._draw = draw
        self._made: dict[Named, Target] = {}

    def named(self, provider: str | None, model: str | None, fallback: Fallback | None, task: str | None) -> bool:
        """Whether the call itself says where it goes, so that no strategy is asked.

        Raises:
            BadRequestError: it names a task and a target.
            ConfigurationError: it names a task, and no tasks are configured.
        """
        named = provider is not None or model is not None or fallback is not None
        if task is not None:
            if named:
                raise BadRequestError("give either task, or provider, model and fallback, but not both")
            if self._rules.strategy != "capability":
                raise ConfigurationError(
                    "task= needs `routing: {strategy: capability, tiers: {...}}` in the configuration"
                )
        return named or self._rules.strategy == "fallback" or (self._rules.strategy == "capability" and task is None)

    def choose(self, request: Request, *, task: str | None, sticky_key: str | None) -> Choice:
        """The targets of a call that names none, by the configured strategy.

        Raises:
            BadRequestError: an unknown task.
            UnsupportedContentError: no model of the task has what the request needs.
            ConfigurationError: a target cannot be used as it is configured.
        """
        rules = self._rules
        if task is not None:
            targets = order(self._targets(for_task(task, rules.tasks, rules.tiers)))
            return Choice(fit(targets, request, self._facts_of))
        targets = self._targets(rules.targets) if rules.targets else self._targeting.resolve(None, None, None)
        if rules.strategy == "cost":
            return Choice(by_cost(order(targets), self._price_of, *estimate(request)))
        if rules.strategy == "latency":
            health = self._health
            return Choice(by_latency(order(targets), lambda target: health.typical(target, request.stream), self._draw))
        balanced = order(by_weight(targets, rules.weights, self._draw, sticky_key))
        return Choice(balanced, "/".join(balanced[0].key))

    def _targets(self, named: Sequence[Named]) -> tuple[Target, ...]:
        return tuple([self._made.get(one) or self._make(one) for one in named])

    def _make(self, named: Named) -> Target:
        target = self._made[named] = self._targeting.target(*named)
        return target
