"""Reading the lists of hosts: every host at once, every chain of a host at once, page after page.

A chain that fails costs nothing but itself. What comes of a host is handed over whole, so that whoever keeps it never
sees half of a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import anyio

from .._protocols.base import WireRequest
from .._providers.base import Provider
from ..errors import AsyncLLMError, DeadlineExceededError, ProtocolError, UnsupportedError
from .asking import Asker
from .listings.base import Entry, Listing
from .names import is_custom

MOST_PAGES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What the lists of one host said.

    Attributes:
        chains: path of a list -> its models, for the lists that could be read to their end.
        errors: why others could not.
    """

    chains: Mapping[str, tuple[Entry, ...]]
    errors: tuple[AsyncLLMError, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRefresh:
    """What a refresh found at one provider.

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
    """What a refresh found.

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
        """Provider -> the first thing that went wrong there."""
        return {name: host.errors[0] for name, host in self.hosts.items() if host.errors}


async def read_lists(asker: Asker, providers: Sequence[Provider], within: float) -> dict[str, Listed]:
    """What every provider lists, by its name; never raises for a host.

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
    chains: dict[str, tuple[Entry, ...]] = {}
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


async def _read_chain(asker: Asker, provider: Provider, listing: Listing, start: WireRequest) -> tuple[Entry, ...]:
    found: dict[str, Entry] = {}
    asked: set[tuple[str, str]] = set()
    request: WireRequest | None = start
    while request is not None:
        page = (request.path, request.query)
        if page in asked or len(asked) == MOST_PAGES:
            raise ProtocolError(
                f"the list of models does not end: page {len(asked)} leads back", provider=provider.name
            )
        asked.add(page)
        read = listing.decode(request, await asker.ask(provider, request, base_url=listing.base_url))
        for entry in read.entries:
            if not is_custom(entry.name):
                found.setdefault(entry.name, entry)
        request = read.following
    return tuple(found.values())
