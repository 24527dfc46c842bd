"""The catalog of a client: its registry of models, their facts and prices, and the requests to providers about them.

`Catalog` is made once for a client and outlives its event loops; every question goes through the `Asker` it was
given, so it holds no connection. It asks nobody by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path

from .._providers.provider import Provider
from .._schema.facts import ModelFacts
from .._schema.request import Request
from ..errors import AsyncLLMError, BadRequestError, ConfigurationError
from .asker import Asker
from .lookup import FactBook
from .prices import PriceBook
from .registry import HostRefresh, ModelInfo, RefreshResult, Registry
from .tokens import TokenCount, count_tokens
from .validation import Validation, validate

CAPABILITIES = ("tools", "images", "documents", "audio", "video", "json_schema", "reasoning", "sampling")
_SYNONYMS: Mapping[str, str] = {"vision": "images", "structured_output": "json_schema", "thinking": "reasoning"}


class Catalog:
    """Knows what a client knows of models, and finds out more.

    Args:
        asker: asks providers.
        kinds: the configured providers in order, by name, with their kinds.
        provider_of: gives the provider of a name; raises `ConfigurationError` where its key is missing.
        capabilities: what the package and the configuration know of models.
        prices: the same for prices.
        path: the file that keeps discovered models between runs; None for none.
    """

    def __init__(
        self,
        *,
        asker: Asker,
        kinds: Mapping[str, str],
        provider_of: Callable[[str], Provider],
        capabilities: FactBook | None = None,
        prices: PriceBook | None = None,
        path: Path | None = None,
    ) -> None:
        self._asker = asker
        self._kinds = kinds
        self._provider_of = provider_of
        self.capabilities: FactBook = FactBook() if capabilities is None else capabilities
        self.prices: PriceBook = PriceBook() if prices is None else prices
        self.registry: Registry = Registry(self._asker, self.capabilities, self.prices, path=path)
        self.in_use: dict[tuple[str, str], ModelFacts] = self.registry.in_use

    def asked_by(self, asker: Asker, provider_of: Callable[[str], Provider]) -> Catalog:
        """Returns the same catalog for a view of the client. Its requests use another key.

        Args:
            asker: asks providers.
            provider_of: gives the host of a name.
        """
        other = copy(self)
        other._asker, other._provider_of = asker, provider_of  # noqa: SLF001  # a copy of this very object
        return other

    # --- questions that reach a provider ---------------------------------------------------------------------------

    async def refresh_models(self, provider: str | None = None) -> RefreshResult:
        """Asks all providers for their models at the same time, or one of them.

        Returns:
            What was found; a provider that failed is reported in it and costs the others nothing.

        Raises:
            ConfigurationError: there is no such provider.
        """
        asked, unready = [], {}
        for name in self._names(provider):
            try:
                asked.append(self._provider_of(name))
            except ConfigurationError as error:
                unready[name] = HostRefresh(provider=name, errors=(error,))
        result = await self.registry.refresh(asked)
        hosts = {**unready, **result.hosts}
        return RefreshResult(at=result.at, hosts={name: hosts[name] for name in self._kinds if name in hosts})

    async def validate_model(self, provider: str, model: str) -> Validation:
        """Checks by the cheapest real request whether a model can be used, and says why not.

        Raises:
            ConfigurationError: there is no such provider, or no key for it.
        """
        self._names(provider)
        host = self._provider_of(provider)
        await self.registry.load()
        found = await validate(self._asker, host, model)
        if found.usable:
            await self.registry.note_validated(host, model, found.at)
        elif found.problem == "unknown":
            info = self.registry.info(provider, host.kind, model)
            if info.deprecated:
                when = info.deprecated_since or info.retires_at
                since = f" (deprecated since {when.date()})" if when is not None else ""
                return replace(found, problem="deprecated", message=f"{model} is no longer there{since}")
        return found

    async def count_tokens(self, provider: str, request: Request) -> TokenCount:
        """Returns the input tokens of a request. The provider counts them if it can, else they are estimated.

        Raises:
            ConfigurationError: there is no such provider, or no key for it.
            AsyncLLMError: the provider counts, but refused or could not be reached.
        """
        self._names(provider)
        return await count_tokens(self._asker, self._provider_of(provider), request)

    # --- questions that do not -------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Reads what is kept between runs, and the package's data, in a worker thread."""
        await self.registry.load()

    async def models(
        self, provider: str | None = None, *, include_deprecated: bool = False, capability: str | None = None
    ) -> tuple[ModelInfo, ...]:
        """Returns the models that providers listed when they were last asked; none before the first `refresh_models`.

        Args:
            provider: only this one's.
            include_deprecated: also those whose end is announced, or that are no longer listed.
            capability: only those known to have it: ``tools``, ``images`` (or ``vision``), ``documents``, ``audio``,
                ``video``, ``json_schema``, ``reasoning``, ``sampling``.

        Raises:
            ConfigurationError: there is no such provider.
            BadRequestError: there is no such capability.
        """
        wanted = None if capability is None else _SYNONYMS.get(capability, capability)
        if wanted is not None and wanted not in CAPABILITIES:
            raise BadRequestError(f"no capability {capability!r}; there are {', '.join(CAPABILITIES)}")
        names = self._names(provider)
        await self.registry.load()
        for name in names:
            self._forget_foreign(name)
        found = [info for name in names for info in self.registry.models(name, include_deprecated=include_deprecated)]
        return tuple([info for info in found if wanted is None or getattr(info.capabilities, wanted) is True])

    async def model(self, provider: str, model: str) -> ModelInfo:
        """Returns all that is known of one model, even if it is not listed.

        Raises:
            ConfigurationError: there is no such provider.
        """
        self._names(provider)
        await self.registry.load()
        return self.registry.info(provider, self._kinds[provider], model)

    async def is_deprecated(self, provider: str, model: str) -> bool:
        """Returns whether the end of a model is announced, or its provider does not list it any more.

        Raises:
            ConfigurationError: there is no such provider.
        """
        return (await self.model(provider, model)).deprecated

    def use(self, provider: str, kind: str, model: str) -> ModelFacts:
        """Returns what is known of a model that a call goes to; as `asyncllm._models.registry.Registry.use`."""
        return self.registry.use(provider, kind, model)

    def facts(self, provider: str, kind: str, model: str) -> ModelFacts:
        """Returns the facts of one model, from the package's data, the provider's list and the configuration.

        Args:
            provider: the name of the provider's entry in the configuration.
            kind: its kind.
            model: the model's name as it is sent.
        """
        return self.registry.facts(kind, model, provider)

    def _names(self, provider: str | None) -> tuple[str, ...]:
        if provider is None:
            return tuple(self._kinds)
        if provider not in self._kinds:
            raise ConfigurationError(f"no provider {provider!r} is configured (configured: {', '.join(self._kinds)})")
        return (provider,)

    def _forget_foreign(self, name: str) -> None:
        """Forgets the list of an entry whose name now means another server."""
        if name in self.registry.providers():
            try:
                self.registry.check(self._provider_of(name))
            except AsyncLLMError:  # an entry without a key: what is kept of it does no harm
                return
