"""HTTP over httpx, httpx2 or httpx-aiohttp. Only this module imports them, and only the one that is configured.

The theory: the pool is ours and the connection is the library's. Every `connection.Slot` holds one transport of the
library that is limited to one connection; `pool.Pool` hands slots out, one pool an origin. A request is built once,
handed to the slot's ``handle_async_request``, and its body is read raw. The library's client, with its cookies,
redirects, hooks and decoders, is not used.

The rules:

* An exchange that is under way is held strongly until it has ended, so that a forgotten one is never finalised by
  chance.
* What failed or was cancelled gives its permit back at once; its connection is closed by a background task.
* While connections lie idle, or streams are open, one background task looks after them. When its loop ends and cancels
  it, it closes them all, so that nothing is left to the loop's own way of tearing down.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import anyio

from .._config.rules import Environment
from .._config.sections import HTTPSettings, Library
from ..errors import (
    AsyncLLMError,
    ClientStateError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    WriteTimeoutError,
)
from .anyio_internals import load_backend
from .base import HTTPReply, Spawn, TransportRequest
from .connection import (
    MOST_WHOLE,
    HTTPExchange,
    OutgoingRequests,
    Slot,
    Work,
    WriteWatch,
    merge_pieces,
    open_exchange,
    whole,
)
from .failures import surfaced, translate
from .httpx_internals import h11_connection, load_core
from .pool import Pool
from .proxy import ProxyRules, ProxyURL, split_credentials, unread
from .proxy_words import of_proxy, refusal, spoken_by_proxy
from .tls import TLS

_PACKAGES: Mapping[str, tuple[str, str]] = {
    "httpx": ("httpx", "httpx"),
    "httpx2": ("httpx2", "asyncllm-client[httpx2]"),
    "aiohttp": ("httpx_aiohttp", "asyncllm-client[aiohttp]"),
}
_MOST_TARGETS = 512
_SWEEP_SECONDS = 1.0
_CLOSING_SECONDS = 1.0
_DRAINING_SECONDS = 0.2
_NOTHING: Mapping[str, str] = MappingProxyType({})


class _Target:
    """What is computed once for an address."""

    __slots__ = ("host", "host_header", "pool", "proxy", "proxy_name", "tls", "url")

    def __init__(self, url: Any, pool: Pool[Slot], proxy: ProxyURL | None, proxy_name: str) -> None:
        self.url = url
        self.host: str = url.host
        self.host_header: bytes = url.netloc
        self.tls: bool = url.scheme == "https"
        self.pool = pool
        self.proxy = proxy
        self.proxy_name = proxy_name


class HTTPTransport:
    """A `base.Transport`.

    Args:
        spawn: starts background tasks.
        http: the library, the bounds of the pool, proxies and certificates: the configuration's section as it is.
        max_age: seconds after which a connection is not used again.
        environ: the environment that ``trust_env`` speaks of; by default the process's.

    Raises:
        ConfigurationError: the library is not installed, or a proxy or bundle cannot be used.
    """

    def __init__(
        self,
        http: HTTPSettings = HTTPSettings(),  # noqa: B008  # frozen
        *,
        spawn: Spawn,
        max_age: float = 600.0,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        proxy = None if http.proxy is None else ProxyURL(http.proxy.get_secret_value())
        known = os.environ if environ is None else environ
        self._unread = partial(unread, Environment(known), trust_env=http.trust_env)
        environ = known if http.trust_env else _NOTHING
        del known
        self._lane = _Lane(http.library)
        self._spawn = spawn
        self._new_pool = partial(
            Pool[Slot],
            limit=http.max_connections,
            most_idle=http.idle_connections,
            keepalive=http.keepalive,
            max_age=max_age,
        )
        self._sweep_every = min(_SWEEP_SECONDS, max(http.keepalive / 2, 0.01))
        self.proxies = ProxyRules(proxy=proxy, no_proxy=http.no_proxy, environ=environ)
        self._tls = TLS(http, environ)
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._pools: dict[tuple[str, str, int | None], Pool[Slot]] = {}
        self._targets: dict[str, _Target] = {}
        self._exchanges: set[HTTPExchange] = set()
        self._background_tasks = 0
        self._quiet: anyio.Event | None = None
        self._stop_sweeping: anyio.Event | None = None
        self._gathered: list[Work] | None = None

    @property
    def ca_bundle(self) -> str | None:
        """The certificate authorities in use, for others who open connections of their own; None for certifi's."""
        return self._tls.ca_bundle

    async def send(self, request: TransportRequest) -> HTTPReply:
        """Sends and reads the whole answer; `base.Transport.send` names the errors."""
        return await whole(await self.stream(request), request.max_body)

    async def stream(self, request: TransportRequest) -> HTTPExchange:
        """Sends and returns as soon as the head of the answer is there."""
        target = self._targets.get(request.url) or self._target(request.url)
        if target.tls and not self._tls.ready:
            await self._tls.prepare()
        pool = target.pool
        slot = await pool.acquire()
        failure = None
        try:
            response, slot = await self._reach(request, target, slot)
        except BaseException as error:  # noqa: BLE001  # raised below, outside of this block
            failure = surfaced(error, target.host)
            if target.proxy is not None and isinstance(failure, AsyncLLMError):
                failure = of_proxy(error, failure, proxy=target.proxy, name=target.proxy_name, host=target.host)
        if failure is not None:
            raise self._explained(failure)
        lease = _PoolLease(self, target.pool, slot)
        exchange = open_exchange(response, request, host=target.host, lease=lease, background=self._background)
        self._exchanges.add(exchange)
        if target.proxy is not None and not target.tls and spoken_by_proxy(exchange.status, exchange.headers):
            exchange.release()
            raise refusal(exchange.status, proxy=target.proxy, name=target.proxy_name, host=target.host)
        if self._stop_sweeping is None:
            self._start_sweeping()
        return exchange

    def _explained(self, failure: BaseException) -> BaseException:
        """Adds to a connection error what the environment says about proxies and certificates and we do not read."""
        if isinstance(failure, ConnectError) and (hint := self._unread(certificate=failure.certificate)):
            failure.tell(f"{hint}.")
        return failure

    async def _reach(self, request: TransportRequest, target: _Target, slot: Slot) -> tuple[Any, Slot]:
        """Sends and returns the headers of the reply. A reused connection that turns out to be dead is replaced,
        once.
        """
        failure: AsyncLLMError | None = None
        try:
            return await self._attempt(request, target, slot), slot
        except BaseException as error:
            stale = slot.reused and isinstance(error, Exception)
            failure = translate(error, target.host) if stale else None
            if not isinstance(failure, ConnectionLostError) or isinstance(failure, WriteTimeoutError):
                target.pool.discard(slot)
                raise
        fresh = target.pool.replace(slot)
        try:
            if request.on_reconnect is not None:
                request.on_reconnect()
            return await self._attempt(request, target, fresh), fresh
        except BaseException:
            target.pool.discard(fresh)
            raise

    async def _attempt(self, request: TransportRequest, target: _Target, slot: Slot) -> Any:
        extensions: dict[str, Any] = {} if slot.network is not None or slot.reused else {"trace": slot.watch}
        outgoing = self._lane.requests.build(request, target.url, target.host_header, extensions)
        if self._lane.aiohttp and len(request.body) > MOST_WHOLE:
            response = await WriteWatch(request.write_timeout).send(slot.transport, outgoing, target.host)
        else:
            response = await slot.transport.handle_async_request(outgoing)
        outgoing.extensions["timeout"]["read"] = request.read_timeout  # the library looks it up as the body begins
        slot.network = response.extensions.get("network_stream")
        if not slot.reused:
            slot.reused = True
            connection = h11_connection(slot.transport)
            if connection is not None:
                merge_pieces(connection)
        return response

    def _target(self, url: str) -> _Target:
        if self._closed:
            raise ClientStateError("The transport is closed.")
        failure = None
        try:
            parsed = self._lane.module.URL(url)
        except Exception as error:  # noqa: BLE001  # raised below, outside of this block
            failure = surfaced(error, "the provider")
        if failure is not None:
            raise failure
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ConfigurationError("The address of a provider must begin with http:// or https:// and name a host.")
        origin = (parsed.scheme, parsed.host, parsed.port)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = self._new_pool(self._opener(*origin))
        if len(self._targets) >= _MOST_TARGETS:
            self._targets.clear()
        proxy = self.proxies.resolve(*origin)
        target = self._targets[url] = _Target(parsed, pool, proxy, self.proxies.names.get(parsed.scheme, ""))
        return target

    def _opener(self, scheme: str, host: str, port: int | None) -> Callable[[], Slot]:
        proxy = self.proxies.resolve(scheme, host, port)

        def open_slot() -> Slot:
            if self._closed:
                raise ClientStateError("The transport is closed.")
            context = self._tls.context(verify=scheme == "https" or (proxy or "").startswith("https"))
            return Slot(self._lane.open(context, proxy), born=time.monotonic(), background=self._background)

        return open_slot

    def _background(self, work: Work) -> None:
        """Starts background work, and counts it so that `aclose` can wait for it."""
        if self._gathered is not None:
            self._gathered.append(work)
            return
        self._background_tasks += 1

        async def counted() -> None:
            try:
                await work()
            finally:
                self._background_tasks -= 1
                if self._background_tasks <= 0 and self._quiet is not None:
                    self._quiet.set()

        self._spawn(counted)

    def _ended(self, exchange: HTTPExchange) -> None:
        self._exchanges.discard(exchange)

    def _look_after(self, pool: Pool[Slot]) -> None:
        """Starts the task that sweeps idle connections, if it does not run."""
        if self._closed:
            for slot in pool.empty():
                slot.close()
        elif self._stop_sweeping is None:
            self._start_sweeping()

    def _start_sweeping(self) -> None:
        if not self._closed:
            self._stop_sweeping = stop = anyio.Event()
            self._spawn(partial(self._sweep, stop))

    async def _sweep(self, stop: anyio.Event) -> None:
        try:
            while stop is self._stop_sweeping and (self._exchanges or any(pool.idle for pool in self._pools.values())):
                with anyio.move_on_after(self._sweep_every):
                    await stop.wait()
                    return
                for pool in self._pools.values():
                    pool.sweep()
        except BaseException:
            if stop is self._stop_sweeping:
                await self._close_here()
            raise
        finally:
            if stop is self._stop_sweeping:
                self._stop_sweeping = None

    async def _close_here(self) -> None:
        """Closes everything in this task. Its loop is ending, so a new task would come too late."""
        works: list[Work] = []
        self._gathered = works
        try:
            self._give_up()
            for work in works:
                try:
                    await work()
                except BaseException:  # noqa: BLE001, S112  # trio cancels again; the socket is closed before that
                    continue
        finally:
            self._gathered = None

    def _give_up(self) -> None:
        for exchange in list(self._exchanges):
            exchange.abort()
        for pool in self._pools.values():
            for slot in (*pool.empty(), *pool.out):
                slot.close()

    async def aclose(self) -> None:
        """Waits shortly for connections that are being drained, then closes every connection. Closing twice is fine."""
        self._closed = True
        if self._stop_sweeping is not None:
            self._stop_sweeping.set()
        await self._settle(_DRAINING_SECONDS)
        self._give_up()
        await self._settle(_CLOSING_SECONDS)
        self._targets.clear()

    async def _settle(self, seconds: float) -> None:
        if self._background_tasks > 0:
            self._quiet = anyio.Event()
            with anyio.move_on_after(seconds):
                await self._quiet.wait()
            self._quiet = None

    def forget(self) -> None:
        """Drops every connection at once, as their event loop has ended."""
        for pool in self._pools.values():
            for slot in (*pool.empty(), *pool.out):
                slot.forget()
        self._tls.forget()
        self._begin()


