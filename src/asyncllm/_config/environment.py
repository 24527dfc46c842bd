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

_BUDGETS = (("ASYNCLLM_DAILY_BUDGET", "day"), ("ASYNCLLM_MONTHLY_BUDGET", "month"))


def from_env(environ: Mapping[str, str] = os.environ) -> Settings:
    """Returns a configuration with every provider whose variables are set. The first one is active; each has current
    models, the cheapest first.

    The order is that of ``asyncllm._config.KINDS``. ``ASYNCLLM_PROVIDER`` names another active one, also one that needs
    no key; ``ASYNCLLM_MODEL`` its model; ``ASYNCLLM_CROSS_PROVIDER_FALLBACK`` (true or false), ``ASYNCLLM_ROUTING`` (a
    strategy), ``ASYNCLLM_DAILY_BUDGET`` and ``ASYNCLLM_MONTHLY_BUDGET`` (US dollars) are what they say. The ledger is
    in memory.

    Raises:
        ConfigurationError: no provider is found, or a variable holds what it cannot.
    """
    outcome = _read(environ)
    del environ
    if isinstance(outcome, Settings):
        return outcome
    raise outcome


def _read(environ: Mapping[str, str]) -> Settings | ConfigurationError:
    providers = {name: _entry(kind, environ) for name, kind in KINDS.items() if kind.is_found(environ)}
    chosen = _get(environ, "ASYNCLLM_PROVIDER")
    if chosen and chosen not in KINDS:
        return refusal([f"ASYNCLLM_PROVIDER: there is no such provider{hint(chosen, KINDS)}"])
    if chosen and chosen not in providers:
        providers[chosen] = _entry(KINDS[chosen], environ)
    if not providers:
        return ConfigurationError(
            "no provider is configured; set the variables of one, or write a configuration with asyncllm init",
            problems=tuple(f"{name}: {_wanted(kind)}" for name, kind in KINDS.items() if kind.found_by),
        )
    written, variables = _own_variables(environ)
    tree = {**written, "active_provider": chosen or next(iter(providers)), "providers": providers}
    return settle(ConfigDocument(tree=written, variables=variables), tree)


def _get(environ: Mapping[str, str], *names: str) -> str:
    return next((value for name in names if (value := environ.get(name, "").strip())), "")


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


def _own_variables(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """Returns the values of the library's own variables, and the name of the variable for each."""
    tree: dict[str, Any] = {}
    variables: dict[KeyPath, str] = {}
    for variable, key in (
        ("ASYNCLLM_MODEL", "active_model"),
        ("ASYNCLLM_CROSS_PROVIDER_FALLBACK", "cross_provider_fallback"),
    ):
        if value := _get(environ, variable):
            tree[key] = value
            variables[(key,)] = variable
    if value := _get(environ, "ASYNCLLM_ROUTING"):
        tree["routing"] = {"strategy": value}
        variables[("routing",)] = variables[("routing", "strategy")] = "ASYNCLLM_ROUTING"
    budgets = [(variable, per, value) for variable, per in _BUDGETS if (value := _get(environ, variable))]
    if budgets:
        tree["budgets"] = [{"limit": value, "per": per} for _, per, value in budgets]
        variables |= {("budgets", index, "limit"): variable for index, (variable, _, _) in enumerate(budgets)}
    return tree, variables
