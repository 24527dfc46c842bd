"""How credential traffic reaches the network: the same proxy, exceptions and certificates as the calls themselves.

Token servers are asked by libraries of their vendors (botocore, google-auth), which would read the environment in their
own ways. They are given `CredentialHTTP` instead: blocking, for worker threads only, never following a redirect
(secrets would travel with it). The metadata servers of clouds are always reached directly: they exist only on the
machine's own link, and a proxy would see the tokens they give.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from .._transport.base import MAX_ERROR_BODY_BYTES
from .._transport.proxy import ProxyRules, split_credentials
from ..errors import ConfigurationError
from .network import Network

METADATA_HOSTS = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::/32", "metadata.google.internal")
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 20.0
MAX_BODY_BYTES = 16 * MAX_ERROR_BODY_BYTES
"""Answers with credentials are small; 1 MiB is room enough."""


class Answer(NamedTuple):
    """What a server said, in the shape that google-auth reads."""

    status: int
    headers: http.client.HTTPMessage
    data: bytes


class CredentialHTTP:
    """Blocking HTTP over the standard library, as the configuration wants it.

    Args:
        network: the configuration; None for direct connections.
        environ: where proxies are looked up if the configuration trusts it.

    Raises:
        ConfigurationError: a proxy whose scheme cannot be used.
    """

    def __init__(self, network: Network | None, environ: Mapping[str, str]) -> None:
        network = network or Network()
        self.ca_bundle = network.ca_bundle or environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR")
        self._rules = ProxyRules(
            proxy=network.proxy.get_secret_value() if network.proxy is not None else None,
            no_proxy=(*network.no_proxy, *METADATA_HOSTS),
            environ=environ if network.trust_env else {},
        )
        self._context: ssl.SSLContext | None = None

    def proxy_of(self, url: str) -> str | None:
        """The proxy for an address, password included; None for a direct connection.

        Raises:
            ConfigurationError: the proxy cannot carry credential traffic.
        """
        proxy = self._rules.resolve_url(url)
        if proxy is not None and not proxy.startswith("http://"):
            raise ConfigurationError(
                "credentials can be fetched through http:// proxies only; name such a proxy, or list the hosts of the "
                "credential's provider in http.no_proxy"
            )
        return proxy

    def send(
        self, url: str, method: str, body: bytes | str | None, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        """Sends and reads the whole answer; a redirect is an answer like any other.

        Raises:
            ConfigurationError: the proxy cannot carry credential traffic, or the CA bundle cannot be read.
            OSError, http.client.HTTPException: the network.
        """
        connection, target, extra = self._connect(url, timeout)
        try:
            connection.request(method, target, body=body, headers={**headers, **extra})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read(MAX_BODY_BYTES))
        finally:
            connection.close()

    def _connect(self, url: str, timeout: float) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
        """The connection, what to ask it for, and the headers that a proxy wants."""
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        proxy = self.proxy_of(url)
        extra: dict[str, str] = {}
        at, at_port = host, port
        if proxy is not None:
            bare, authorization = split_credentials(proxy)
            parts = urlsplit(bare)
            at, at_port = parts.hostname or "", parts.port or 80
            extra = {"Proxy-Authorization": authorization} if authorization else {}
        if not secure:
            return http.client.HTTPConnection(at, at_port, timeout=timeout), url if proxy else target, extra
        connection = http.client.HTTPSConnection(at, at_port, timeout=timeout, context=self._tls())
        if proxy is not None:
            connection.set_tunnel(host, port, extra)
        return connection, target, {}

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            try:
                self._context = _read_bundle(self.ca_bundle)
            except (OSError, ssl.SSLError):
                self._context = None
            if self._context is None:
                raise ConfigurationError(f"The CA bundle {self.ca_bundle!r} holds no certificates that can be read.")
        return self._context


def _read_bundle(bundle: str | None) -> ssl.SSLContext:
    if bundle is None:
        import certifi  # comes with httpx; not needed where the user has a bundle

        bundle = certifi.where()
    if Path(bundle).is_dir():
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)
