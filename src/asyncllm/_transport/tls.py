"""The TLS context that all connections share.

Reading a bundle of certificates takes some ten milliseconds, so it happens once, when the first ``https`` address is
called, in a thread. Verification cannot be switched off.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.to_thread

from ..errors import ConfigurationError


class TLS:
    """Makes the context on first use.

    Args:
        ca_bundle: a file (PEM) or a directory of certificate authorities; None for certifi's.
        environ: where ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are looked up when there is no ``ca_bundle``.

    Raises:
        ConfigurationError: the bundle does not exist.
    """

    def __init__(self, *, ca_bundle: str | Path | None, environ: Mapping[str, str]) -> None:
        named = ca_bundle or environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR")
        self.ca_bundle = None if named is None else str(named)
        if self.ca_bundle is not None and not Path(self.ca_bundle).exists():
            raise ConfigurationError(f"The CA bundle {self.ca_bundle!r} does not exist.")
        self._context: ssl.SSLContext | None = None
        self._plain: ssl.SSLContext | None = None
        self._lock = anyio.Lock()

    @property
    def ready(self) -> bool:
        """Whether `context` returns without waiting."""
        return self._context is not None

    async def prepare(self) -> None:
        """Reads the bundle once, even if many callers ask at the same time.

        Raises:
            ConfigurationError: the bundle cannot be read.
        """
        async with self._lock:
            if self._context is not None:
                return
            broken = False
            try:
                self._context = await anyio.to_thread.run_sync(self._load)
            except (OSError, ssl.SSLError):
                broken = True
            if broken:
                raise ConfigurationError(f"The CA bundle {self.ca_bundle!r} holds no certificates that can be read.")

    def context(self, *, verify: bool) -> ssl.SSLContext:
        """The context: with certificates, or (for plain ``http``, which never uses it) the cheap empty one."""
        if verify:
            if self._context is None:
                self._context = self._load()
            return self._context
        if self._plain is None:
            self._plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return self._plain

    def load(self) -> ssl.SSLContext:
        """The context with certificates, for whoever may block.

        Raises:
            ConfigurationError: the bundle cannot be read.
        """
        try:
            return self.context(verify=True)
        except (OSError, ssl.SSLError):
            pass
        raise ConfigurationError(f"The CA bundle {self.ca_bundle!r} holds no certificates that can be read.")

    def forget(self) -> None:
        """Prepares for another event loop."""
        self._lock = anyio.Lock()

    def _load(self) -> ssl.SSLContext:
        if self.ca_bundle is None:
            import certifi  # comes with httpx; not needed where the user has a bundle

            return ssl.create_default_context(cafile=certifi.where())
        if Path(self.ca_bundle).is_dir():
            return ssl.create_default_context(capath=self.ca_bundle)
        return ssl.create_default_context(cafile=self.ca_bundle)