def import_library(library: Library) -> tuple[Any, Any]:
    """Imports an HTTP library and returns the modules of its requests and transports. Blocking, some 80 ms.

    Raises:
        ConfigurationError: it is not installed.
    """
    if library not in _PACKAGES:
        raise ConfigurationError(f"http.library is {library!r}; it must be one of {', '.join(_PACKAGES)}.")
    package, install = _PACKAGES[library]
    try:
        transports = importlib.import_module(package)
    except ImportError:
        transports = None
    if transports is None:
        raise ConfigurationError(
            f"http.library is {library!r}, which is not installed: python -m pip install '{install}'."
        )
    module = importlib.import_module("httpx") if library == "aiohttp" else transports
    load_core(module.__name__)
    load_backend()
    return module, transports


class _PoolLease:
    """Gives an exchange's connection back to its pool."""

    __slots__ = ("_owner", "_pool", "_slot")

    def __init__(self, owner: HTTPTransport, pool: Pool[Slot], slot: Slot) -> None:
        self._owner = owner
        self._pool = pool
        self._slot = slot

    def keep(self, exchange: HTTPExchange) -> None:
        self._owner._ended(exchange)  # noqa: SLF001  # the lease is a part of the transport
        self._pool.release(self._slot)
        self._owner._look_after(self._pool)  # noqa: SLF001

    def drop(self, exchange: HTTPExchange, leftover: Work) -> None:
        self._owner._ended(exchange)  # noqa: SLF001
        self._slot.leftover = leftover
        self._pool.discard(self._slot)


