"""A configuration from environment variables alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .document import Document
from .interpolate import KeyPath
from .kinds import CREDENTIALS, KINDS, Kind
from .loading import refusal, settle
from .nearest import hint
from .rules import SecretStr
from .settings import Settings

_AWS = frozenset({"aws_access_key_id", "aws_secret_access_key", "aws_session_token"})  # a group, and none beside a key
_BUDGETS = (("ASYNCLLM_DAILY_BUDGET", "day"), ("ASYNCLLM_MONTHLY_BUDGET", "month"))


def from_env(environ: Mapping[str, str] = os.environ) -> Settings:
    """Every provider whose variables are set, the first one active, each with current models, the cheap one first.

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
    providers = {name: _entry(kind, environ) for name, kind in KINDS.items() if _is_found(kind, environ)}
    chosen = _get(environ, "ASYNCLLM_PROVIDER")
    if chosen and chosen not in KINDS:
        return refusal([f"ASYNCLLM_PROVIDER: there is no such provider{hint(chosen, KINDS)}"])
    if chosen and chosen not in providers:
        providers[chosen] = _entry(KINDS[chosen], environ)
    if not providers:
        return ConfigurationError(
            "no provider is configured; set the variables of one",
            problems=tuple(f"{name}: {_wanted(kind)}" for name, kind in KINDS.items() if kind.found_by),
        )
    written, variables = _own_variables(environ)
    tree = {**written, "active_provider": chosen or next(iter(providers)), "providers": providers}
    return settle(Document(tree=written, variables=variables), tree)


def _get(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()


def _is_found(kind: Kind, environ: Mapping[str, str]) -> bool:
    return any(all(_get(environ, name) for name in names) for names in kind.found_by)


def _wanted(kind: Kind) -> str:
    return ", or ".join(" and ".join(sorted(names)) for names in kind.found_by)


def _entry(kind: Kind, environ: Mapping[str, str]) -> dict[str, Any]:
    values = {
        key: next((value for name in names if (value := _get(environ, name))), "")
        for key, names in kind.variables.items()
    }
    if values.get("api_key") or not (values.get("aws_access_key_id") and values.get("aws_secret_access_key")):
        values |= dict.fromkeys(_AWS & values.keys(), "")
    entry = {key: SecretStr(value) if key in CREDENTIALS else value for key, value in values.items() if value}
    return {**entry, "fallback_models": list(kind.models)}


def _own_variables(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """What the library's own variables say, and which variable said it."""
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
