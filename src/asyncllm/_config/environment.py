"""Makes a configuration from environment variables alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .._providers.spec import HostSpec
from ..errors import ConfigurationError
from .document import ConfigDocument
from .interpolate import KeyPath
from .kinds import KINDS
from .loading import refusal, settle
from .nearest import hint
from .rules import SecretStr
from .settings import Settings

# Key of the configuration -> the library's own variables for it; after the first, the names of the first requirements.
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "active_provider": ("ASYNCLLM_PROVIDER", "PRIMARY_LLM_PROVIDER"),
    "active_model": ("ASYNCLLM_MODEL",),
    "cross_provider_fallback": ("ASYNCLLM_CROSS_PROVIDER_FALLBACK", "ENABLE_LLM_FALLBACK"),
    "routing": ("ASYNCLLM_ROUTING", "LLM_ROUTING_STRATEGY"),
}
BUDGET_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "day": ("ASYNCLLM_DAILY_BUDGET", "LLM_DAILY_BUDGET"),
    "month": ("ASYNCLLM_MONTHLY_BUDGET", "LLM_MONTHLY_BUDGET"),
}
_STRATEGIES: Mapping[str, str] = {
    "cost_based": "cost",
    "cost_optimized": "cost",
    "capability_based": "capability",
    "load_balanced": "load_balance",
    "load_balancing": "load_balance",
    "round_robin": "load_balance",
    "latency_based": "latency",
}


def from_env(environ: Mapping[str, str] = os.environ) -> Settings:
    """Returns a configuration with every provider whose variables are set. The first one is active; each has current
    models, the cheapest first.

    The order is that of ``asyncllm._config.KINDS``. ``ASYNCLLM_PROVIDER`` names another active one, also one that needs
    no key; ``ASYNCLLM_MODEL`` its model; ``ASYNCLLM_CROSS_PROVIDER_FALLBACK`` (true or false), ``ASYNCLLM_ROUTING`` (a
    strategy, among all providers that were found), ``ASYNCLLM_DAILY_BUDGET`` and ``ASYNCLLM_MONTHLY_BUDGET`` (US
    dollars) are what they say. ``PRIMARY_LLM_PROVIDER``, ``ENABLE_LLM_FALLBACK``, ``LLM_ROUTING_STRATEGY``,
    ``LLM_DAILY_BUDGET`` and ``LLM_MONTHLY_BUDGET`` are other names of these. The ledger is in memory.

    Raises:
        ConfigurationError: no provider is found, or a variable holds what it cannot.
    """
    outcome = _read(environ)
    del environ
    if isinstance(outcome, Settings):
        return outcome
    raise outcome


def _read(environ: Mapping[str, str]) -> Settings | ConfigurationError:
    chosen = _get(environ, *VARIABLES["active_provider"])
    found = {name: kind for name, kind in KINDS.items() if kind.is_found(environ)}
    # Keys that may be there for other services are not taken for a wish to use this host, unless it is the only one.
    meant = {name for name, kind in found.items() if name == chosen or kind.is_complete(environ)} or found.keys()
    providers = {name: _entry(kind, environ) for name, kind in found.items() if name in meant}
    if chosen and chosen not in KINDS:
        variable = _set(environ, VARIABLES["active_provider"])
        return refusal([f"{variable}: there is no such provider{hint(chosen, KINDS)}"])
    if chosen and chosen not in providers:
        providers[chosen] = _entry(KINDS[chosen], environ)
    if not providers:
        return ConfigurationError(
            "no provider is configured; set the variables of one, or write a configuration with asyncllm init",
            problems=tuple(f"{name}: {_wanted(kind)}" for name, kind in KINDS.items() if kind.found_by),
        )
    written, variables = _own_variables(environ, providers)
    tree = {**written, "active_provider": chosen or next(iter(providers)), "providers": providers}
    return settle(ConfigDocument(tree=written, variables=variables), tree)


def _get(environ: Mapping[str, str], *names: str) -> str:
    return next((value for name in names if (value := environ.get(name, "").strip())), "")


def _set(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Returns the first of these variables that is set to something; ``""`` if none is."""
    return next((name for name in names if environ.get(name, "").strip()), "")


def _wanted(spec: HostSpec) -> str:
    return ", or ".join(" and ".join(sorted(names)) for names in spec.found_by)


def _entry(spec: HostSpec, environ: Mapping[str, str]) -> dict[str, Any]:
    found = {name: _get(environ, *key.variables) for name, key in spec.keys.items()}
    values: dict[str, Any] = {name: value for name, value in found.items() if value}
    if "api_key" in values or not all(values.get(name) for pair in spec.pairs for name in pair):
        values = {name: value for name, value in values.items() if name not in spec.together}
    entry = {
        name: SecretStr(value, _origin(spec.keys[name].variables, environ))
        if spec.keys[name].form == "secret"
        else value
        for name, value in values.items()
    }
    return {**entry, "fallback_models": list(spec.models)}


def _origin(variables: tuple[str, ...], environ: Mapping[str, str]) -> str:
    return next((f"the environment variable {name}" for name in variables if environ.get(name, "").strip()), "")


def _own_variables(
    environ: Mapping[str, str], providers: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """Returns the values of the library's own variables, and the name of the variable for each."""
    tree: dict[str, Any] = {}
    variables: dict[KeyPath, str] = {}
    for key in ("active_model", "cross_provider_fallback"):
        if variable := _set(environ, VARIABLES[key]):
            tree[key] = environ[variable].strip()
            variables[(key,)] = variable
    if variable := _set(environ, VARIABLES["routing"]):
        tree["routing"] = _routing(environ[variable].strip(), providers)
        variables |= dict.fromkeys((("routing",), ("routing", "strategy"), ("routing", "targets")), variable)
    budgets = [(variable, per) for per, names in BUDGET_VARIABLES.items() if (variable := _set(environ, names))]
    if budgets:
        tree["budgets"] = [{"limit": environ[variable].strip(), "per": per} for variable, per in budgets]
        variables |= {("budgets", index, "limit"): variable for index, (variable, _) in enumerate(budgets)}
    return tree, variables


def _routing(word: str, providers: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the routing among all providers that were found.

    Capability routing takes each provider's first model for economy and its last for premium. Strategies that spread
    the calls take the first model of each. The other strategies choose among all models.
    """
    plain = word.lower().replace("-", "_")
    strategy = _STRATEGIES.get(plain, plain)
    models = {name: list(entry["fallback_models"]) for name, entry in providers.items() if entry["fallback_models"]}
    first = [{"provider": name, "model": own[0]} for name, own in models.items()]
    if strategy == "capability" and first:
        last = [{"provider": name, "model": own[-1]} for name, own in models.items()]
        return {"strategy": strategy, "tiers": {"economy": first, "standard": last, "premium": last}}
    if strategy in ("load_balance", "least_busy", "cache_affinity"):
        return {"strategy": strategy, "targets": first} if len(first) > 1 else {"strategy": "fallback"}
    if strategy in ("cost", "latency"):
        every = [{"provider": name, "model": model} for name, own in models.items() for model in own]
        return {"strategy": strategy, "targets": every}
    return {"strategy": strategy}