class _Lane:
    """One HTTP library: its module, its transports, its requests."""

    def __init__(self, library: Library) -> None:
        self.aiohttp = library == "aiohttp"
        self.module, self._transports = import_library(library)
        self.requests = OutgoingRequests(self.module, whole_bodies=self.aiohttp)

    def open(self, context: Any, proxy: str | None) -> Any:
        """Makes a transport of the library for one connection."""
        module = self.module
        limits = module.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None)
        options = {"verify": context, "limits": limits, "trust_env": False}
        if proxy is not None:
            options["proxy"] = self._proxy(proxy, context)
        if self.aiohttp:
            return self._transports.AiohttpTransport(**options, client=lambda: self._session(context))
        return module.AsyncHTTPTransport(**options)

    def _proxy(self, url: str, context: Any) -> Any:
        module = self.module
        if url.startswith("socks"):
            if self.aiohttp:
                raise ConfigurationError("http.library 'aiohttp' cannot use a socks proxy; 'httpx' can.")
            return module.Proxy(url)
        address, credentials = split_credentials(url)
        # aiohttp moves a proxy's "authorization" to where it belongs; httpx sends proxy headers as they are.
        name = "Authorization" if self.aiohttp else "Proxy-Authorization"
        headers = self.requests.headers([(name, credentials)] if credentials else [])
        encrypted = {"ssl_context": context} if url.startswith("https") else {}
        return module.Proxy(address, headers=headers, **encrypted)

    def _session(self, context: Any) -> Any:
        aiohttp = importlib.import_module("aiohttp")
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, ssl=context, keepalive_timeout=3600),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept"),
        )
