"""The TLS context that all connections share.

Reading a bundle of certificates takes some ten milliseconds, so it happens once, when the first ``https`` address is
called, in a thread. Verification cannot be switched off. The operating system's trust store is read by truststore, as
its rules for chains and revocation are not OpenSSL's.
"""

from __future__ import annotations

import importlib
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from .._config.sections import HTTPSettings
from ..errors import ConfigurationError

SYSTEM = "system"
"""The word for the operating system's trust store in the place of a bundle."""


class TLS:
    """Makes the context on first use.

    Args:
        http: the bundle of certificate authorities (a PEM file or a folder; certifi's without one) and the client's own
            certificate.
        environ: where ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are looked up when there is no bundle.

    Raises:
        ConfigurationError: a file does not exist, or truststore is not installed.
    """

    def __init__(self, http: HTTPSettings, environ: Mapping[str, str]) -> None:
        named = http.ca_bundle or environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR")
        self.ca_bundle = None if named is None else str(named)
        self._http = http
        self._truststore: Any = None
        if self.ca_bundle == SYSTEM:
            self._truststore = _truststore()
        files = {
            "ca_bundle": None if self._truststore is not None else self.ca_bundle,
            "client_certificate": http.client_certificate,
            "client_key": http.client_key,
        }
        for key, file in files.items():
            if file is not None and not Path(file).exists():
                raise ConfigurationError(f"http.{key}: {str(file)!r} does not exist.")
        self._context: ssl.SSLContext | None = None
        self._plain: ssl.SSLContext | None = None
        self._lock = anyio.Lock()

    @property
    def ready(self) -> bool:
        """Whether `context` returns without waiting."""
        return self._context is not None

    async def prepare(self) -> None:
        """Reads the files, once, however many ask at the same time.

        Raises:
            ConfigurationError: one of them cannot be read.
        """
        async with self._lock:
            if self._context is None:
                await anyio.to_thread.run_sync(self.load)

    def context(self, *, verify: bool) -> ssl.SSLContext:
        """The context: with certificates, or (for plain ``http``, which never uses it) the cheap empty one."""
        if verify:
            return self.load()
        if self._plain is None:
            self._plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return self._plain

    def load(self) -> ssl.SSLContext:
        """The context with certificates, for whoever may block.

        Raises:
            ConfigurationError: a file cannot be read.
        """
        if self._context is None:
            context = self._trusting()
            self._identify(context)
            self._context = context
        return self._context

    def forget(self) -> None:
        """Prepares for another event loop."""
        self._lock = anyio.Lock()

    def _trusting(self) -> ssl.SSLContext:
        """A context that knows whom to trust."""
        if self._truststore is not None:
            found: ssl.SSLContext = self._truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return found
        try:
            if self.ca_bundle is None:
                import certifi  # comes with httpx; not needed where the user has a bundle

                return ssl.create_default_context(cafile=certifi.where())
            if Path(self.ca_bundle).is_dir():
                return ssl.create_default_context(capath=self.ca_bundle)
            return ssl.create_default_context(cafile=self.ca_bundle)
        except (OSError, ssl.SSLError):
            pass  # raised below: the text of OpenSSL says less
        raise ConfigurationError(f"The CA bundle {self.ca_bundle!r} holds no certificates that can be read.")

    def _identify(self, context: ssl.SSLContext) -> None:
        """Gives the context the client's own certificate, where there is one."""
        http = self._http
        if http.client_certificate is None:
            return
        password = "" if http.client_key_password is None else http.client_key_password.get_secret_value()
        key = None if http.client_key is None else str(http.client_key)
        fits = False
        try:  # a password in any case: without one OpenSSL would ask the terminal
            context.load_cert_chain(str(http.client_certificate), key, password)
            fits = True
        except (OSError, ssl.SSLError):
            pass  # told below, without a text that could quote the file
        finally:
            del password  # no frame that an error leaves shows it
        if fits:
            return
        raise ConfigurationError(
            f"http.client_certificate: {str(http.client_certificate)!r} holds no certificate with its key, or "
            "client_key is another key, or client_key_password is not its password."
        )


def _truststore() -> Any:
    try:
        return importlib.import_module("truststore")
    except ImportError:
        pass
    raise ConfigurationError(
        "http.ca_bundle: the operating system's trust store needs the package truststore: "
        "python -m pip install 'asyncllm-client[truststore]'"
    )
