"""The models that the providers list. They are read on request and kept in memory and in a file.

Rules: nothing is asked unless somebody calls `Registry.refresh`. It reads the lists of all hosts at once, page after
page; a list that fails costs nothing but itself, and what comes of a host is taken over whole, so nobody sees half of a
list. A model that is missing from a list which could be read is deprecated from then on, and stays usable; if it comes
back, it is as if nothing had been. What was read in part changes only the part that was read. What a provider says
outranks the package's data, and the configuration outranks both; each fact of a `ModelInfo` says whose word it is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, time, timezone
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from .._protocols.codec import WireRequest
from .._providers.listings import Listing, ModelEntry
from .._providers.provider import Provider
from .._schema.facts import NOTHING_KNOWN, FactSource, ModelFacts
from .._schema.values import dataclass
from ..errors import AsyncLLMError, DeadlineExceededError, ProtocolError, UnsupportedError
from . import saved_models
from .asker import Asker, Way
from .lookup import FactBook
from .names import is_custom, spellings
from .prices import CONFIG, PriceBook
from .saved_models import HostState, SavedModel, identity_of

_log = logging.getLogger("asyncllm.engine")
_MOST_NOTED = 4096  # names come from callers: the memory of them has an end
WITHIN = 60.0
MOST_PAGES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """Holds what is known of a model of a provider. ``None`` means unknown.

    Attributes:
        name: what a request calls it.
        provider: the name of the provider's entry in the configuration.
        aliases: other names for it, as the provider tells them.
        chat: it answers messages; False where the provider says that it is for something else.
        created: when it came into being.
        deprecated: its provider has announced its end, or no longer lists it. It can be used all the same.
        deprecated_since: since when, or since when it is missing from the list.
        retires_at: when it is switched off.
        last_seen: when the provider last listed it.
        last_validated: when it was last proved usable.
        context_window: tokens, input and output together.
        output_limit: the longest output, in tokens.
        input_price: US dollars for a million tokens, today.
        output_price: the same for the output.
        capabilities: what it can do; each of its facts has a source of its own.
        sources: attribute -> where its value is from: ``"api"`` (the provider), ``"catalog"`` (the package's data) or
            ``"config"``.
    """

    name: str
    provider: str
    aliases: tuple[str, ...] = ()
    chat: bool | None = None
    created: datetime | None = None
    deprecated: bool = False
    deprecated_since: datetime | None = None
    retires_at: datetime | None = None
    last_seen: datetime | None = None
    last_validated: datetime | None = None
    context_window: int | None = None
    output_limit: int | None = None
    input_price: Decimal | None = None
    output_price: Decimal | None = None
    capabilities: ModelFacts = NOTHING_KNOWN
    sources: Mapping[str, FactSource] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Holds what the lists of one host contain.

    Attributes:
        chains: path of a list -> its models, for the lists that could be read to their end.
        errors: why others could not.
    """

    chains: Mapping[str, tuple[ModelEntry, ...]]
    errors: tuple[AsyncLLMError, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRefresh:
    """Says what a refresh found at one provider.

    Attributes:
        provider: the name of its entry.
        found: how many models it lists now.
        added: those that are new, or there again.
        vanished: those that are missing since; they are deprecated now.
        errors: what could not be read, and why.
    """

    provider: str
    found: int = 0
    added: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    errors: tuple[AsyncLLMError, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything could be read."""
        return not self.errors


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshResult:
    """Says what a refresh found.

    Attributes:
        at: when it was made.
        hosts: by provider, in the order of the configuration.
    """

    at: datetime
    hosts: Mapping[str, HostRefresh]

    @property
    def ok(self) -> bool:
        """Whether every list could be read."""
        return all(host.ok for host in self.hosts.values())

    @property
    def errors(self) -> Mapping[str, AsyncLLMError]:
        """Returns the first error of each provider that had one."""
        return {name: host.errors[0] for name, host in self.hosts.items() if host.errors}


async def read_lists(asker: Asker, providers: Sequence[Provider], within: float) -> dict[str, Listed]:
    """Reads the lists of all providers. An error of a host is returned and not raised.

    Args:
        asker: asks them.
        providers: whom to ask.
        within: seconds for each list.
    """
    found: dict[str, Listed] = {}

    async def read(provider: Provider) -> None:
        found[provider.name] = await _read_host(asker, provider, within)

    async with anyio.create_task_group() as tasks:
        for provider in providers:
            tasks.start_soon(read, provider)
    return found


async def _read_host(asker: Asker, provider: Provider, within: float) -> Listed:
    listing = provider.listing
    if listing is None:
        sentence = f"{provider.name} has no list of models; name its models in fallback_models"
        return Listed(chains={}, errors=(UnsupportedError(sentence, provider=provider.name),))
    starts = listing.start()
    chains: dict[str, tuple[ModelEntry, ...]] = {}
    errors: list[AsyncLLMError] = []

    async def read(start: WireRequest) -> None:
        try:
            with anyio.fail_after(within):
                chains[start.path] = await _read_chain(asker, provider, listing, start)
        except TimeoutError:
            sentence = f"{provider.name} did not list its models within {within:g} s"
            errors.append(DeadlineExceededError(sentence, provider=provider.name))
        except AsyncLLMError as error:
            error.provider = error.provider or provider.name
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        for start in starts:
            tasks.start_soon(read, start)
    in_order = {start.path: chains[start.path] for start in starts if start.path in chains}
    return Listed(chains=in_order, errors=tuple(errors))


def _as_it_is(request: WireRequest, way: Way) -> WireRequest:
    return request


async def _read_chain(asker: Asker, provider: Provider, listing: Listing, start: WireRequest) -> tuple[ModelEntry, ...]:
    found: dict[str, ModelEntry] = {}
    asked: set[tuple[str, str]] = set()
    request: WireRequest | None = start
    while request is not None:
        page = (request.path, request.query)
        if page in asked or len(asked) == MOST_PAGES:
            raise ProtocolError(
                f"the list of models does not end: page {len(asked)} leads back", provider=provider.name
            )
        asked.add(page)
        write = partial(_as_it_is, request)
        read = listing.decode(request, await asker.ask(provider, write, operation="list", base_url=listing.base_url))
        for entry in read.entries:
            if not is_custom(entry.name):
                found.setdefault(entry.name, entry)
        request = read.following
    return tuple(found.values())


class Registry:
    """Keeps the listed models, with what else is known of them.

    Args:
        asker: asks providers.
        capabilities: what the package and the configuration know of models.
        prices: the same for prices.
        path: the file between runs; None keeps everything in memory.

    Attributes:
        in_use: facts of the models that calls went to, by entry and model; emptied when they may have changed.
    """

    def __init__(self, asker: Asker, capabilities: FactBook, prices: PriceBook, *, path: Path | None = None) -> None:
        self._asker = asker
        self._capabilities = capabilities
        self._prices = prices
        self._path = path
        self._states: dict[str, HostState] = {}
        self._loaded = path is None
        self.in_use: dict[tuple[str, str], ModelFacts] = {}
        self._warned: set[tuple[str, str]] = set()

    # --- the file --------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Reads the file, the prices and the capabilities in a worker thread. A second call does nothing."""
        await anyio.to_thread.run_sync(self._capabilities.load)
        await anyio.to_thread.run_sync(self._prices.load)
        if self._loaded or self._path is None:
            return
        try:
            kept = await anyio.to_thread.run_sync(saved_models.read, self._path)
        except (OSError, ValueError) as error:
            _log.warning(
                "the models in %s cannot be read and are left aside: %s",
                self._path,
                error,
                extra={"event": "models_file"},
            )
            kept = {}
        if not self._loaded:
            self._loaded = True
            self._states = {**kept, **self._states}
            self.in_use.clear()

    async def _save(self, names: Sequence[str]) -> None:
        if self._path is None:
            return
        states = {name: saved_models.plain(self._states[name]) for name in names if name in self._states}
        try:
            await anyio.to_thread.run_sync(saved_models.write, self._path, states)
        except OSError as error:
            _log.warning("the models cannot be kept in %s: %s", self._path, error, extra={"event": "models_file"})

    # --- what providers say ----------------------------------------------------------------------------------------

    async def refresh(self, providers: Sequence[Provider], *, within: float = WITHIN) -> RefreshResult:
        """Asks all of these providers for their models at the same time.

        Args:
            providers: whom to ask.
            within: seconds for each of their lists.

        Returns:
            What was found, and what could not be read; a failing provider is no exception.
        """
        await self.load()
        listed = await read_lists(self._asker, providers, within)
        now = self._now()
        hosts = {provider.name: self._take(provider, listed[provider.name], now) for provider in providers}
        self.in_use.clear()
        await self._save([name for name in hosts if listed[name].chains])
        return RefreshResult(at=now, hosts=hosts)

    def _take(self, provider: Provider, listed: Listed, now: datetime) -> HostRefresh:
        if not listed.chains:
            return HostRefresh(provider=provider.name, errors=listed.errors)
        state = self._state_of(provider)
        before = state.records
        fresh = {
            entry.name: SavedModel(entry=entry, chain=chain, last_seen=now)
            for chain, entries in reversed(tuple(listed.chains.items()))
            for entry in entries
        }
        vanished = {
            name: replace(record, gone_since=now)
            for name, record in before.items()
            if name not in fresh and record.gone_since is None and record.chain in listed.chains
        }
        known = {name for name, record in before.items() if record.gone_since is None}
        state.records = {**before, **vanished, **fresh}
        state.refreshed_at = now
        for name in vanished:
            _log.info(
                "%s no longer lists %s: it is deprecated now", provider.name, name, extra={"event": "model_deprecated"}
            )
        return HostRefresh(
            provider=provider.name,
            found=len(fresh),
            added=tuple([name for name in fresh if name not in known]),
            vanished=tuple(vanished),
            errors=listed.errors,
        )

    def _state_of(self, provider: Provider) -> HostState:
        """Returns the state of a provider; a new one if the entry means another server now."""
        state = self._states.get(provider.name)
        identity = identity_of(provider)
        if state is None or state.identity != identity:
            state = self._states[provider.name] = HostState(identity=identity, kind=provider.kind)
        return state

    def check(self, provider: Provider) -> None:
        """Forgets what is kept under a provider's name if that was another server."""
        state = self._states.get(provider.name)
        if state is not None and state.identity != identity_of(provider):
            del self._states[provider.name]

    async def note_validated(self, provider: Provider, model: str, when: datetime) -> None:
        """Remembers when a model was found usable."""
        self._state_of(provider).validated[model] = when
        await self._save([provider.name])

    # --- what is known ---------------------------------------------------------------------------------------------

    def providers(self) -> tuple[str, ...]:
        """Returns the providers with any known model."""
        return tuple(self._states)

    def refreshed_at(self, provider: str) -> datetime | None:
        """Returns when a provider's list was last read; None if it never was."""
        state = self._states.get(provider)
        return None if state is None else state.refreshed_at

    def models(self, provider: str, *, include_deprecated: bool = False) -> Iterator[ModelInfo]:
        """Yields the models that a provider listed, by name, without those that are known to be for something else than
        chat.
        """
        state = self._states.get(provider)
        for name in sorted(state.records) if state is not None else ():
            info = self.info(provider, state.kind if state else "", name)
            if info.chat is not False and (include_deprecated or not info.deprecated):
                yield info

    def is_deprecated(self, provider: str, kind: str, model: str) -> bool:
        """Whether a model's end is announced, or it is missing from its provider's list."""
        return self.info(provider, kind, model).deprecated

    def use(self, provider: str, kind: str, model: str) -> ModelFacts:
        """Returns what is known of a model that a call goes to; keeps it in `in_use`, where callers may look first.

        The log is warned of a deprecated model, once for each, and only of what its provider said.

        Args:
            provider: the name of the provider's entry in the configuration.
            kind: its kind.
            model: the model's name as it is sent.
        """
        key = (provider, model)
        found = self.in_use.get(key)
        if found is None:
            if len(self.in_use) >= _MOST_NOTED:
                self.in_use.clear()
            found = self.in_use[key] = self.facts(kind, model, provider)
            if provider in self._states:
                self._warn(provider, model)
        return found

    def _warn(self, provider: str, model: str) -> None:
        key = (provider, model)
        record = self._record(provider, model)
        if record is None or key in self._warned:
            return
        entry = self._whole(provider, record.entry)
        ends = entry.retires_at
        if record.gone_since is not None:
            self._warned.add(key)
            _log.warning(
                "%s no longer lists %s: it may stop working", provider, model, extra={"event": "model_deprecated"}
            )
        elif entry.deprecated or (ends is not None and ends <= self._now()):
            self._warned.add(key)
            when = f", which ends on {ends.date()}" if ends is not None else ""
            _log.warning(
                "%s has deprecated %s%s: choose another model",
                provider,
                model,
                when,
                extra={"event": "model_deprecated"},
            )

    def facts(self, kind: str, model: str, provider: str | None = None) -> ModelFacts:
        """Returns what a model can do. The configuration overrides the provider, and the provider overrides the
        package's data.

        Args:
            kind: the provider's kind.
            model: its name.
            provider: the entry's name; without it every entry of that kind is asked.
        """
        known = self._capabilities.find(kind, model, provider=provider)
        names = [provider] if provider is not None else [n for n, s in self._states.items() if s.kind == kind]
        for name in names:
            record = self._record(name, model)
            if record is not None:
                told = self._whole(name, record.entry).facts
                return known.overlaid(
                    {fact: value for fact, value in told.items() if known.sources.get(fact) != CONFIG}, "api"
                )
        return known

    def info(self, provider: str, kind: str, model: str) -> ModelInfo:
        """Returns all that is known of a model, even if it is not listed. A custom model has no facts but its name."""
        record = self._record(provider, model)
        state = self._states.get(provider)
        entry = ModelEntry(name=model) if record is None else self._whole(provider, record.entry)
        can = self.facts(kind, model, provider)
        told: dict[str, Any] = {
            "aliases": entry.aliases or None,
            "chat": entry.chat,
            "created": entry.created,
            "last_seen": None if record is None else record.last_seen,
            "retires_at": entry.retires_at,
        }
        facts = {name: value for name, value in told.items() if value is not None}
        sources: dict[str, FactSource] = dict.fromkeys(facts, "api")
        if entry.retires_at is None and can.retires_on is not None:
            facts["retires_at"] = datetime.combine(can.retires_on, time(), timezone.utc)
            sources["retires_at"] = can.sources["retires_on"]
        for name, fact in (("context_window", "context_window"), ("output_limit", "max_output_tokens")):
            if (value := getattr(can, fact)) is not None:
                facts[name], sources[name] = value, can.sources[fact]
        for name, (price, source) in self._prices_of(provider, kind, model).items():
            facts[name], sources[name] = price, source
        facts.update(self._lifecycle(entry, record, can, sources))
        validated = None if state is None else state.validated.get(model)
        return ModelInfo(
            name=model, provider=provider, capabilities=can, last_validated=validated, sources=sources, **facts
        )

    def _lifecycle(
        self, entry: ModelEntry, record: SavedModel | None, can: ModelFacts, sources: dict[str, FactSource]
    ) -> Mapping[str, Any]:
        """Returns whether a model is deprecated and since when, by the best source."""
        now = self._now()
        gone = None if record is None else record.gone_since
        over = entry.retires_at is not None and entry.retires_at <= now
        if gone is not None or over or entry.deprecated is not None:
            sources["deprecated"] = "api"
            deprecated = gone is not None or over or entry.deprecated is True
        elif can.deprecated is not None or (can.retires_on is not None and can.retires_on <= now.date()):
            sources["deprecated"] = can.sources["deprecated" if can.deprecated is not None else "retires_on"]
            deprecated = can.deprecated is True or (can.retires_on is not None and can.retires_on <= now.date())
        else:
            return {}
        since = entry.deprecated_since or gone
        if not deprecated or since is None:
            return {"deprecated": deprecated}
        sources["deprecated_since"] = "api"
        return {"deprecated": deprecated, "deprecated_since": since}

    def _prices_of(self, provider: str, kind: str, model: str) -> dict[str, tuple[Decimal, FactSource]]:
        if is_custom(model):
            return {}
        found = self._prices.find(kind, model, provider=provider)
        rates = (found.rates(self._now()) or {}) if found is not None else {}
        return {
            f"{unit}_price": (
                Decimal(rates[unit].dollars),
                "config" if found is not None and unit in found.overrides else "catalog",
            )
            for unit in ("input", "output")
            if unit in rates
        }

    def _record(self, provider: str, model: str) -> SavedModel | None:
        """Returns the record of a model, by its name, another spelling, or an alias."""
        state = self._states.get(provider)
        if state is None or is_custom(model):
            return None
        for name in (model, *spellings(model)):
            if name in state.records:
                return state.records[name]
        return next((record for record in state.records.values() if model in record.entry.aliases), None)

    def _whole(self, provider: str, entry: ModelEntry) -> ModelEntry:
        """Returns an entry completed with the facts of the model behind it."""
        behind = self._states[provider].records.get(entry.behind) if entry.behind else None
        if behind is None:
            return entry
        below = behind.entry
        return replace(
            entry,
            deprecated=below.deprecated if entry.deprecated is None else entry.deprecated,
            deprecated_since=entry.deprecated_since or below.deprecated_since,
            retires_at=entry.retires_at or below.retires_at,
            facts={**below.facts, **entry.facts},
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._asker.now(), timezone.utc)
