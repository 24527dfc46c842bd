"""The chain of a call: which models of which configured providers, in which order.

``provider`` without ``model`` means that entry's first ``fallback_models``; a chain is the chosen model, then the
entry's ``fallback_models`` in order, without duplicates. A chain given by the call replaces the configured one. No
chain leaves its provider unless the call names another one in ``fallback``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from ..errors import ConfigurationError
from ..providers.base import Provider
from ..transport.base import Timeouts
from .router import Target, order

Fallback = Sequence[Union[str, tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A configured provider: what the chain needs to know of it, and how to make it."""

    name: str
    models: tuple[str, ...]
    timeouts: Timeouts
    build: Callable[[], Provider]


class Targeting:
    """Resolves the chain of each call.

    Args:
        entries: the configured providers by name.
        active_provider: the one that is meant when a call names none.
        active_model: its model, where the configuration names one.
    """

    def __init__(self, entries: Mapping[str, Entry], active_provider: str, active_model: str | None) -> None:
        self._entries = entries
        self._active_provider = active_provider
        self._active_model = active_model
        self._built: dict[str, Provider] = {}
        self._chains: dict[tuple[str | None, str | None], tuple[Target, ...]] = {}

    def provider(self, name: str) -> Provider:
        """The host of a configured entry, made at its first use.

        Raises:
            ConfigurationError: there is no such entry, or it cannot be used as it is configured.
        """
        built = self._built.get(name)
        if built is None:
            built = self._built[name] = self._entry(name).build()
        return built

    def resolve(self, provider: str | None, model: str | None, fallback: Fallback | None) -> tuple[Target, ...]:
        """The targets of one call, in order, at least one.

        Raises:
            ConfigurationError: an unknown provider, or no model to ask.
        """
        if fallback is not None:
            return self._chain(provider, model, fallback)
        key = (provider, model)
        chain = self._chains.get(key)
        if chain is None:
            chain = self._chain(provider, model, None)
            if len(self._chains) < 1000:  # names come from callers: the memory of them is bounded
                self._chains[key] = chain
        return chain

    def _chain(self, provider: str | None, model: str | None, fallback: Fallback | None) -> tuple[Target, ...]:
        name = provider or self._active_provider
        entry = self._entry(name)
        first = model or self._default_model(provider, entry)
        later = entry.models if fallback is None else fallback
        hops = [(name, first), *[(name, hop) if isinstance(hop, str) else _pair(hop) for hop in later]]
        return order([Target(self.provider(at), asked, self._entry(at).timeouts) for at, asked in hops])

    def _default_model(self, provider: str | None, entry: Entry) -> str:
        if provider is None and self._active_model:
            return self._active_model
        if entry.models:
            return entry.models[0]
        if entry.name == self._active_provider and self._active_model:
            return self._active_model
        raise ConfigurationError(
            f"no model to ask: give model=..., or list models under providers.{entry.name}.fallback_models"
        )

    def _entry(self, name: str) -> Entry:
        entry = self._entries.get(name)
        if entry is None:
            known = ", ".join(self._entries) or "none"
            raise ConfigurationError(f"no provider {name!r} is configured (configured: {known})")
        return entry


def _pair(hop: tuple[str, str]) -> tuple[str, str]:
    if len(hop) != 2 or not all(isinstance(name, str) for name in hop):
        raise ConfigurationError('fallback must be a list of "model" or ("provider", "model")')
    return hop[0], hop[1]
