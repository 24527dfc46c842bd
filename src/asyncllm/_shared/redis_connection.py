"""Scripts on a Redis or Valkey server: on asyncio by redis-py's async client, on trio by its blocking one in a thread.

A server that cannot be reached, answers too late or refuses is one thing for the callers: `StoreGoneError`.
"""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from typing import Any

from anyio import to_thread

from .._engine.lifetime import current_loop
from ..errors import ConfigurationError


class StoreGoneError(Exception):
    """The server cannot be used now; raised and caught in this package and by stores of replies only."""


class RedisConnection:
    """The connection of one client to one server.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``; ``valkey://`` and ``valkeys://`` mean the same.
        cluster: the server is a cluster.
        timeout: seconds after which a server that does not answer is gone.

    Raises:
        ConfigurationError: redis-py is not installed.
    """

    def __init__(self, url: str, *, cluster: bool = False, timeout: float = 0.5) -> None:
        try:
            import redis
        except ImportError:
            raise ConfigurationError(
                "shared limits and caches need redis-py: python -m pip install 'asyncllm-client[redis]'"
            ) from None
        # TypeError and ValueError come from what the URL says behind its host: an option that redis-py does not know.
        self._errors = (redis.RedisError, OSError, TimeoutError, asyncio.TimeoutError, TypeError, ValueError)
        self._url = url.replace("valkey", "redis", 1) if url.startswith("valkey") else url
        self._cluster = cluster
        self._timeout = timeout
        self._on: object = None
        self._client: Any = None
        self._digests: dict[str, str] = {}

    async def command(self, *words: Any) -> Any:
        """Sends one command.

        Raises:
            StoreGoneError: the server cannot be used now.
        """
        return await self._guarded("execute_command", *words)

    async def run(self, script: str, key: str, argument: str) -> bytes:
        """Runs a Lua script with one key and one argument.

        Raises:
            StoreGoneError: the server cannot be used now.
        """
        digest = self._digests.get(script)
        if digest is None:
            digest = self._digests[script] = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        from redis.exceptions import NoScriptError

        try:
            found: bytes = await self._call("evalsha", digest, 1, key, argument)
        except NoScriptError:
            found = await self._guarded("eval", script, 1, key, argument)
        except self._errors as error:
            raise StoreGoneError(type(error).__name__) from None
        return found

    async def _guarded(self, name: str, *arguments: Any) -> Any:
        try:
            return await self._call(name, *arguments)
        except self._errors as error:
            raise StoreGoneError(type(error).__name__) from None

    async def _call(self, name: str, *arguments: Any) -> Any:
        loop = current_loop()
        if self._on is not loop:  # another event loop took over: its predecessor's connection is gone with it
            self._on, self._client = loop, self._open(isinstance(loop, asyncio.AbstractEventLoop))
        method = getattr(self._client, name)
        if isinstance(loop, asyncio.AbstractEventLoop):
            return await method(*arguments)
        return await to_thread.run_sync(partial(method, *arguments), abandon_on_cancel=True)

    def _open(self, on_asyncio: bool) -> Any:
        from redis.backoff import NoBackoff

        options: dict[str, Any] = {"socket_timeout": self._timeout, "socket_connect_timeout": self._timeout}
        if on_asyncio:
            from redis import asyncio as flavour
            from redis.asyncio.retry import Retry
        else:
            import redis as flavour  # type: ignore[no-redef]
            from redis.retry import Retry  # type: ignore[assignment]
        kind = flavour.RedisCluster if self._cluster else flavour.Redis
        return kind.from_url(self._url, retry=Retry(NoBackoff(), 1), **options)

    async def aclose(self) -> None:
        """Closes the connection."""
        client, self._client, on, self._on = self._client, None, self._on, None
        if client is None or on is not current_loop():
            return
        try:
            if isinstance(on, asyncio.AbstractEventLoop):
                await client.aclose()
            else:
                await to_thread.run_sync(client.close)
        except self._errors:
            return
