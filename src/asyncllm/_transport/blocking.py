"""Blocking HTTP for the vendors' libraries that fetch credentials, with the network settings of all calls.

google-auth and botocore ask token servers in worker threads, and would read proxies and certificates from the
environment in their own ways. They are given a `BlockingClient` instead. The rules:

* Proxies, ``no_proxy``, the CA bundle, ``trust_env`` and the timeouts are those of the configuration's ``http`` and
  ``timeouts``. The metadata servers of clouds are always reached directly: they exist only on the machine's own link,
  and a proxy would see the tokens that they give.
* A redirect is never followed: secrets would travel with it.
* A connection serves one request. Token servers are asked once in an hour, and nothing stays open between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .._config.sections import HTTPSettings, Timeouts
from ..errors import ConnectError, ConnectionLostError, TransportError
from .base import MAX_ERROR_BODY_BYTES
from .proxy import ProxyRules, split_credentials
from .tls import TLS

METADATA_HOSTS = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::/32", "metadata.google.internal")
MAX_BODY_BYTES = 16 * MAX_ERROR_BODY_BYTES
"""Answers with credentials are small; 1 MiB is room enough."""


LONGEST_READ = 20.0
"""Seconds until the next byte of an answer with credentials, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The sections of the configuration that credential traffic follows, as all other traffic does.

    Attributes:
        http: proxies and certificates.
        timeouts: how long connecting and reading may take; reading `LONGEST_READ` at most.
    """

    http: HTTPSettings = field(default_factory=HTTPSettings)
    timeouts: Timeouts = field(default_factory=Timeouts)


class Answer(NamedTuple):
    """A server's reply. The names of its headers are found in any case."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class BlockingClient:
    """Sends one request at a time, from any thread.

    Args:
        network: the configuration; None for direct connections.
        environ: where proxies and certificates are looked up if the configuration trusts it.

    Raises:
        ConfigurationError: a proxy that cannot be used, or a CA bundle that does not exist.
    """

    def __init__(self, network: Network | None, environ: Mapping[str, str]) -> None:
        self.network = network = network or Network()
        http = network.http
        trusted = environ if http.trust_env else {}
        self._tls = TLS(http, trusted)
        self._rules = ProxyRules(
            proxy=http.proxy.get_secret_value() if http.proxy is not None else None,
            no_proxy=(*http.no_proxy, *METADATA_HOSTS),
            environ=trusted,
        )

    def proxy_of(self, url: str) -> str | None:
        """The proxy for an address, password included; None for a direct connection."""
        return self._rules.resolve_url(url)

    def send(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        *,
        direct: bool = False,
    ) -> Answer:
        """Sends a request and returns the reply, whatever its status. A long body is cut.

        Args:
            url: where to.
            method: as HTTP spells it.
            body: what to send.
            headers: what to send.
            timeout: seconds for connecting and for each read; None for those of the configuration.
            direct: through no proxy; for metadata servers.

        Raises:
            ConnectError: the server could not be reached.
            ConnectionLostError: it was reached, and did not answer, or not in time.
            ConfigurationError: the CA bundle cannot be read.
        """
        import httpx

        proxy = None if direct else self._proxy(url)
        context = self._tls.load() if url.startswith("https") else True
        bounds = self.network.timeouts
        limits = httpx.Timeout(timeout or min(bounds.idle, LONGEST_READ), connect=timeout or bounds.connect)
        failure: TransportError
        try:
            with (
                httpx.Client(verify=context, proxy=proxy, trust_env=False, timeout=limits) as client,
                client.stream(method, url, content=body, headers=dict(headers or {})) as response,
            ):
                return Answer(response.status_code, response.headers, _read(response))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.InvalidURL) as error:
            failure = ConnectError(type(error).__name__)
        except httpx.HTTPError as error:
            failure = ConnectionLostError(type(error).__name__)
        raise failure  # outside: the exception of httpx holds the request, and that the secret

    def _proxy(self, url: str) -> Any:
        import httpx

        proxy = self.proxy_of(url)
        if proxy is None:
            return None
        bare, authorization = split_credentials(proxy)
        context = self._tls.load() if bare.startswith("https") else None
        return httpx.Proxy(
            bare, headers={"proxy-authorization": authorization} if authorization else None, ssl_context=context
        )


def _read(response: Any) -> bytes:
    data: bytes = b""
    for chunk in response.iter_bytes(65536):
        data += chunk
        if len(data) >= MAX_BODY_BYTES:
            return data[:MAX_BODY_BYTES]
    return data
